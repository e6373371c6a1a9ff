"""A store on each dialect, with this program's schema and nothing in it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from core.storage.store import Store
from tests.support.sqlite_files import put_schema


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each test that uses it, directly or through `database_url` or `store`, runs on both."""
    return request.param


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database with the schema."""
    if dialect == "postgresql":
        return request.getfixturevalue("migrated_postgres_url")
    url = f"sqlite:///{tmp_path / 'store.db'}"
    put_schema(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database beside that of `database_url`, to restore into: on both, whatever the other is."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'target.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store(database_url: str) -> Generator[Store]:
    """An open store."""
    store = Store.open(database_url)
    yield store
    store.close()
