"""SQLite databases that have the schema already: writing a file is quicker than migrating for each test."""

import tempfile
from functools import cache
from pathlib import Path

from core.storage.store import Store

_PREFIX = "sqlite:///"


def put_schema(url: str) -> None:
    """Puts a database with this program's schema, and nothing in it, where a SQLite URL leads, if there is none."""
    path = Path(url.removeprefix(_PREFIX))
    if url.startswith(_PREFIX) and not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_with_schema())


@cache
def _with_schema() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schema.db"
        Store.migrate(f"{_PREFIX}{path}")
        assert [file.name for file in Path(folder).iterdir()] == [path.name], "nothing is left in its log"
        return path.read_bytes()
