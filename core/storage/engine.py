"""Connections: how a transaction begins, who may write at the same time, and what is set on each connection.

SQLite: one writing connection per process and file, under a lock of ours, so that threads wait for one another without
the polling of SQLite's busy handler; each writing transaction is a BEGIN IMMEDIATE, so that it never has to be upgraded
(which fails at once, whatever the busy time-out). Readers have connections of their own that cannot write.
Postgres: a pool; reading transactions of several statements see one snapshot.
"""

import os
import select
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from core import database_url
from core.errors import SettingsError, StoreNotWritable, StoreUnavailable
from core.storage.failures import NoDatabaseYet, translated
from core.storage.group_commit import GroupCommit

Dialect = Literal["sqlite", "postgresql"]
Result = TypeVar("Result")

PAGE_SIZE: Final = 8_192
"""A commit writes whole pages, so small ones are quicker; but texts of a few kilobytes fill pages of 4 KB badly."""

BUSY_TIMEOUT_SECONDS: Final = 30.0
_OLDEST_SQLITE: Final = (3, 33)
"""The first with UPDATE ... FROM."""
_READERS: Final = 32
_POSTGRES_POOL: Final = 10
_POSTGRES_OVERFLOW: Final = 30
_CONNECT_TIMEOUT_SECONDS: Final = 10

_OPEN_FOR_READING_ONLY: Final = (
    "The database file is open for reading only: it, its folder or the disk is read-only for this user. Make them "
    "writable and start again to run and change things."
)


Opening = Literal["create", "existing", "look"]
"""A SQLite file is made if there is none; or it must be there; or it must be there, and nothing at all is written."""


