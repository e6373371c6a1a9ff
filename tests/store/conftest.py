"""A store on each dialect, with this program's schema and nothing in it."""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.storage.store import Store

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def migrated_template(postgres: "PostgresServer") -> str:
    """The name of a Postgres database with the schema, to copy: faster than migrating for each test."""
    url = postgres.create_database()
    Store.migrate(url)
    return url.partition("@/")[2].partition("?")[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each test that uses it, directly or through `database_url` or `store`, runs on both."""
    return request.param


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[str]:
    """The URL of a database with the schema."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.create_database(template=request.getfixturevalue("migrated_template"))
    yield url
    postgres.drop_database(url)


@pytest.fixture
def store(database_url: str) -> Generator[Store]:
    """An open store."""
    store = Store.open(database_url)
    yield store
    store.close()
