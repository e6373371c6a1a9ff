"""A database that stops working under a running server: the pages stay, with a text that names the remedy."""

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.support.app_server import AppServer
from tests.support.browser import PageErrors, drawn


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    """Its tests put right again what they damage."""
    with AppServer(tmp_path_factory.mktemp("failure")) as server:
        yield server


@contextmanager
def renamed(server: AppServer, table: str) -> Generator[None]:
    """Takes a table away from under the server, and puts it back."""
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        database.commit()
        try:
            yield
        finally:
            database.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
            database.commit()


def test_a_damaged_database_is_a_clear_text_and_no_trace(
    server: AppServer, page: Page, page_errors: PageErrors
) -> None:
    page.goto(server.url)
    expect(page.get_by_text("Three steps to a first run")).to_be_visible()
    with renamed(server, "usage_by_backend"):
        page.goto(f"{server.url}/usage")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The database cannot be used right now")
        content = drawn(page).content()
        assert "Traceback" not in content
        assert "sqlalchemy" not in content.lower()
        expect(page.get_by_role("link", name="Settings", exact=True)).to_be_visible()
    page.goto(f"{server.url}/usage")
    expect(page.get_by_text("Nothing ran here")).to_be_visible()
    assert not page_errors


def test_a_page_that_cannot_be_shown_still_says_which_it_is(
    server: AppServer, page: Page, page_errors: PageErrors
) -> None:
    with renamed(server, "run"):
        page.goto(server.url)
        expect(page.get_by_role("alert")).to_contain_text("The database cannot be used right now")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert not page_errors


def test_the_health_check_fails_when_the_database_does_and_says_no_more(server: AppServer) -> None:
    assert server.answers("/healthz")
    with renamed(server, "run"), pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{server.url}/healthz", timeout=30)
    assert refusal.value.code == 503
    assert json.loads(refusal.value.read()) == {"status": "failing", "database": "StoreUnavailable"}
