"""An installation on each database; what does not depend on it takes `local_application`."""

from collections.abc import Generator

import pytest

from core.services.application import Application
from tests.support.stored_runs import opened_application


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which database DATABASE_URL leads to: each test that uses it, or `application`, runs on both."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("migrated_postgres_url"))
    return request.param


@pytest.fixture
def application(database: str) -> Generator[Application]:
    """An open application without a server and without housekeeping."""
    with opened_application() as application:
        assert application.store.dialect == database
        yield application


@pytest.fixture
def local_application() -> Generator[Application]:
    """On SQLite alone: what it shows does not depend on the database."""
    with opened_application() as application:
        yield application
