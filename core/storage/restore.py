"""Restore: a backup in the place of what a database holds, which is backed up first."""

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine

from core.errors import Conflict, InvalidInput, SchemaMismatch, StoreUnavailable
from core.storage import schema
from core.storage.backup import BackupReport, back_up
from core.storage.backup_files import (
    at_rest,
    check_digest,
    open_reading,
    revision_of,
    sha256_of,
    verified_rows,
)
from core.storage.engine import Database, make_single_file
from core.storage.failures import DamagedFile
from core.storage.table_copy import copy_rows, count_rows
from core.storage.workers import STALE_AFTER_SECONDS, WorkerRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport(BackupReport):
    """What was restored, and where that is which it took the place of.

    Attributes:
        kept: A backup of what the database held before; None if it had no tables of ours.
        damaged: The file that was no database, under its new name; None if it was one.
    """

    kept: Path | None
    damaged: Path | None


def restore(path: Path, url: str, *, keep_in: Path, force: bool = False) -> RestoreReport:
    """Puts a backup in the place of everything that the database holds, in one transaction; it is verified first.

    An older backup is brought to this program's schema on the way. If the file is a database with a log beside it, what
    the log holds is restored too. What the database holds is backed up before it is replaced. A SQLite file that is
    damaged is put aside under another name.

    Args:
        keep_in: The folder for the backup of what is replaced.
        force: Restore although live processes use the database.

    Raises:
        Conflict: Live processes use the database: nothing was changed.
        InvalidInput: The file is not a backup, or not what was written, or it is the database: nothing was
            changed.
        SchemaMismatch: It is of a newer version of the program, or from before the first release, or the database
            is: nothing was changed.
        StoreError: The database failed; it holds what it did before.
    """
    path = path.expanduser().absolute()
    check_digest(path)
    _refuse_itself(path, url)
    with tempfile.TemporaryDirectory(prefix="agent-launcher-restore-") as folder:
        source_path = at_rest(path, Path(folder))
        tables = verified_rows(source_path)
        revision = revision_of(source_path)
        if revision != schema.HEAD_REVISION:
            migrated = Path(folder) / "migrated.db"
            with closing(open_reading(source_path)) as source, closing(sqlite3.connect(migrated)) as copy:
                source.backup(copy)
            _bring_up_to_date(migrated)
            source_path, tables = migrated, verified_rows(migrated)
        with closing(open_reading(source_path)) as source:
            schema.refuse_void(source.execute(schema.SQLITE_COLUMNS), what="backup")
        target, kept, damaged = _open_target(url, keep_in=keep_in, force=force)
        try:
            if target.dialect == "sqlite":
                _replace_sqlite(source_path, target, folder=Path(folder))
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
        sha256=sha256_of(path),
        schema=schema.HEAD_REVISION,
        kept=kept,
        damaged=damaged,
    )


def _refuse_itself(path: Path, url: str) -> None:
    if url.startswith("sqlite") and _sqlite_file(url).exists() and path.samefile(_sqlite_file(url)):
        raise InvalidInput(f"{path} is the database itself, not a backup of it: there is nothing to restore.")


def _sqlite_file(url: str) -> Path:
    return Path(url.partition(":///")[2].partition("?")[0])


def _replace_sqlite(source_path: Path, target: Database, *, folder: Path) -> None:
    with target.read() as connection:
        page_size = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    source_path = _with_pages_of(page_size, source_path, folder)
    # The backup interface writes into the target as one transaction, and waits for those who have it open.
    with target.exclusive_driver() as driver, closing(open_reading(source_path)) as source:
        source.backup(driver)


def _with_pages_of(page_size: int, path: Path, folder: Path) -> Path:
    """The file, or a copy of it in the folder, with pages of that many bytes.

    A database with a write-ahead log keeps its page size, and SQLite's backup interface refuses to write another's
    pages into it (as if it was read-only).
    """
    copy = folder / "pages.db"
    with closing(open_reading(path)) as source:
        if source.execute("PRAGMA page_size").fetchone()[0] == page_size:
            return path
        try:
            with closing(sqlite3.connect(copy)) as same:
                source.backup(same)
            make_single_file(copy)  # with a log it would keep its pages too
            # Not with VACUUM INTO out of the source: SQLite keeps the pages of what is opened as immutable.
            with closing(sqlite3.connect(copy, isolation_level=None)) as changed:
                changed.execute(f"PRAGMA page_size = {page_size}")
                changed.execute("VACUUM")
        except sqlite3.Error as exc:
            raise StoreUnavailable(
                "The backup's pages are not as large as the database's, and a copy in which they are cannot be made in "
                f"{folder}: {exc}. Nothing was changed; free some space there, or set TMPDIR to another folder, and "
                "restore again."
            ) from exc
    return copy


def _replace_postgres(source_path: Path, target: Database) -> None:
    # Not as a `Database`, which would make the backup one with a write-ahead log: no longer what its SHA-256 is of.
    source = create_engine("sqlite://", creator=lambda: open_reading(source_path))
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
        damaged = _put_aside(_sqlite_file(url))
        return *_open_sound_target(url, keep_in=keep_in, force=force), damaged


def _open_sound_target(url: str, *, keep_in: Path, force: bool) -> tuple[Database, Path | None]:
    database = Database(url)
    try:
        empty = schema.known_revision(database) is None
        if not empty and not force:
            _refuse_if_used(database)  # first: a migration would change what they use
        schema.ensure(database, migrate=True)
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


def _bring_up_to_date(path: Path) -> None:
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
