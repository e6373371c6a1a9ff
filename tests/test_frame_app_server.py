"""The product starts as an operator starts it, and a test can end it in every way."""

import urllib.request
from collections.abc import Callable

import pytest

from tests.support.app_server import AppServer

Make = Callable[..., AppServer]


@pytest.mark.slow
def test_it_starts_is_killed_starts_again_and_stops(make_server: Make) -> None:
    server = make_server().start()
    assert server.answers()
    assert server.answers("/healthz")
    with urllib.request.urlopen(server.url) as page:
        assert b"<title>" in page.read()
    assert any(server.data_dir.iterdir()), "its data is in the test's folder"

    first = server.pid
    server.kill()
    assert not server.answers()
    assert server.start().pid != first

    assert server.stop() == 0
    assert not server.answers()
    assert "Traceback" not in server.log
    assert server.refused == [], "at rest it reaches for nothing beyond this machine"


def test_a_server_that_cannot_start_says_why(make_server: Make) -> None:
    server = make_server(environment={"DATABASE_URL": "mysql://somewhere/else"})
    with pytest.raises(RuntimeError, match=r"(?s)ended with \d+ before it answered:.*DATABASE_URL"):
        server.start()
