"""A database of the first schema, with rows in it, becomes one of this program's."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import event, text

from core.errors import SchemaMismatch
from core.storage import schema
from core.storage.engine import Database
from core.storage.records import Backend, RunStatus, UsageFigures
from core.storage.store import Store
from core.storage.tables import HEAD_REVISION
from tests.store.samples import PROJECT, finish, new_attempt, new_run, now, stored_run

FIRST = "0001"


class Before:
    """What the database held while it had the first schema."""

    def __init__(self, store: Store) -> None:
        self.runs = {run.summary.id: run for run in store.runs.iterate(PROJECT)}
        self.figures: UsageFigures = store.usage.totals(PROJECT, now() - timedelta(hours=2), now())
        self.agents = store.agents.list(PROJECT)
        self.credentials = store.credentials.list(PROJECT)


@pytest.fixture
def before(database_url: str) -> Before:
    """Leaves a database of the first schema at the URL, with runs of which some are folded; says what is in it."""
    store = Store.open(database_url)
    store.agents.create(PROJECT, name="Greeter", description="", config={"a": 1}, note="", by="me")
    store.credentials.create(PROJECT, name="Main", provider="OPENAI", sealed="gAAA", last4="1234")
    for _ in range(3):
        stored_run(store)
    while store.usage.fold():
        pass
    store.runs.start(retried := new_run())
    failed = new_attempt(retried, final=False, status=RunStatus.FAILED, error_code="RATE_LIMITED")
    store.runs.add_attempt(failed)
    finish(store, retried, failed, new_attempt(retried, ordinal=2))
    store.runs.start(new_run())  # under way when the program was replaced
    held = Before(store)
    store.close()
    to_first_schema(database_url)
    return held


def to_first_schema(url: str) -> None:
    database = Database(url)
    with database.exclusive() if database.dialect == "sqlite" else database.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, FIRST)
    database.close()


def holds(store: Store, before: Before) -> None:
    after = Before(store)
    assert after.runs == before.runs
    assert after.figures == before.figures
    assert (after.agents, after.credentials) == (before.agents, before.credentials)
    assert store.describe()["schema"] == HEAD_REVISION
    # What was under way is ended as ever, and what is new is stored with what is new of it.
    running = [run for run in after.runs.values() if run.summary.status is RunStatus.RUNNING]
    assert len(running) == 1
    store.runs.start(run := new_run(backend=Backend.LAMBDA))
    attempt = new_attempt(
        run,
        backend=Backend.LAMBDA,
        lambda_compute_nanousd=50,
        lambda_request_nanousd=200,
        lambda_billed_ms=812,
        lambda_cold_start=False,
    )
    finish(store, run, attempt)
    assert store.runs.get(PROJECT, run.id).attempts == (attempt,)
    while store.usage.fold():
        pass
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=2), now())
    assert totals.cost_nanousd == before.figures.cost_nanousd + 1_484
    assert totals.attempts == before.figures.attempts + 1


def test_a_database_of_the_first_schema_is_upgraded_with_its_rows(
    database_url: str, dialect: str, before: Before, tmp_path: Path
) -> None:
    if dialect == "postgresql":
        with pytest.raises(
            SchemaMismatch, match=rf"schema {FIRST}.*{HEAD_REVISION}.*`agent-launcher migrate`"
        ):
            Store.open(database_url)
        assert Store.migrate(database_url) == [HEAD_REVISION]
    store = Store.open(database_url)
    holds(store, before)
    store.close()
    if dialect == "sqlite":
        (copy,) = tmp_path.glob(f"*.before-{HEAD_REVISION}.db")
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (FIRST,)
            assert connection.execute("SELECT count(*) FROM run").fetchone() == (len(before.runs),)


def test_a_file_that_cannot_be_written_is_not_upgraded_and_says_why(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    stored_run(store)
    store.close()
    to_first_schema(url)
    database = Database(url)
    database.writable = False  # as when the file is read-only, which root can write all the same
    with pytest.raises(SchemaMismatch, match=rf"schema {FIRST}.*read-only.*writable, and start again"):
        schema.ensure(database, migrate=True)
    assert schema.current_revision(database) == FIRST
    database.close()


def test_no_row_is_written_again_however_many_there_are(database_url: str, before: Before) -> None:
    """A column that is added without a value, or with a constant, costs the same at a million rows."""
    database = Database(database_url)
    said: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: said.append(statement)
    )
    schema.upgrade(database)
    database.close()
    writes = [s for s in said if not s.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN"))]
    altered = [s for s in writes if s.startswith("ALTER TABLE")]
    counters = [s for s in altered if s.endswith(" ADD COLUMN untold_attempts BIGINT DEFAULT 0 NOT NULL")]
    assert (len(altered), len(counters)) == (22, 6)
    plain = [s for s in altered if s not in counters]
    assert all(" ADD COLUMN " in s and "NOT NULL" not in s and "DEFAULT" not in s for s in plain)
    others = [s for s in writes if s not in altered and "alembic_version" not in s]
    assert [s.split("(")[0].split() for s in others] == [["CREATE", "TABLE", "usage_by_function"]]


def test_a_backup_of_the_first_schema_is_restored(
    database_url: str, before: Before, target_url: str, tmp_path: Path
) -> None:
    report = Store.backup_of(database_url, tmp_path / "backup.db")
    assert (report.schema, report.tables["run"]) == (FIRST, len(before.runs))
    Store.restore(tmp_path / "backup.db", target_url, keep_in=tmp_path)
    restored = Store.open(target_url)
    holds(restored, before)
    restored.close()
    database = Database(database_url)
    assert schema.current_revision(database) == FIRST, "a backup changes nothing"
    database.close()


def test_a_first_schema_of_before_the_first_release_is_left_as_it_is(
    database_url: str, before: Before
) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE usage_by_slice DROP COLUMN latencies"))
    with pytest.raises(SchemaMismatch, match=r"first schema as it was.*lacks usage_by_slice\.latencies"):
        schema.upgrade(database)
    assert schema.current_revision(database) == FIRST
    with database.read() as connection, pytest.raises(Exception, match="lambda_billed_ms"):
        connection.execute(text("SELECT lambda_billed_ms FROM attempt"))
    database.close()


def test_attempts_without_tokens_of_before_are_counted_by_a_rebuild(database_url: str) -> None:
    store = Store.open(database_url)
    for fold in (True, False):
        store.runs.start(run := new_run())
        finish(store, run, new_attempt(run, input_tokens=None, output_tokens=None))
        while fold and store.usage.fold():
            pass
    store.close()
    to_first_schema(database_url)
    store = Store.open(database_url, migrate=True)

    def untold() -> int:
        return store.usage.totals(PROJECT, now() - timedelta(hours=2), now()).untold_attempts

    assert untold() == 0
    while store.usage.fold(now=now() + timedelta(minutes=1)):  # the other's lease has run out by then
        pass
    assert untold() == 0
    store.usage.rebuild()
    assert untold() == 2
    store.close()
