"""The stand-in for AWS Lambda, and an executor that asks it."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from core.contract import AgentRequest
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from tests.support.lambda_service import LambdaService


@pytest.fixture
def service() -> Generator[LambdaService]:
    with LambdaService() as service:
        yield service


@pytest.fixture
def make_executor(service: LambdaService) -> Generator[Callable[..., LambdaExecutor]]:
    with ExitStack() as stack:

        def make(**options: object) -> LambdaExecutor:
            target = {"function": "agent", "endpoint_url": service.url, "region": "us-east-1", **options}
            executor = LambdaExecutor(LambdaTarget(**target))  # type: ignore[arg-type]
            stack.callback(executor.close)
            return executor

        yield make


@pytest.fixture
def executor(make_executor: Callable[..., LambdaExecutor]) -> LambdaExecutor:
    return make_executor()


@pytest.fixture
def request_of() -> Callable[..., AgentRequest]:
    def make(**fields: object) -> AgentRequest:
        usual = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "hello", "timeout_seconds": 20}
        return AgentRequest.model_validate({**usual, **fields})

    return make