class _WriterLock:
    """A lock with a weak reference, shared by all stores of a process that have the same file open.

    Entering it raises StoreUnavailable after `BUSY_TIMEOUT_SECONDS`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_SECONDS):
            raise StoreUnavailable("Writing waited too long for another part of this process. Try again.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_writer_locks: WeakValueDictionary[str, _WriterLock] = WeakValueDictionary()
_writer_locks_guard = threading.Lock()


class Database:
    """One database. Safe to share between threads, not across a fork.

    Attributes:
        path: The SQLite file; None on Postgres.
        writable: False when the SQLite file could be opened for reading only, or was.
        opened_to_look: Whether nothing at all may be written, see `Opening`.
    """

    def __init__(self, url: str, *, opening: Opening = "create") -> None:
        try:
            self.url = make_url(database_url.normalise(url))
        except SettingsError as exc:
            raise SettingsError(f"DATABASE_URL {exc}") from exc
        self.writable = True
        self.opened_to_look = opening == "look"
        self.path: Path | None = None
        if self.url.get_backend_name() == "sqlite":
            self.dialect: Dialect = "sqlite"
            self.path = Path(self.url.database or "")
            self._open_sqlite(self.path, opening)
        else:
            self.dialect = "postgresql"
            self._writer_lock = self._group = self._kept = None
            self._writer = self._reader = _postgres_engine(self.url)
            self._snapshots = self._reader.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._each_by_itself = self._writer.execution_options(isolation_level="AUTOCOMMIT")

    def _open_sqlite(self, path: Path, opening: Opening) -> None:
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreUnavailable(
                f"This Python has SQLite {sqlite3.sqlite_version}; {'.'.join(map(str, _OLDEST_SQLITE))} or newer is "
                "needed. Take another Python (PYTHON=/path/to/python make setup), or Postgres by DATABASE_URL."
            )
        key = str(path.resolve())
        with _writer_locks_guard:
            self._writer_lock = _writer_locks.get(key)
            if self._writer_lock is None:
                self._writer_lock = _writer_locks[key] = _WriterLock()
        with translated():
            if opening != "create" and not path.exists():
                raise NoDatabaseYet(
                    f"There is no database at {path} yet: the first `agent-launcher up` makes it."
                )
            how = _how_to_look(path) if opening == "look" else _prepare_sqlite_file(path)
        self.writable = how == "rwc"
        self._writer = _sqlite_engine(path, how, begin="BEGIN IMMEDIATE", connections=1)
        self._reader = _sqlite_engine(path, how, begin="BEGIN", connections=_READERS)
        self._group = GroupCommit(self._commit_on_sqlite)
        with translated():
            self._kept = self._writer.connect()
            self._opened_file = _identity(path)
        self._snapshots = self._reader

    def is_in_place(self) -> bool:
        """Whether the SQLite file that is open is still the one at `path`; True on Postgres.

        SQLite goes on with a file that was removed, moved or replaced, and what it writes there is lost in the end.
        """
        return self.path is None or _identity(self.path) == self._opened_file

    def check_permissions(self) -> None:
        """Whether this user may write the SQLite file, without trying. Raises StoreNotWritable."""
        if self.path is not None and not (
            os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK | os.X_OK)
        ):
            raise StoreNotWritable(_OPEN_FOR_READING_ONLY)

    @property
    def engine(self) -> Engine:
        """The engine that writes; for its dialect."""
        return self._writer

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that only reads, from one snapshot however many statements it has.

        Raises:
            StoreError: See `failures`.
        """
        with translated(), self._snapshots.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that may write; commits at the end, rolls back when anything is raised.

        Raises:
            StoreError: See `failures`. IntegrityError passes.
        """
        with (
            self._turn_to_write(),
            translated(),
            self._writing_connection() as connection,
            connection.begin(),
        ):
            yield connection

    def commit(self, work: Callable[[Connection], Result], *, one_statement: bool = False) -> Result:
        """As `write`, for the path that every run takes: on SQLite, threads that come together share a commit.

        Args:
            work: It may be called twice, see `group_commit`.
            one_statement: Whether it is no more than one on the driver's cursor, and a transaction by itself: Postgres
                needs no BEGIN and no COMMIT then, each of which is a way there and back.
        """
        if self._group is not None:
            return self._group.run(work)
        if one_statement:
            with translated(), self._each_by_itself.connect() as connection:
                return work(connection)
        with self.write() as connection:
            return work(connection)

    def _commit_on_sqlite(self, work: Callable[[Connection], Result]) -> Result:
        # What `write` does, without the engine's own bookkeeping, which takes longer than the transaction itself.
        with self._turn_to_write(), translated(), self._writing_connection() as connection:
            driver = _driver(connection)
            driver.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                driver.execute("COMMIT")
            except BaseException:
                driver.rollback()
                raise
            finally:
                if connection.in_transaction():
                    connection.rollback()  # ends SQLAlchemy's idea of the transaction, which is over
            return result

    def _writing_connection(self) -> AbstractContextManager[Connection]:
        return self._writer.connect() if self._kept is None else nullcontext(self._kept)

    @contextmanager
    def exclusive(self) -> Generator[Connection]:
        """As `write`, for migrations of a SQLite file: no reference is checked or cascaded when a table is rebuilt."""
        with self._turn_to_write(), translated(), self._writing_connection() as connection:
            driver = _driver(connection)
            driver.execute("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
            try:
                with connection.begin():
                    yield connection
            finally:
                driver.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def exclusive_driver(self) -> Generator[sqlite3.Connection]:
        """SQLite's own writing connection, outside of a transaction, while no thread of this process writes."""
        with self._turn_to_write(), translated(), self._writing_connection() as connection:
            yield _driver(connection)

    def _turn_to_write(self) -> AbstractContextManager[None]:
        if not self.writable:
            raise StoreNotWritable(_OPEN_FOR_READING_ONLY)
        return self._only_thread()

    def _only_thread(self) -> AbstractContextManager[None]:
        return nullcontext() if self._writer_lock is None else self._writer_lock

    @contextmanager
    def reading(self) -> Generator[Session]:
        """As `read`, with a SQLModel session."""
        with self.read() as connection, Session(connection) as session:
            yield session

    @contextmanager
    def writing(self) -> Generator[Session]:
        """As `write`, with a SQLModel session; flushes at the end."""
        with self.write() as connection, Session(connection, expire_on_commit=False) as session:
            yield session
            session.flush()

    def close(self) -> None:
        """Closes all connections; on SQLite the last process to do so also tidies the write-ahead log away."""
        if self._kept is not None:
            with self._only_thread():
                self._kept.close()
        self._reader.dispose()
        self._writer.dispose()


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _postgres_engine(url: URL) -> Engine:
    query = {
        "connect_timeout": str(_CONNECT_TIMEOUT_SECONDS),
        "application_name": "agent-launcher",
        **url.query,
    }
    engine = create_engine(
        url.set(query=query),
        pool_size=_POSTGRES_POOL,
        max_overflow=_POSTGRES_OVERFLOW,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, *_: object) -> None:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
        # Postgres takes a random read for four times as dear as the next page, which is true of spinning disks. Charts
        # read short ranges of the roll-ups: with its own figure it reads whole tables instead, six times as slow.
        connection.autocommit = True
        connection.execute("SET random_page_cost = 1.1")
        connection.autocommit = False

    @event.listens_for(engine, "checkout")
    def _check(connection: Any, *_: object) -> None:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
        # A connection that a restarted server has closed is noticed before it is used, as with the pool's own ping,
        # but without asking the server: there is something to read, where an idle connection has nothing.
        if connection.closed or _has_news(connection.fileno()):
            raise InvalidatePoolError
        if connection.read_only is False:
            # Left by a reader of a snapshot. It would begin as READ WRITE, which overrules an administrator's
            # default_transaction_read_only, and which a standby refuses before the first statement.
            connection.read_only = None

    return engine


