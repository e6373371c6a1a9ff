"""Turns a driver's error into one of ours, by its type and number, never by its text."""

import sqlite3
import sys
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import SchemaMismatch, StoreError, StoreNotWritable, StoreUnavailable
from core.loggers import get_logger

if TYPE_CHECKING:
    import psycopg

log = get_logger("agent_launcher.storage")


class DamagedFile(StoreUnavailable):
    """The SQLite file is no database, or it is damaged."""


class NoDatabaseYet(StoreUnavailable):
    """There is no SQLite file, and it was not to be made."""


class MigrationDue(SchemaMismatch):
    """The schema is older than the program's, or there is none yet.

    Attributes:
        found: The revision that the database has; None if it has no tables of ours.
    """

    def __init__(self, message: str, *, found: str | None) -> None:
        super().__init__(message)
        self.found = found


_SQLITE_FULL = (
    "The disk that holds the database is full: nothing was stored by this action, and what was stored before is "
    "intact. Free some space, or move the data directory (AGENT_LAUNCHER_DATA_DIR) to a larger disk."
)
_SQLITE_READ_ONLY = (
    "The database file cannot be written: it, its folder or the disk is read-only for this user. Pages can still be "
    "read; make the file and its folder writable to run and change things."
)
_POSTGRES_READ_ONLY = (
    "Postgres does not let this user write (a standby, or missing privileges): point DATABASE_URL to the primary, or "
    "grant the user INSERT, UPDATE and DELETE on the schema's tables."
)
_POSTGRES_FULL = (
    "The disk of the Postgres server is full: nothing was stored by this action. Free some space there."
)


class translated:
    """Raises `StoreError` from whatever the driver or SQLAlchemy raised inside: as a class, a third as dear.

    A broken constraint passes: whoever wrote the statement turns it into `Conflict`. So do faults of the program.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, exc: BaseException | None, __: object) -> None:
        if not isinstance(exc, Exception):
            return
        if isinstance(exc, PoolTimeout):
            raise StoreUnavailable(
                "All connections to the database were in use for too long: something holds them open, or the database "
                "is overloaded. Try again; if it stays, restart this process."
            ) from exc
        error = _of_driver(exc.orig if isinstance(exc, DBAPIError) else exc)
        if error is not None:
            raise error from exc


def _of_driver(exc: BaseException | None) -> StoreError | None:
    """None for what the database is not to blame for: a broken constraint, a wrong statement or value."""
    if isinstance(exc, sqlite3.DatabaseError) and not isinstance(
        exc, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
    ):
        return _of_sqlite(exc)
    if "psycopg" not in sys.modules:
        # SQLAlchemy imports it with the first engine for Postgres; a program on SQLite need not wait for it.
        return None
    import psycopg

    if isinstance(exc, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)):
        return _of_postgres(exc)
    if isinstance(exc, psycopg.errors.InsufficientPrivilege):
        return StoreNotWritable(_POSTGRES_READ_ONLY)
    if isinstance(exc, (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)):
        return SchemaMismatch(
            "The database lacks a table or column that this version of the program needs: run `agent-launcher "
            "migrate`, and look for a DATABASE_URL that points to somebody else's database."
        )
    return None


def _of_sqlite(exc: sqlite3.Error) -> StoreError:
    extended = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    match extended & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StoreNotWritable(_SQLITE_FULL)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreNotWritable(_SQLITE_READ_ONLY)
        case sqlite3.SQLITE_IOERR if extended in (
            sqlite3.SQLITE_IOERR_WRITE,
            sqlite3.SQLITE_IOERR_FSYNC,
            sqlite3.SQLITE_IOERR_TRUNCATE,
            sqlite3.SQLITE_IOERR_SHMSIZE,
        ):
            return StoreNotWritable(
                "Writing to the database file failed: check the disk (full, failing, or a network share that went "
                "away). What was stored before is intact."
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreUnavailable(
                "Another process kept the database locked for too long: close other programs that have the file open "
                "(a database browser, a copy under way), then try again."
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreUnavailable(
                "The database file cannot be opened: check that its folder exists and that this user may read and "
                "write there (DATABASE_URL, AGENT_LAUNCHER_DATA_DIR)."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return DamagedFile(
                "The file is not a SQLite database, or it is damaged: restore the last backup with "
                "`agent-launcher restore`, or point DATABASE_URL to another file."
            )
        case _:
            log.error("unexpected database error", exc_info=exc)
            return StoreUnavailable(
                f"SQLite failed ({getattr(exc, 'sqlite_errorname', type(exc).__name__)}); the log has the details."
            )


def _of_postgres(exc: "psycopg.Error") -> StoreError:
    state = exc.sqlstate or ""
    if state == "53100":
        return StoreNotWritable(_POSTGRES_FULL)
    if state == "25006":
        return StoreNotWritable(_POSTGRES_READ_ONLY)
    if state == "53300":
        return StoreUnavailable(
            "Postgres has no free connection: raise its max_connections, or start fewer processes."
        )
    if state in ("55P03", "57014", "40001", "40P01"):
        return StoreUnavailable(
            "Postgres gave up waiting for a lock; nothing was stored by this action. Try again."
        )
    if state == "" or state.startswith(("08", "57")):
        return StoreUnavailable(
            "Postgres cannot be reached, refuses the connection or has closed it: check that it runs, and the host, "
            "database, user and password in DATABASE_URL."
        )
    log.error("unexpected database error", exc_info=exc)
    return StoreUnavailable(f"Postgres failed (SQLSTATE {state}); the log has the details.")
