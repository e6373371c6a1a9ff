"""Pages without a browser: Streamlit's own test runner over a real application, in the test's directory."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.services.application import Application
from core.services.seeding import seed_demo_agents
from dashboard import backend
from tests.support.lambda_app import application_on_lambda
from tests.support.lambda_service import LambdaService
from tests.support.stored_runs import opened_application

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


@pytest.fixture
def application() -> Generator[Application]:
    """A new installation with its demo agents, which the pages of this test show."""
    with opened_application() as application:
        seed_demo_agents(application)
        backend.install(application)
        yield application
        backend.install(None)


@pytest.fixture
def open_app(application: Application) -> Callable[..., AppTest]:
    """Opens a page: `open_app("app_pages/usage.py", range="30 days")`; the parameters are the address's."""
    del application

    def opened(page: str | None = None, **params: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=30)
        for name, value in params.items():
            app.query_params[name] = value
        if page is not None:
            app.switch_page(page)
        return app.run()

    return opened


# On AWS Lambda.


@pytest.fixture
def service() -> Generator[LambdaService]:
    """A stand-in for AWS Lambda, with our function."""
    with LambdaService() as service:
        yield service


@pytest.fixture
def there(service: LambdaService) -> Generator[Application]:
    """A new installation that runs on it."""
    with application_on_lambda(service) as application:
        yield application


@pytest.fixture
def open_there(there: Application) -> Callable[..., AppTest]:
    """As `open_app`, of that installation."""
    del there

    def opened(page: str | None = None, **params: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=30).run()
        for name, value in params.items():
            app.query_params[name] = value
        return app if page is None else app.switch_page(page).run()

    return opened
