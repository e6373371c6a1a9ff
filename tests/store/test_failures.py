"""A database that cannot be used: the error says what to do, what was stored stays, pages stay readable."""

import base64
import random
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest

from core.errors import SchemaMismatch, StoreError, StoreNotWritable, StoreUnavailable
from core.storage import engine
from core.storage.records import RunFilter
from core.storage.store import Store
from tests.store.programs import result_of, start_program
from tests.store.samples import PROJECT, finish, new_run, now, stored_run
from tests.support.failing_postgres import database_of, full_disk, make_read_only, refused_connections
from tests.support.postgres import PostgresServer


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def sqlite_store(sqlite_path: Path) -> Generator[Store]:
    store = Store.open(f"sqlite:///{sqlite_path}")
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Generator[Store]:
    store = Store.open(postgres_url, migrate=True)
    yield store
    store.close()


def _allow_pages(store: Store, count: int) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {count}")


def test_a_full_disk_is_said_and_earlier_runs_stay(sqlite_store: Store) -> None:
    kept = stored_run(sqlite_store)
    started = new_run()
    sqlite_store.runs.start(started)
    pages = sqlite_store.describe()["size_bytes"] // engine.PAGE_SIZE
    _allow_pages(sqlite_store, pages)
    big = "x".join(str(number) for number in range(60_000))
    with pytest.raises(StoreNotWritable, match=r"disk.*is full.*Free some space"):
        sqlite_store.runs.start(new_run(prompt=big))
    with pytest.raises(StoreNotWritable, match="full"):
        finish(sqlite_store, started, response=big)
    with pytest.raises(StoreNotWritable, match="full"):
        sqlite_store.agents.create(PROJECT, name="A", description=big, config={}, note="", by="local")
    assert sqlite_store.runs.get(PROJECT, kept.id).response == "Hello."
    assert [run.id for run in sqlite_store.runs.page(PROJECT).runs] == [started.id, kept.id]
    assert sqlite_store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).runs == 1

    _allow_pages(sqlite_store, 1_000_000)
    assert finish(sqlite_store, started, response=big)
    assert sqlite_store.runs.get(PROJECT, started.id).response == big


