"""The schema and its revision."""

import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import unquote

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core import ids
from core.errors import Conflict, InvalidInput, SchemaMismatch, SettingsError
from core.storage import schema
from core.storage import store as store_module
from core.storage.engine import Database
from core.storage.store import Store
from core.storage.tables import HEAD_REVISION, metadata
from tests.store.samples import PROJECT, now, stored_run

REVISIONS = ["0001", HEAD_REVISION]


def _run_sql(url: str, *statements: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            for statement in statements:
                connection.execute(statement)
    else:
        with psycopg.connect(unquote(url)) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def empty_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without any table."""
    return (
        f"sqlite:///{tmp_path / 'store.db'}"
        if dialect == "sqlite"
        else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
def older_url(database_url: str) -> Generator[str]:
    """A database with runs, as an earlier version of the program left it (for which its oldest migration stands)."""
    store = Store.open(database_url)
    stored_run(store)
    store.close()
    yield database_url


def test_the_migrations_make_the_tables_that_the_program_declares(empty_url: str) -> None:
    assert Store.migrate(empty_url) == REVISIONS
    assert Store.migrate(empty_url) == []
    database = Database(empty_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_the_newest_migration_is_the_programs() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).with_name("migrations")))
    assert scripts.get_current_head() == HEAD_REVISION


def test_every_migration_can_be_undone(empty_url: str) -> None:
    from alembic import command

    Store.migrate(empty_url)
    database = Database(empty_url)
    with database.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert schema.current_revision(database) is None
    database.close()
    assert Store.migrate(empty_url) == REVISIONS


def test_an_embedded_file_gets_its_schema_by_itself_and_postgres_by_command(
    empty_url: str, dialect: str
) -> None:
    if dialect == "postgresql":
        with pytest.raises(SchemaMismatch, match=r"no tables yet.*agent-launcher migrate"):
            Store.open(empty_url)
        Store.open(empty_url, migrate=True).close()
    store = Store.open(empty_url)
    assert store.describe() == {
        "dialect": dialect,
        "place": ANY,
        "writable": True,
        "size_bytes": ANY,
        "schema": HEAD_REVISION,
        "newest_schema": HEAD_REVISION,
        "runs": 0,
        "agents": 0,
        "credentials": 0,
        "not_folded": 0,
    }
    store.check_writable()
    store.close()


def test_a_newer_schema_is_refused_and_left_alone(database_url: str) -> None:
    Store.open(database_url).close()
    _run_sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    for refused in (lambda: Store.open(database_url), lambda: Store.migrate(database_url)):
        with pytest.raises(SchemaMismatch, match=r"schema 9999.*newer version.*Install that version"):
            refused()


def test_a_database_from_before_the_first_release_is_refused(database_url: str, tmp_path: Path) -> None:
    store = Store.open(database_url)
    stored_run(store)
    store.close()
    _run_sql(database_url, "ALTER TABLE usage_by_slice DROP COLUMN latencies")
    for refused in (
        lambda: Store.open(database_url),
        lambda: Store.look(database_url),
        lambda: Store.migrate(database_url),
    ):
        with pytest.raises(
            SchemaMismatch,
            match=r"first schema as it was.* lacks usage_by_slice\.latencies, .* DATABASE_URL",
        ):
            refused()


def test_a_backup_from_before_the_first_release_is_refused_and_nothing_is_replaced(
    database_url: str, tmp_path: Path
) -> None:
    old = f"sqlite:///{tmp_path / 'old.db'}"
    Store.open(old).close()
    _run_sql(old, "ALTER TABLE usage_by_slice DROP COLUMN latencies")
    store = Store.open(database_url)
    stored_run(store)
    with pytest.raises(
        SchemaMismatch, match=r"The backup has the first schema .* lacks usage_by_slice\.latencies"
    ):
        Store.restore(tmp_path / "old.db", database_url, keep_in=tmp_path)
    assert store.runs.count(PROJECT) == 1
    store.close()


def test_an_older_schema_is_migrated_with_a_copy_beside_it_or_refused(
    older_url: str, dialect: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A program that is one migration further: it adds a table.
    newer = tmp_path / "migrations"
    newer.mkdir()
    _copy_tree(Path(schema.__file__).with_name("migrations"), newer)
    (newer / "versions" / "v9000_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9000'\ndown_revision = {HEAD_REVISION!r}\n"
        "def upgrade():\n    op.create_table('more', sa.Column('id', sa.Integer(), primary_key=True))\n"
    )
    monkeypatch.setattr(schema, "_MIGRATIONS", newer)
    monkeypatch.setattr(schema, "HEAD_REVISION", "9000")
    monkeypatch.setattr(store_module, "HEAD_REVISION", "9000")
    if dialect == "postgresql":
        with pytest.raises(
            SchemaMismatch, match=rf"schema {HEAD_REVISION}.*needs 9000.*agent-launcher migrate"
        ):
            Store.open(older_url)
        assert Store.migrate(older_url) == ["9000"]
    store = Store.open(older_url)
    assert store.runs.count(PROJECT) == 1
    assert store.describe()["schema"] == "9000"
    store.close()
    if dialect == "sqlite":
        (copy,) = tmp_path.glob("*before-9000*")
        assert copy.name == "store.before-9000.db"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (
                HEAD_REVISION,
            )
            assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


@pytest.fixture
def program_of_two_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with an older schema, 0000, in which agents had no description."""
    folder = tmp_path / "two_migrations"
    folder.mkdir()
    _copy_tree(Path(schema.__file__).with_name("migrations"), folder)
    for file in (folder / "versions").glob("v*.py"):
        file.unlink()
    (folder / "versions" / "v0000_older.py").write_text(
        "from alembic import op\n"
        "from core.storage.migrations.versions import v0001_first_schema as first, v0002_lambda as second\n"
        "revision = '0000'\ndown_revision = None\n"
        "def upgrade():\n    first.upgrade()\n    second.upgrade()\n    op.drop_column('agent', 'description')\n"
    )
    (folder / "versions" / "v0001_newer.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = {HEAD_REVISION!r}\ndown_revision = '0000'\n"
        "def upgrade():\n"
        "    op.add_column('agent', sa.Column('description', sa.Text(), nullable=False, server_default=''))\n"
    )
    monkeypatch.setattr(schema, "_MIGRATIONS", folder)


@pytest.mark.usefixtures("program_of_two_migrations")
def test_what_waits_for_its_migration_can_be_backed_up_first(
    database_url: str, dialect: str, target_url: str, tmp_path: Path
) -> None:
    store = Store.open(database_url)
    agent = store.agents.create(
        PROJECT, name="Greeter", description="", config={"a": [1, None]}, note="", by="me"
    )
    store.credentials.create(PROJECT, name="Main", provider="OPENAI", sealed="gAAA", last4="1234")
    run = stored_run(store)
    store.close()
    _run_sql(
        database_url,
        "ALTER TABLE agent DROP COLUMN description",
        "UPDATE alembic_version SET version_num = '0000'",
    )
    if dialect == "postgresql":
        _run_sql(database_url, "CREATE TABLE of_somebody_else (id INTEGER)")
        with pytest.raises(SchemaMismatch, match=r"Take a backup first \(`agent-launcher backup FILE`\)"):
            Store.open(database_url)

    report = Store.backup_of(database_url, tmp_path / "backup.db")

    assert (report.schema, report.tables["agent"], report.tables["run"]) == ("0000", 1, 1)
    database = Database(database_url)
    assert schema.current_revision(database) == "0000"
    database.close()
    Store.restore(tmp_path / "backup.db", target_url, keep_in=tmp_path)
    restored = Store.open(target_url)
    assert restored.describe()["schema"] == HEAD_REVISION
    assert restored.agents.get(PROJECT, agent.id).version.config == {"a": [1, None]}
    assert restored.runs.get(PROJECT, run.id).response == "Hello."
    assert restored.credentials.list(PROJECT)[0].last4 == "1234"
    restored.close()


@pytest.mark.usefixtures("program_of_two_migrations")
def test_a_database_in_use_is_not_migrated_before_its_restore_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    store = Store.open(database_url)
    stored_run(store)
    store.backup(tmp_path / "backup.db")
    store.workers.beat(ids.uuid7(), kind="up", host="here", pid=7, started_at=now())
    store.close()
    _run_sql(
        database_url,
        "ALTER TABLE agent DROP COLUMN description",
        "UPDATE alembic_version SET version_num = '0000'",
    )
    with pytest.raises(Conflict, match=r"nothing was changed: up on here \(process 7\)"):
        Store.restore(tmp_path / "backup.db", database_url, keep_in=tmp_path)
    database = Database(database_url)
    assert schema.current_revision(database) == "0000"
    database.close()
    assert not list(tmp_path.glob("*before-*"))
    Store.restore(tmp_path / "backup.db", database_url, keep_in=tmp_path, force=True)
    Store.open(database_url).close()


def test_what_holds_nothing_needs_no_backup(empty_url: str, dialect: str, tmp_path: Path) -> None:
    if dialect == "postgresql":
        with pytest.raises(SchemaMismatch) as refused:
            Store.open(empty_url)
        assert "Run `agent-launcher migrate`" in str(refused.value)
        assert "backup" not in str(refused.value)
    with pytest.raises(InvalidInput, match="nothing to back up"):
        Store.backup_of(empty_url, tmp_path / "backup.db")
    assert not list(tmp_path.glob("*.db*"))


def test_a_migration_that_fails_leaves_everything_as_it_was(
    older_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newer = tmp_path / "migrations"
    newer.mkdir()
    _copy_tree(Path(schema.__file__).with_name("migrations"), newer)
    (newer / "versions" / "v9000_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9000'\ndown_revision = {HEAD_REVISION!r}\n"
        "def upgrade():\n    op.create_table('more', sa.Column('id', sa.Integer(), primary_key=True))\n"
        "    raise RuntimeError('half-way')\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_MIGRATIONS", newer)
        patch.setattr(schema, "HEAD_REVISION", "9000")
        with pytest.raises(RuntimeError, match="half-way"):
            Store.migrate(older_url)
    store = Store.open(older_url)
    assert store.runs.count(PROJECT) == 1
    store.close()
    database = Database(older_url)
    with database.read() as connection:
        assert not connection.dialect.has_table(connection, "more")
    database.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        Store.open(url)


def test_the_file_is_set_up_for_many_readers_and_one_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'deep' / 'er' / 'store.db'}")
    with database.write() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "journal_mode",
                "page_size",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "query_only",
            )
        }
    assert values == {
        "journal_mode": "wal",
        "page_size": 8_192,
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "query_only": 0,
    }
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA query_only").scalar() == 1
    database.close()


def _copy_tree(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file() and file.suffix in (".py", ".mako"):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
