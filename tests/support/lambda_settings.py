"""The settings that lead to a function of the tests, as variables and as they are read."""

import os

from core.settings import Settings, load_settings

FUNCTION = "agent"


def lambda_variables(url: str, *, function: str = FUNCTION) -> dict[str, str]:
    """What an operator sets so that the function can be invoked at this address."""
    return {
        "LAMBDA_AGENT_FUNCTION_NAME": function,
        "AWS_LAMBDA_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_LAMBDA": url,
    }


def lambda_settings(url: str) -> Settings:
    """The test's settings, with the function at this address."""
    return load_settings({**os.environ, **lambda_variables(url)})
