"""An installation that runs on the tests' stand-in for AWS Lambda."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import pytest

from core.services.application import Application
from dashboard import backend
from tests.support.lambda_service import LambdaService
from tests.support.lambda_settings import lambda_variables
from tests.support.stored_runs import opened_application


def lambda_environment(service: LambdaService) -> Mapping[str, str]:
    """What an operator sets, and what they have."""
    return {
        "USE_LAMBDA_FOR_AGENT_EXECUTION": "true",
        **lambda_variables(service.url),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


@contextmanager
def application_on_lambda(service: LambdaService) -> Generator[Application]:
    """That installation, open, and the one that pages show; its variables are set for as long."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lambda_environment(service).items():
            patch.setenv(name, value)
        with opened_application() as application:
            backend.install(application)
            try:
                yield application
            finally:
                backend.install(None)
