"""What draws charts is asked for with the document, before a chart has come."""

import re
from collections.abc import Generator
from urllib.parse import urljoin

import httpx
import pytest

from tests.support.app_server import AppServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("preloading")) as server:
        yield server


def get(server: AppServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", trust_env=False)


@pytest.mark.parametrize("path", ["/", "/usage?range=30+days", "/run?run=1"])
def test_a_page_with_charts_names_files_that_are_there(server: AppServer, path: str) -> None:
    answer = get(server, path)
    names = re.findall(r"<([^>]*)>; rel=modulepreload", answer.headers["link"])
    assert [name.split("/")[-1].split(".")[0] for name in names] == ["PlotlyChart", "arrowFormatUtils"]
    for name in names:
        found = httpx.get(urljoin(str(answer.url), name), trust_env=False)
        assert (found.status_code, "javascript" in found.headers["content-type"]) == (200, True)


@pytest.mark.parametrize("path", ["/settings", "/healthz", "/_stcore/health", "/static/js/none.js"])
def test_nothing_else_names_them(server: AppServer, path: str) -> None:
    assert "link" not in get(server, path).headers