def test_every_thread_hears_of_the_full_disk(sqlite_store: Store) -> None:
    stored_run(sqlite_store)
    _allow_pages(sqlite_store, sqlite_store.describe()["size_bytes"] // engine.PAGE_SIZE)
    outcomes: list[str] = []

    def start(number: int) -> None:
        run = new_run(prompt="x".join(str(n * number) for n in range(20_000)))
        try:
            sqlite_store.runs.start(run)
            outcomes.append(str(run.id))
        except StoreNotWritable:
            outcomes.append("full")

    threads = [threading.Thread(target=start, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 12
    assert "full" in outcomes
    acknowledged = {outcome for outcome in outcomes if outcome != "full"}
    assert acknowledged == {str(run.id) for run in sqlite_store.runs.running(PROJECT)}


def test_a_file_that_cannot_grow_is_said_and_earlier_runs_stay(sqlite_path: Path) -> None:
    result = result_of(start_program("file_limit", f"sqlite:///{sqlite_path}", 2_000_000))
    assert result["error"].startswith("StoreNotWritable: Writing to the database file failed")
    assert len(result["acknowledged"]) > 3
    assert result["found"] == result["acknowledged"][::-1]
    assert result["after"] == len(result["acknowledged"]) + 1


@pytest.fixture
def readable_folder() -> Generator[Path]:
    """A folder that anybody may read; pytest's own may only be read by the one who runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_read_only_database_can_be_read(readable_folder: Path, open_elsewhere: bool) -> None:
    path = readable_folder / "store.db"
    store = Store.open(f"sqlite:///{path}")
    stored_run(store)
    if not open_elsewhere:
        store.close()
    for file in readable_folder.iterdir():
        file.chmod(0o444)
    readable_folder.chmod(0o555)
    result = result_of(start_program("read_only", f"sqlite:///{path}"))
    assert result == {
        "writable": False,
        "errors": ["StoreNotWritable"] * 4,
        "response": "Hello.",
        "runs": 1,
        "described": 1,
    }
    store.close()


def test_a_read_only_file_with_an_older_schema_says_so(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(f"sqlite:///{sqlite_path}").close()
    with closing(sqlite3.connect(sqlite_path)) as connection, connection:
        connection.execute("DROP TABLE alembic_version")
    monkeypatch.setattr(engine, "_prepare_sqlite_file", lambda path: "ro")
    with pytest.raises(SchemaMismatch, match="read-only"):
        Store.open(f"sqlite:///{sqlite_path}")


def test_a_database_that_another_program_keeps_locked(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.2)
    store = Store.open(f"sqlite:///{sqlite_path}")
    run = stored_run(store)
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="Another process kept the database locked"):
            store.runs.start(new_run())
        assert store.runs.summary(PROJECT, run.id).cost_nanousd == 1_234
        other.execute("ROLLBACK")
    store.runs.start(new_run())
    store.close()


def test_a_thread_that_writes_for_too_long_is_not_waited_for(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.2)
    with sqlite_store._database.write(), pytest.raises(StoreUnavailable, match="waited too long"):
        sqlite_store.runs.start(new_run())
    sqlite_store.runs.start(new_run())


def test_a_file_that_is_no_database(sqlite_path: Path) -> None:
    sqlite_path.write_bytes(b"This is a letter, not a database. " * 1_000)
    with pytest.raises(StoreUnavailable, match=r"not a SQLite database.*agent-launcher restore"):
        Store.open(f"sqlite:///{sqlite_path}")
    assert sqlite_path.read_bytes().startswith(b"This is a letter")


def test_a_file_that_is_taken_away_while_it_is_open_is_noticed(
    sqlite_store: Store, sqlite_path: Path
) -> None:
    sqlite_store.runs.start(new_run())
    assert sqlite_store.in_place
    aside = sqlite_path.rename(sqlite_path.with_suffix(".aside"))
    sqlite_store.check_writable()  # which is why it must be looked for: SQLite does not mind
    assert not sqlite_store.in_place
    sqlite_path.write_bytes(aside.read_bytes())
    assert not sqlite_store.in_place
    aside.replace(sqlite_path)
    assert sqlite_store.in_place


def test_a_sqlite_that_is_too_old(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    with pytest.raises(StoreUnavailable, match=r"3\.33 or newer.*another Python.*DATABASE_URL"):
        Store.open(f"sqlite:///{sqlite_path}")


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"folder .* cannot be made"):
        Store.open(f"sqlite:///{tmp_path / 'file' / 'store.db'}")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"Postgres cannot be reached.*DATABASE_URL"):
        Store.open(f"postgresql://user:secret@/nothing?host={tmp_path}")


def test_a_connection_that_the_server_closes(postgres_store: Store, postgres_url: str) -> None:
    run = stored_run(postgres_store)
    terminate = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "  # and waits until it is gone
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        admin.execute(terminate)
        # Noticed before it is used.
        assert postgres_store.runs.summary(PROJECT, run.id).attempts == 1
        postgres_store.runs.start(new_run())
        with (
            pytest.raises(StoreUnavailable, match="has closed it"),
            postgres_store._database.write() as connection,
        ):
            connection.exec_driver_sql("SELECT 1")
            admin.execute(terminate)
            connection.exec_driver_sql("SELECT 1")
    assert postgres_store.runs.count(PROJECT) == 2


def test_a_postgres_that_takes_no_writes(postgres_store: Store, postgres_url: str) -> None:
    run = stored_run(postgres_store)
    postgres_store.close()
    make_read_only(postgres_url)
    assert postgres_store.runs.count(PROJECT) == 1  # and what writes then gets the connection that has read
    for write in (
        lambda: postgres_store.runs.start(new_run()),
        postgres_store.check_writable,
        lambda: postgres_store.preferences.put(PROJECT, {"a": 1}),
    ):
        with pytest.raises(StoreNotWritable, match="does not let this user write"):
            write()
    assert postgres_store.runs.get(PROJECT, run.id).response == "Hello."
    assert len(postgres_store.runs.page(PROJECT, RunFilter()).runs) == 1


def test_a_standby_of_postgres_can_be_read() -> None:
    # A short path, for the server's socket; one that another user may read, for as root the server is another user's.
    folder = Path(tempfile.mkdtemp(prefix="al-"))
    folder.chmod(0o755)
    server = PostgresServer.start(folder)
    try:
        url = server.create_database()
        store = Store.open(url, migrate=True)
        run = stored_run(store)
        store.close()
        server.become_standby()
        store = Store.open(url)
        assert store.runs.get(PROJECT, run.id).response == "Hello."
        for write in (lambda: store.runs.start(new_run()), store.check_writable, store.usage.fold):
            with pytest.raises(StoreNotWritable, match=r"a standby.*point DATABASE_URL to the primary"):
                write()
        assert store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).runs == 1
        store.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_full_disk_of_the_postgres_server_is_said_and_earlier_runs_stay(
    postgres_store: Store, postgres_url: str
) -> None:
    kept = stored_run(postgres_store)
    started = new_run()
    postgres_store.runs.start(started)
    big = base64.b64encode(random.Random(5).randbytes(60_000)).decode()
    with full_disk(postgres_url):
        for write in (
            lambda: postgres_store.runs.start(new_run(prompt=big)),
            lambda: finish(postgres_store, started, response=big),
            lambda: postgres_store.agents.create(
                PROJECT, name="A", description=big, config={}, note="", by="local"
            ),
        ):
            with pytest.raises(
                StoreNotWritable, match=r"disk of the Postgres server is full.*Free some space"
            ) as caught:
                write()
            cause = caught.value.__cause__
            assert isinstance(getattr(cause, "orig", cause), psycopg.errors.DiskFull)
        assert postgres_store.runs.get(PROJECT, kept.id).response == "Hello."
        assert [run.id for run in postgres_store.runs.page(PROJECT).runs] == [started.id, kept.id]
        assert postgres_store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).runs == 1
        assert postgres_store.agents.list(PROJECT) == []

    assert finish(postgres_store, started, response=big)
    assert postgres_store.runs.get(PROJECT, started.id).response == big


def test_a_statement_that_postgres_breaks_off_stores_nothing(
    postgres_store: Store, postgres_url: str
) -> None:
    run = stored_run(postgres_store)
    postgres_store.close()  # a new connection has the setting
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database_of(postgres_url)} SET lock_timeout = '200ms'")  # type: ignore[call-overload]
        with admin.transaction():
            admin.execute("LOCK TABLE run IN EXCLUSIVE MODE")  # readers pass
            with pytest.raises(StoreUnavailable, match=r"gave up waiting for a lock.*Try again"):
                postgres_store.runs.start(new_run())
            assert postgres_store.runs.get(PROJECT, run.id).response == "Hello."
        postgres_store.runs.start(new_run())
    assert postgres_store.runs.count(PROJECT) == 2


def test_a_postgres_that_refuses_every_connection_for_a_while(
    postgres_store: Store, postgres_url: str
) -> None:
    run = stored_run(postgres_store)
    with refused_connections(postgres_url):
        for use in (
            lambda: postgres_store.runs.start(new_run()),
            lambda: postgres_store.runs.get(PROJECT, run.id),
            postgres_store.check_readable,
            lambda: Store.open(postgres_url),
        ):
            with pytest.raises(
                StoreUnavailable, match=r"Postgres cannot be reached.*check that it runs.*DATABASE_URL"
            ):
                use()
    assert postgres_store.runs.get(PROJECT, run.id).response == "Hello."
    postgres_store.runs.start(new_run())
    assert postgres_store.runs.count(PROJECT) == 2


def test_a_postgres_user_without_privileges(postgres_store: Store, postgres_url: str) -> None:
    stored_run(postgres_store)
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE ROLE reader LOGIN")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        try:
            store = Store.open(postgres_url.replace("postgres@", "reader@"))
            assert len(store.runs.page(PROJECT).runs) == 1
            with pytest.raises(StoreNotWritable, match="grant the user INSERT"):
                store.runs.start(new_run())
            store.close()
        finally:
            admin.execute("DROP OWNED BY reader")
            admin.execute("DROP ROLE reader")


def test_a_database_of_somebody_else(postgres_store: Store, postgres_url: str) -> None:
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        admin.execute("DROP TABLE run CASCADE")
    with pytest.raises(SchemaMismatch, match="agent-launcher migrate"):
        postgres_store.runs.page(PROJECT)


def test_errors_and_their_causes_show_no_prompt_and_no_key(sqlite_store: Store) -> None:
    secret = "gAAAAA-sealed-secret"
    sqlite_store.credentials.create(PROJECT, name="A", provider="OPENAI", sealed=secret, last4="")
    shown = ""
    try:
        sqlite_store.credentials.create(PROJECT, name="A", provider="OPENAI", sealed=secret, last4="")
    except StoreError:
        raise
    except Exception as exc:
        error: BaseException | None = exc
        while error is not None:
            shown += f"{error!r} {error}"
            error = error.__cause__
    assert "named 'A' already" in shown
    assert "IntegrityError" in shown
    assert secret not in shown
