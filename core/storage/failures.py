"""Turns a driver's error into one of ours, by its type and number, never by its text."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import StoreError, StoreNotWritable, StoreUnavailable

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


@contextmanager
def translated() -> Generator[None]:
    """Raises `StoreError` from whatever the driver or SQLAlchemy raised inside.

    A broken constraint passes through: it belongs to the one who wrote the statement, who turns it into `Conflict`.
    """
    try:
        yield
    except PoolTimeout as exc:
        raise StoreUnavailable(
            "All connections to the database were in use for too long: something holds them open, or the database "
            "is overloaded. Try again; if it stays, restart this process."
        ) from exc
    except DBAPIError as exc:
        if exc.orig is None or isinstance(exc.orig, (sqlite3.IntegrityError, psycopg.IntegrityError)):
            raise
        raise _of_driver(exc.orig) from exc
    except SQLAlchemyError:
        raise
    except (sqlite3.Error, psycopg.Error) as exc:
        if isinstance(exc, (sqlite3.IntegrityError, psycopg.IntegrityError)):
            raise
        raise _of_driver(exc) from exc


def is_busy(exc: BaseException) -> bool:
    """Whether another connection holds the SQLite lock."""
    orig = exc.orig if isinstance(exc, DBAPIError) else exc
    return isinstance(orig, sqlite3.Error) and _primary(orig) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _of_driver(exc: BaseException) -> StoreError:
    if isinstance(exc, sqlite3.Error):
        return _of_sqlite(exc)
    if isinstance(exc, psycopg.Error):
        return _of_postgres(exc)
    return StoreUnavailable(f"The database failed ({type(exc).__name__}); the log has the details.")


def _primary(exc: sqlite3.Error) -> int:
    return getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


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
            return StoreUnavailable(
                "The file is not a SQLite database, or it is damaged: restore the last backup with "
                "`agent-launcher restore`, or point DATABASE_URL to another file."
            )
        case _:
            return StoreUnavailable(
                f"SQLite failed ({getattr(exc, 'sqlite_errorname', type(exc).__name__)}); the log has the details."
            )


def _of_postgres(exc: psycopg.Error) -> StoreError:
    state = exc.sqlstate or ""
    if state == "53100":
        return StoreNotWritable(_POSTGRES_FULL)
    if state in ("25006", "42501"):
        return StoreNotWritable(_POSTGRES_READ_ONLY)
    if state in ("28P01", "28000"):
        return StoreUnavailable("Postgres refuses this user or password: check DATABASE_URL.")
    if state == "3D000":
        return StoreUnavailable("Postgres has no database of that name: create it, or correct DATABASE_URL.")
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
            "Postgres cannot be reached, or it closed the connection: check that it runs and that DATABASE_URL is right."
        )
    return StoreUnavailable(f"Postgres failed (SQLSTATE {state}); the log has the details.")
