"""Backup and restore. A backup is a SQLite file with this program's schema, whichever database it is of.

So there is one format to keep and to verify, a backup of SQLite can be restored into Postgres (which is how an
installation grows) and the other way round, and a backup can itself be opened as a store. Beside it lies
`NAME.sha256`, which `sha256sum -c` understands; a restore checks it if it is there.
"""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine

from core.errors import Conflict, InvalidInput, SchemaMismatch, StoreUnavailable
from core.storage import schema
from core.storage.engine import Database, make_single_file
from core.storage.failures import DamagedFile, translated
from core.storage.table_copy import copy_rows, count_rows
from core.storage.tables import HEAD_REVISION
from core.storage.workers import STALE_AFTER_SECONDS, WorkerRepository

_PIECE_BYTES: Final = 1 << 20
_PIECE_PAGES: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What was copied and verified.

    Attributes:
        tables: Rows by table.
        sha256: Of the backup file, in hexadecimal.
        schema: The revision that the data has now.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport(BackupReport):
    """What was restored, and where that is which it took the place of.

    Attributes:
        kept: A backup of what the database held before; None if it had no tables of ours.
        damaged: The file that was no database, under its new name; None if it was one.
    """

    kept: Path | None
    damaged: Path | None


def back_up(database: Database, path: Path) -> BackupReport:
    """Copies the database as it is at this moment into a new file; writers need not stop.

    The file appears under its name only when it has been verified: SQLite's own check of it, and the rows of each table
    against those of the database.

    Raises:
        InvalidInput: The file exists, or its folder does not.
        StoreError: The database or the file failed; no file of that name is left.
    """
    path = path.expanduser().absolute()
    if path.exists():
        raise InvalidInput(f"{path} exists already: choose another name for the backup, or remove it.")
    if not path.parent.is_dir():
        raise InvalidInput(f"The folder {path.parent} does not exist: make it, or choose another.")
    with _scratch_file(path) as partial:
        with translated():
            if database.dialect == "sqlite":
                expected = _copy_sqlite(database, partial)
            else:
                expected = _copy_postgres(database, partial)
            make_single_file(partial)
        try:
            tables = _verified(partial)
        except InvalidInput as exc:
            raise DamagedFile(
                "The database is damaged, so there is no backup of it: restore the last good one with "
                "`agent-launcher restore`, which keeps the damaged file."
            ) from exc
        if tables != expected:
            raise StoreUnavailable(
                "The backup does not hold the rows that the database does: it was discarded. Try again."
            )
        digest = _sha256(partial)
        partial.replace(path)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return BackupReport(
        path=path, tables=tables, size_bytes=path.stat().st_size, sha256=digest, schema=HEAD_REVISION
    )


def restore(path: Path, url: str, *, keep_in: Path, force: bool = False) -> RestoreReport:
    """Puts a backup in the place of everything that the database holds, in one transaction; it is verified first.

    An older backup is brought to this program's schema on the way. What the database holds is backed up before it is
    replaced. A SQLite file that is damaged is put aside under another name.

    Args:
        keep_in: The folder for the backup of what is replaced.
        force: Restore although live processes use the database.

    Raises:
        Conflict: Live processes use the database: nothing was changed.
        InvalidInput: The file is not a backup, or not what was written: nothing was changed.
        SchemaMismatch: It is of a newer version of the program, or the database is: nothing was changed.
        StoreError: The database failed; it holds what it did before.
    """
    path = path.expanduser().absolute()
    _check_digest(path)
    with tempfile.TemporaryDirectory(prefix="agent-launcher-restore-") as folder:
        source_path = path
        tables = _verified(path)
        revision = _revision(path)
        if revision != HEAD_REVISION:
            source_path = Path(folder) / "migrated.db"
            with closing(_open_reading(path)) as source, closing(sqlite3.connect(source_path)) as copy:
                source.backup(copy)
            _migrate(source_path)
            tables = _verified(source_path)
        target, kept, damaged = _open_target(url, keep_in=keep_in, force=force)
        try:
            if target.dialect == "sqlite":
                _replace_sqlite(source_path, target)
            else:
                _replace_postgres(source_path, target)
            with target.read() as connection:
                restored = count_rows(connection)
        finally:
            target.close()
    if restored != tables:
        raise StoreUnavailable(
            "After the restore the database does not hold the rows of the backup: something else writes to it. Stop "
            f"every other process that uses it, and restore again. What it held before: {kept or 'nothing'}."
        )
    return RestoreReport(
        path=path,
        tables=tables,
        size_bytes=path.stat().st_size,
        sha256=_sha256(path),
        schema=HEAD_REVISION,
        kept=kept,
        damaged=damaged,
    )


