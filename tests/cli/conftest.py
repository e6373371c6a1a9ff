"""The command line, called in this process; `run_command` starts it as an operator does."""

from collections.abc import Callable, Generator

import pytest
from typer.testing import CliRunner, Result

from core.logs import release_logging
from core.services.application import Application
from dashboard.cli import app
from tests.support.stored_runs import opened_application

Cli = Callable[..., Result]


@pytest.fixture
def cli() -> Generator[Cli]:
    """Calls a command: `cli("runs", "list", input="...")`; a fault of the program is raised here."""

    def call(*arguments: str, input: str | bytes | None = None, code: int | None = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=input, catch_exceptions=False)
        assert code is None or result.exit_code == code, f"{result.exit_code}: {result.stdout}{result.stderr}"
        return result

    yield call
    release_logging()


@pytest.fixture
def application() -> Generator[Application]:
    """The same installation as the commands of the test see."""
    with opened_application() as application:
        yield application
