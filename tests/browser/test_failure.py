"""A database that stops working under a running server: the pages stay, with a text that names the remedy."""

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page, expect

from tests.support.app_server import AppServer
from tests.support.browser import PageErrors


def test_a_damaged_database_is_a_clear_text_and_no_trace(
    make_server: Callable[..., AppServer], page: Page, page_errors: PageErrors
) -> None:
    server = make_server().start()
    page.goto(server.url)
    expect(page.get_by_text("Three steps to a first run")).to_be_visible()
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        database.execute("ALTER TABLE usage_by_backend RENAME TO elsewhere")
        database.commit()
    page.goto(f"{server.url}/usage")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The database cannot be used right now")
    assert "Traceback" not in page.content()
    assert "sqlalchemy" not in page.content().lower()
    expect(page.get_by_role("link", name="Settings", exact=True)).to_be_visible()
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        database.execute("ALTER TABLE elsewhere RENAME TO usage_by_backend")
        database.commit()
    page.goto(f"{server.url}/usage")
    expect(page.get_by_text("Nothing ran here")).to_be_visible()
    assert not page_errors


def test_the_health_check_fails_when_the_database_does_and_says_no_more(
    make_server: Callable[..., AppServer],
) -> None:
    server = make_server().start()
    assert server.answers("/healthz")
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        database.execute("ALTER TABLE run RENAME TO run_elsewhere")
        database.commit()
    try:
        urllib.request.urlopen(f"{server.url}/healthz", timeout=10)
    except urllib.error.HTTPError as answer:
        assert answer.code == 503
        assert json.loads(answer.read()) == {"status": "failing", "database": "StoreUnavailable"}
    else:
        raise AssertionError("a damaged database passed for healthy")
