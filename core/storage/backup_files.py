"""What a backup file holds, and whether it is what was written; nothing here writes to one."""

import hashlib
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from core.errors import InvalidInput
from core.storage.engine import make_single_file

_PIECE_BYTES: Final = 1 << 20


def verified_rows(path: Path) -> Mapping[str, int]:
    """The rows by table of a file that passes SQLite's check. Raises InvalidInput."""
    try:
        with closing(open_reading(path)) as connection:
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


def revision_of(path: Path) -> str:
    """The schema that it has. Raises InvalidInput."""
    try:
        with closing(open_reading(path)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError) as exc:
        raise InvalidInput(f"{path} is a SQLite file, but not of this program.") from exc


def check_digest(path: Path) -> None:
    """Raises InvalidInput if there is no such file, or its SHA-256 is not the one that lies beside it."""
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    beside = path.with_name(path.name + ".sha256")
    if beside.is_file() and beside.read_text().split(maxsplit=1)[:1] != [sha256_of(path)]:
        raise InvalidInput(
            f"{path} is not what was written: its SHA-256 differs from {beside.name}. Use another backup."
        )


def at_rest(path: Path, folder: Path) -> Path:
    """The file as `open_reading` needs it: itself, or a copy in `folder` that holds what its log does.

    A database that was copied as files, or that a killed process left, has its last transactions in a log beside it.

    Raises:
        InvalidInput: Something writes to it, so there is no telling what a copy would hold.
    """
    names = [path.name + suffix for suffix in ("", "-wal", "-journal")]
    files = [file for name in names if (file := path.with_name(name)).is_file() and file.stat().st_size]
    if path not in files or len(files) == 1:
        return path
    try:
        before = [_stamp(file) for file in files]
        for file in files:
            shutil.copyfile(file, folder / file.name)
        changed = [_stamp(file) for file in files] != before
    except FileNotFoundError:
        changed = True  # the log went into the file meanwhile
    except OSError as exc:
        raise InvalidInput(
            f"{exc.filename or path} cannot be read or copied to {folder}: {exc.strerror}."
        ) from exc
    if changed:
        raise InvalidInput(
            f"{path} is a database that something writes to: make a backup of it there first, with "
            "`agent-launcher backup`, and restore that."
        )
    copy = folder / path.name
    try:
        make_single_file(copy)
    except sqlite3.DatabaseError as exc:
        raise InvalidInput(
            f"{path} has a log beside it ({files[1].name}) and cannot be read with it: it is not a backup, or it is "
            "damaged. Use another one."
        ) from exc
    return copy


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def open_reading(path: Path) -> sqlite3.Connection:
    """A connection that reads nothing but this file, and leaves none beside it: see `at_rest`."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