def _copy_sqlite(database: Database, target: Path) -> Mapping[str, int]:
    # Counted and copied in one reading transaction: what is written meanwhile is in neither.
    with database.read() as connection, closing(sqlite3.connect(target)) as copy:
        expected = count_rows(connection)
        source: sqlite3.Connection = connection.connection.driver_connection  # pyright: ignore[reportAssignmentType]
        source.backup(copy, pages=_PIECE_PAGES, sleep=0)
    return expected


def _copy_postgres(database: Database, target: Path) -> Mapping[str, int]:
    copy = Database(f"sqlite:///{target}")
    try:
        schema.upgrade(copy)
        with database.read() as source, copy.exclusive() as connection:
            copy_rows(source, connection)
            return count_rows(source)
    finally:
        copy.close()


def _replace_sqlite(source_path: Path, target: Database) -> None:
    # The backup interface writes into the target as one transaction, and waits for those who have it open.
    with target.exclusive_driver() as driver, closing(_open_reading(source_path)) as source:
        source.backup(driver)


def _replace_postgres(source_path: Path, target: Database) -> None:
    # Not as a `Database`, which would make the backup one with a write-ahead log: no longer what its SHA-256 is of.
    source = create_engine("sqlite://", creator=lambda: _open_reading(source_path))
    try:
        with source.connect() as rows, target.write() as connection:
            copy_rows(rows, connection)
    finally:
        source.dispose()


def _open_target(url: str, *, keep_in: Path, force: bool) -> tuple[Database, Path | None, Path | None]:
    """The database, ready to be replaced; a backup of what it holds; a damaged file that was in its place."""
    try:
        return *_open_sound_target(url, keep_in=keep_in, force=force), None
    except DamagedFile:
        if not url.startswith("sqlite"):
            raise
        damaged = _put_aside(Path(url.partition(":///")[2].partition("?")[0]))
        return *_open_sound_target(url, keep_in=keep_in, force=force), damaged


def _open_sound_target(url: str, *, keep_in: Path, force: bool) -> tuple[Database, Path | None]:
    database = Database(url)
    try:
        empty = schema.current_revision(database) is None
        schema.ensure(database, migrate=True)
        if not force:
            _refuse_if_used(database)
        name = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.db"
        return database, None if empty else back_up(database, keep_in / name).path
    except BaseException:
        database.close()
        raise


def _refuse_if_used(database: Database) -> None:
    live = WorkerRepository(database).live()
    if live:
        names = ", ".join(f"{worker.kind} on {worker.host} (process {worker.pid})" for worker in live)
        raise Conflict(
            f"The database is in use, and nothing was changed: {names}. Stop that first, and restore then (what was "
            f"killed counts for {STALE_AFTER_SECONDS:.0f} seconds more). With --force it is restored all the same, and "
            "what is running is lost."
        )


def _put_aside(path: Path) -> Path:
    """Renames a file that is no database, so that another can take its place."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _verified(path: Path) -> Mapping[str, int]:
    """The rows by table of a file that passes SQLite's check. Raises InvalidInput."""
    try:
        with closing(_open_reading(path)) as connection:
            problem = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if problem != "ok":
                raise InvalidInput(f"{path} is damaged ({problem}): use another backup.")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise InvalidInput(f"{path} is damaged (a reference leads nowhere): use another backup.")
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
                " AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names
            }
    except sqlite3.DatabaseError as exc:
        raise InvalidInput(f"{path} is not a backup, or it is damaged: use another one.") from exc


def _revision(path: Path) -> str:
    try:
        with closing(_open_reading(path)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError) as exc:
        raise InvalidInput(f"{path} is a SQLite file, but not of this program.") from exc


def _migrate(path: Path) -> None:
    copy = Database(f"sqlite:///{path}")
    try:
        schema.upgrade(copy)
    except SchemaMismatch as exc:
        raise SchemaMismatch(
            "The backup is of a newer version of the program: install that version or a later one, and restore then."
        ) from exc
    finally:
        copy.close()
    make_single_file(path)


def _check_digest(path: Path) -> None:
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    beside = path.with_name(path.name + ".sha256")
    if beside.is_file() and beside.read_text().split(maxsplit=1)[:1] != [_sha256(path)]:
        raise InvalidInput(
            f"{path} is not what was written: its SHA-256 differs from {beside.name}. Use another backup."
        )


def _open_reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _scratch_file(path: Path) -> Generator[Path]:
    """A file beside `path` that only its owner may read: sealed keys and prompts are in it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