def _has_news(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def make_single_file(path: Path) -> None:
    """Takes the write-ahead log into a SQLite file that nobody has open, and ends it: no file is left beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


_SqliteMode = Literal["rwc", "ro", "immutable"]


def _prepare_sqlite_file(path: Path) -> _SqliteMode:
    """Finds out how the file can be opened, and sets what must be set before its first table.

    A file in a folder that cannot be written opens with `immutable`, and only if there is no write-ahead log beside it:
    SQLite would then not see the transactions in it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailable(
            f"The folder {path.parent} does not exist and cannot be made: {exc.strerror}."
        ) from exc
    with suppress(OSError):  # what cannot be written may still be read: the connection will tell
        # Prompts and sealed keys are in it. SQLite gives the files that it makes beside it the same mode.
        path.touch(mode=0o600)
    try:
        _first_connection(path)
        return "rwc"
    except sqlite3.OperationalError as exc:
        code = exc.sqlite_errorcode & 0xFF
        if not path.exists() or code not in (
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        ):
            raise
    try:
        _try_reading(path, "ro")
        return "ro"
    except sqlite3.OperationalError:
        log_file = path.with_name(path.name + "-wal")
        if log_file.exists() and log_file.stat().st_size > 0:
            raise
    _try_reading(path, "immutable")
    return "immutable"


def _how_to_look(path: Path) -> _SqliteMode:
    """SQLite makes files beside one with a write-ahead log even to read it, and a reader does not remove them.

    Where there is no log, nobody has the file open, and it can be read as it lies.
    """
    how: _SqliteMode = "ro" if path.with_name(path.name + "-wal").exists() else "immutable"
    _try_reading(path, how)
    return how


def _connect(path: Path, how: _SqliteMode) -> sqlite3.Connection:
    quoted = path.as_uri()
    suffix = "?immutable=1" if how == "immutable" else f"?mode={how}"
    return sqlite3.connect(
        quoted + suffix,
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _first_connection(path: Path) -> None:
    connection = _connect(path, "rwc")
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            _switch_to_wal(connection)
        # A read-only file opens, and even gives the lock, without a complaint; only a write finds out.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA user_version = 0")
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The switch does not wait for the busy time-out when another process is just doing the same.
    waited = threading.Event()
    for _ in range(int(BUSY_TIMEOUT_SECONDS / 0.05)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            waited.wait(0.05)
    connection.execute("PRAGMA journal_mode = WAL")


def _try_reading(path: Path, how: _SqliteMode) -> None:
    connection = _connect(path, how)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()


def _sqlite_engine(path: Path, how: _SqliteMode, *, begin: str, connections: int) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = _connect(path, how)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA temp_store = MEMORY")
        # The log is copied into the file every 32 MiB, and not every 8: each time waits for the disk.
        connection.execute("PRAGMA wal_autocheckpoint = 4096")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if begin == "BEGIN":
            connection.execute("PRAGMA query_only = ON")
        return connection

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=min(connections, 5),
        max_overflow=connections - min(connections, 5),
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        # Prompts and sealed keys stay out of errors and logs.
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
        if not _driver(connection).in_transaction:
            connection.exec_driver_sql(begin)

    return engine


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
