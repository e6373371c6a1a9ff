"""Backup. A backup is a SQLite file with this program's schema, whichever database it is of.

So there is one format to keep and to verify, a backup of SQLite can be restored into Postgres (which is how an
installation grows) and the other way round, and a backup can itself be opened as a store. Beside it lies
`NAME.sha256`, which `sha256sum -c` understands; a restore checks it if it is there.

It has the schema that the database has: before an upgrade of the program's schema, that is the older one.
"""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import MetaData, inspect

from core import database_url
from core.errors import InvalidInput, StoreUnavailable
from core.private_files import appearing_whole
from core.storage import schema
from core.storage.backup_files import sha256_of, verified_rows
from core.storage.engine import Database, make_single_file
from core.storage.failures import DamagedFile, translated
from core.storage.table_copy import copy_rows, count_rows
from core.storage.tables import metadata

_PIECE_PAGES: Final = 1_024
_NOT_WRITTEN: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What was copied and verified.

    Attributes:
        tables: Rows by table.
        sha256: Of the backup file, in hexadecimal.
        schema: The revision that the data has.
    """

    path: Path
    tables: Mapping[str, int]
    size_bytes: int
    sha256: str
    schema: str

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.tables.values())


def back_up(database: Database, path: Path) -> BackupReport:
    """Copies the database as it is at this moment into a new file; writers need not stop.

    The file appears under its name only when it has been verified: SQLite's own check of it, and the rows of each table
    against those of the database.

    Raises:
        InvalidInput: The file exists, or cannot be written; or the database has no tables.
        SchemaMismatch: The database is of a newer version of the program.
        StoreError: The database failed; no file of that name is left.
    """
    path = path.expanduser().absolute()
    if path.exists():
        raise InvalidInput(f"{path} exists already: choose another name for the backup, or remove it.")
    if not path.parent.is_dir():
        raise InvalidInput(f"The folder {path.parent} does not exist: make it, or choose another.")
    revision = schema.known_revision(database)
    if revision is None:
        raise InvalidInput("The database has no tables yet: there is nothing to back up.")
    try:
        with (
            appearing_whole(path) as partial,
            appearing_whole(path.with_name(path.name + ".sha256")) as beside,
        ):
            tables = _copy(database, partial, revision=revision, folder=path.parent)
            size, digest = partial.stat().st_size, sha256_of(partial)
            beside.write_text(f"{digest}  {path.name}\n")
    except OSError as exc:
        raise _not_written(path.parent, exc.strerror or type(exc).__name__) from exc
    return BackupReport(path=path, tables=tables, size_bytes=size, sha256=digest, schema=revision)


def _copy(database: Database, partial: Path, *, revision: str, folder: Path) -> Mapping[str, int]:
    with translated():
        if database.dialect == "sqlite":
            expected = _copy_sqlite(database, partial, folder=folder)
        else:
            with _told_of(folder):
                expected = _copy_postgres(database, partial, revision=revision)
        with _told_of(folder):
            make_single_file(partial)
    try:
        tables = verified_rows(partial)
    except InvalidInput as exc:
        raise DamagedFile(
            "The database is damaged, so there is no backup of it: restore the last good one with "
            "`agent-launcher restore`, which keeps the damaged file."
        ) from exc
    if tables != expected:
        raise StoreUnavailable(
            "The backup does not hold the rows that the database does: it was discarded. Try again."
        )
    return tables


def _copy_sqlite(database: Database, target: Path, *, folder: Path) -> Mapping[str, int]:
    # Counted and copied in one reading transaction: what is written meanwhile is in neither.
    with database.read() as connection, closing(sqlite3.connect(target)) as copy:
        names = inspect(connection).get_table_names()
        expected = {
            name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()
            for name in names
            if name != "alembic_version"
        }
        source: sqlite3.Connection = connection.connection.driver_connection  # pyright: ignore[reportAssignmentType]
        with _told_of(folder):
            source.backup(copy, pages=_PIECE_PAGES, sleep=0)
    return expected


def _copy_postgres(database: Database, target: Path, *, revision: str) -> Mapping[str, int]:
    copy = Database(database_url.sqlite_url(target))
    try:
        if not copy.writable:  # what a database can be opened as, a backup cannot be written as
            raise _not_written(target.parent, "the disk is full or read-only")
        schema.upgrade(copy, to=revision)
        with database.read() as source, copy.exclusive() as connection:
            tables = metadata
            if revision != schema.HEAD_REVISION:
                # What an older schema has is not what this program declares. Others' tables may lie beside ours.
                ours = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
                tables = MetaData()
                tables.reflect(source, only=ours)
            copy_rows(source, connection, tables)
            return count_rows(source, tables)
    finally:
        copy.close()


@contextmanager
def _told_of(folder: Path) -> Generator[None]:
    """Where SQLite cannot write the backup, the error is of its folder, and not of the database."""
    try:
        yield
    except Exception as exc:
        cause: BaseException | None = exc
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__
        code = getattr(cause, "sqlite_errorcode", None)
        if code is None or (code not in _NOT_WRITTEN and code & 0xFF not in _NOT_WRITTEN):
            raise
        full = code == sqlite3.SQLITE_FULL
        raise _not_written(folder, "the disk is full" if full else str(cause)) from exc


def _not_written(folder: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        f"The backup cannot be written to {folder} ({reason}), so there is none: make room there or make it writable, "
        "or choose a folder on another disk. The database is as it was."
    )
