"""The health probe, by itself."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine, event

from core.contract import utc_now
from core.services.application import Application
from dashboard.server import health_of
from tests.support.stored_runs import store_run


@contextmanager
def statements() -> Generator[list[str]]:
    """What the database is asked within the block."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_probe_reads_one_row_however_many_there_are(application: Application) -> None:
    store_run(application, at=utc_now())
    store_run(application, at=utc_now())
    with statements() as seen:
        assert health_of(application.store).status_code == 200
    (asked,) = (statement for statement in seen if "SELECT" in statement)
    assert "LIMIT" in asked
    assert "count" not in asked.lower()


def test_a_probe_of_a_damaged_database_fails(application: Application) -> None:
    with closing(sqlite3.connect(application.settings.data_dir / "agent-launcher.db")) as database:
        database.execute("ALTER TABLE run RENAME TO run_elsewhere")
        database.commit()
    answer = health_of(application.store)
    assert (answer.status_code, bytes(answer.body)) == (
        503,
        b'{"status":"failing","database":"StoreUnavailable"}',
    )
