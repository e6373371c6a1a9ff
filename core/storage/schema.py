"""The schema's revision: is the database's the program's, and if not, who changes it.

An embedded SQLite file is brought up to date when it is opened; a Postgres database, which others may be using, only by
`agent-launcher migrate`. All migrations that are due are one transaction, under the database's own lock, so processes
that start together migrate once, and a process killed half-way leaves the old schema.

Alembic is imported only when there is something to do: a command that runs one prompt would wait for it.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from core.errors import SchemaMismatch, StoreNotWritable
from core.private_files import appearing_whole
from core.storage.engine import Database, make_single_file
from core.storage.failures import MigrationDue
from core.storage.tables import HEAD_REVISION, metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_ADVISORY_LOCK: Final = 0x41_67_4C_61  # any number, the same in every version of the program

SQLITE_COLUMNS: Final = (
    "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS c"
    " WHERE m.type = 'table'"
)
"""The names of the tables and of their columns, for `refuse_void`."""

_POSTGRES_COLUMNS: Final = text(
    "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
    " WHERE c.relname = ANY(:tables) AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped"
)


def ensure(database: Database, *, migrate: bool) -> None:
    """Makes sure that the database has this program's schema.

    Args:
        migrate: Whether an older schema, or none, is brought up to date.

    Raises:
        SchemaMismatch: It is newer than this program; or older and the file is read-only; or from before the first
            release (`refuse_void`).
        MigrationDue: It is older, and `migrate` is False.
    """
    with database.read() as connection:
        found = _revision(connection)
        if found == HEAD_REVISION:
            _refuse_void(connection)
            return
    _refuse_newer(found)
    if not migrate:
        advice = (
            "Run" if found is None else "Take a backup first (`agent-launcher backup FILE`), and run then"
        )
        raise MigrationDue(
            f"The database has {_say(found)}, and this version of the program needs {HEAD_REVISION}. "
            f"{advice} `agent-launcher migrate`.",
            found=found,
        )
    if not database.writable:
        raise SchemaMismatch(
            f"The database has {_say(found)}, and this version of the program needs {HEAD_REVISION}, but the file is "
            "read-only. Make the file and its folder writable, and start again."
        )
    upgrade(database)


def upgrade(database: Database, *, to: str = "head") -> list[str]:
    """Applies the migrations that are due, oldest first; returns their revisions.

    Before a SQLite file that has tables is changed, a copy is put beside it (`name.before-0002.db`).

    Args:
        database: Which to change.
        to: The revision that it is to have; for a new file that takes the rows of an older database.

    Raises:
        SchemaMismatch: The schema is newer than this program, or from before the first release.
        StoreError: Nothing was changed.
    """
    if database.dialect == "sqlite":
        return _upgrade_sqlite(database, to=to)
    with database.write() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        return _upgrade_inside(connection, to=to)


def current_revision(database: Database) -> str | None:
    """The database's revision; None if it has no tables of ours."""
    with database.read() as connection:
        return _revision(connection)


def known_revision(database: Database) -> str | None:
    """As `current_revision`. Raises SchemaMismatch if it is newer than this program."""
    found = current_revision(database)
    _refuse_newer(found)
    return found


def refuse_void(columns: Iterable[tuple[str, str]], *, what: str = "database") -> None:
    """Refuses what says that it has this program's schema, and lacks a part of it.

    Until the first release the first schema was changed without a new revision: there are databases of it that no
    migration leads from.

    Args:
        columns: All that there are: table and column.
        what: What they are of, for the message.

    Raises:
        SchemaMismatch: It lacks a column.
    """
    expected = {(table.name, column.name) for table in metadata.tables.values() for column in table.columns}
    missing = sorted(expected.difference(columns))
    if missing:
        named = ", ".join(f"{table}.{column}" for table, column in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        remedy = (
            "Keep it, and start with a new one: move the file away (with its -wal and -shm), or point DATABASE_URL to "
            "another database. Agents come along as YAML, exported by the version of the program that made it."
            if what == "database"
            else "Use a later backup."
        )
        raise SchemaMismatch(
            f"The {what} has the first schema as it was before the first release: it lacks {named}{more}, and cannot "
            f"be migrated. {remedy}"
        )


def _refuse_void(connection: Connection) -> None:
    found = (
        connection.exec_driver_sql(SQLITE_COLUMNS)
        if connection.dialect.name == "sqlite"
        else connection.execute(
            _POSTGRES_COLUMNS, {"tables": [table.name for table in metadata.tables.values()]}
        )
    )
    refuse_void((table, column) for table, column in found)


def _upgrade_sqlite(database: Database, *, to: str) -> list[str]:
    with database.exclusive() as connection:
        found = _revision(connection)
        _refuse_newer(found)
        if found is not None and found != HEAD_REVISION and database.path is not None:
            _copy_aside(database.path)
        applied = _upgrade_inside(connection, to=to)
        broken = connection.execute(text("PRAGMA foreign_key_check")).first()
        if broken is not None:
            raise StoreNotWritable(
                f"The migration would have broken a reference from the table {broken[0]!r}, so nothing was changed. "
                "Keep the file, go back to the version of the program that you had, and report this."
            )
        return applied


def _upgrade_inside(connection: Connection, *, to: str) -> list[str]:
    found = _revision(connection)
    _refuse_newer(found)
    if found == HEAD_REVISION:
        _refuse_void(connection)
        return []
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    if to in ("head", HEAD_REVISION):
        _refuse_void(connection)  # while what was added can still be taken back
    applied = ScriptDirectory.from_config(config).iterate_revisions(to, found or "base")
    return [script.revision for script in applied][::-1]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _refuse_newer(found: str | None) -> None:
    if found is None or found == HEAD_REVISION:
        return
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found not in known:
        raise SchemaMismatch(
            f"The database has schema {found}, which this version of the program does not know: a newer version has "
            "migrated it. Install that version or a later one, or point DATABASE_URL to another database."
        )


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _say(revision: str | None) -> str:
    return "no tables yet" if revision is None else f"schema {revision}"


def _copy_aside(path: Path) -> None:
    target = path.with_name(f"{path.stem}.before-{HEAD_REVISION}{path.suffix}")
    try:
        with appearing_whole(target) as part:
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
                source.backup(copy)
            make_single_file(part)
    except OSError as exc:
        raise StoreNotWritable(
            f"The copy that is kept of the database before its schema is changed, {target}, cannot be written: "
            f"{exc.strerror}. Nothing was changed; free some space or mend the folder, and start again."
        ) from exc
