"""Who may ask the server: a page of another site may not, whatever name it gives this machine."""

import http.client
from collections.abc import Generator, Mapping

import pytest
from starlette.datastructures import Headers
from streamlit import config as streamlit_config

from dashboard.origins import refusal
from tests.support.app_server import AppServer

EXPORT = "/exports/01890000-0000-7000-8000-000000000000"
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("origins")) as server:
        yield server


def status(server: AppServer, path: str, headers: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": f"127.0.0.1:{server.port}", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/healthz", EXPORT, "/_stcore/health", "/_stcore/stream"])
def test_a_foreign_name_for_this_machine_is_refused_everywhere(server: AppServer, path: str) -> None:
    headers = {"Host": f"rebound.example:{server.port}", **(WEBSOCKET if "stream" in path else {})}
    assert status(server, path, headers) == 403


def test_a_foreign_page_opens_no_websocket(server: AppServer) -> None:
    # Streamlit itself would let a page of any other port of this machine in.
    assert status(server, "/_stcore/stream", {**WEBSOCKET, "Origin": "http://127.0.0.1:1"}) == 403
    own = {**WEBSOCKET, "Origin": f"http://127.0.0.1:{server.port}"}
    assert status(server, "/_stcore/stream", own) == 101
    assert not server.refused


def test_a_page_of_another_site_reads_neither_health_nor_exports(server: AppServer) -> None:
    for path, served in (("/healthz", 200), (EXPORT, 404)):
        assert status(server, path, {}) == served
        assert status(server, path, {"Sec-Fetch-Site": "same-origin"}) == served
        assert status(server, path, {"Sec-Fetch-Site": "cross-site"}) == 403
        assert status(server, path, {"Sec-Fetch-Site": "same-site"}) == 403
        assert status(server, path, {"Origin": "https://elsewhere.example"}) == 403
        assert status(server, path, {"Origin": "null"}) == 403


def test_a_link_on_another_site_leads_to_a_page(server: AppServer) -> None:
    assert status(server, "/runs", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "127.0.0.2", "localhost:1", "LOCALHOST", "[::1]:8501", "[::1]"]
)
def test_every_name_of_loopback_is_ours(host: str) -> None:
    assert refusal("/healthz", Headers({"host": host})) is None
    assert refusal("/healthz", Headers({"host": host, "origin": f"http://{host.lower()}"})) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.org",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "0.0.0.0",
        "10.0.0.1",
        "[::",
        "a@b:x",
    ],
)
def test_no_other_name_is(host: str) -> None:
    reason = refusal("/healthz", Headers({"host": host}))
    assert reason is not None
    assert "STREAMLIT_SERVER_ALLOWED_HOSTS" in reason


def test_a_proxys_name_is_ours_when_the_operator_says_so() -> None:
    before = streamlit_config.get_option("server.allowedHosts")
    streamlit_config.set_option("server.allowedHosts", ["agents.example.org"])
    try:
        headers = Headers({"host": "agents.example.org", "origin": "https://agents.example.org"})
        assert refusal("/healthz", headers) is None
        assert refusal("/healthz", Headers({"host": "other.example.org"})) is not None
    finally:
        streamlit_config.set_option("server.allowedHosts", before)
