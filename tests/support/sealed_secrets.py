"""Sealed tokens in a SQLite file, committed one by one: what a rotation needs of a store, and no more."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path


class SealedInFile:
    """Survives the death of the process that changes it."""

    def __init__(self, path: Path, tokens: Iterable[str] = ()) -> None:
        self._path = path
        with closing(self._open()) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY, token TEXT UNIQUE)")
            db.executemany("INSERT INTO secret (token) VALUES (?)", [(token,) for token in tokens])

    def tokens(self) -> list[str]:
        """In the order in which they were added."""
        with closing(self._open()) as db:
            return [token for (token,) in db.execute("SELECT token FROM secret ORDER BY id")]

    def replace(self, old: str, new: str) -> bool:
        """Compares and sets, and commits."""
        with closing(self._open()) as db, db:
            return db.execute("UPDATE secret SET token = ? WHERE token = ?", (new, old)).rowcount == 1

    def add(self, token: str) -> None:
        """One more, committed."""
        with closing(self._open()) as db, db:
            db.execute("INSERT INTO secret (token) VALUES (?)", (token,))

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)
