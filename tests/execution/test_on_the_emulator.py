"""The executor on Lambda's real emulator and runtime client: answers, ends without one, and an emulator's death."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from core.contract import AgentRequest
from core.errors import ErrorCode
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from core.execution.base import Attempt, Completed, working_on
from tests.support.lambda_emulator import LambdaEmulator
from tests.support.lambda_service import Emulators, LambdaService

RequestOf = Callable[..., AgentRequest]


def executor_on(url: str) -> LambdaExecutor:
    return LambdaExecutor(LambdaTarget(function="function", endpoint_url=url, region="us-east-1"))


def code_of(attempt: Attempt) -> ErrorCode | None:
    return None if attempt.response.error is None else attempt.response.error.code


def test_it_answers_and_its_log_names_the_run(lambda_emulator: LambdaEmulator, request_of: RequestOf) -> None:
    with closing(executor_on(lambda_emulator.url)) as executor:
        with working_on("run-0042"):
            first = executor.invoke(request_of())
        second = executor.invoke(request_of())
    assert [code_of(attempt) for attempt in (first, second)] == [None, None]
    assert first.response.metadata.execution_backend == "LAMBDA"
    assert first.lambda_report is None
    assert lambda_emulator.log.count("run-0042") == 1


def test_its_time_out_is_known_as_one(
    make_lambda_emulator: Callable[..., LambdaEmulator], request_of: RequestOf, tmp_path: Path
) -> None:
    # Ours would end before the time-out.
    (tmp_path / "other.py").write_text("import time\ndef handle(event, context):\n    time.sleep(30)\n")
    emulator = make_lambda_emulator(timeout_seconds=1, handler="other.handle", code=tmp_path)
    with closing(executor_on(emulator.url)) as executor:
        attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_TIMEOUT, Completed.NOTHING)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def handle(event, context):\n    raise KeyError('x')\n", "(KeyError)"),
        ("def handle(event, context):\n    import os\n    os._exit(1)\n", "Runtime.ExitError"),
        ("import no_such_module\n", "cannot be imported"),
        ("handel = None\n", "Runtime.HandlerNotFound"),
    ],
)
def test_a_function_that_ends_without_an_answer(
    make_lambda_emulator: Callable[..., LambdaEmulator],
    request_of: RequestOf,
    tmp_path: Path,
    code: str,
    words: str,
) -> None:
    (tmp_path / "other.py").write_text(code)
    emulator = make_lambda_emulator(handler="other.handle", code=tmp_path)
    with closing(executor_on(emulator.url)) as executor:
        attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_FUNCTION_ERROR, Completed.NOTHING)
    assert attempt.response.error is not None
    assert words in attempt.response.error.message


def test_killed_before_a_call_nothing_ran(lambda_emulator: LambdaEmulator, request_of: RequestOf) -> None:
    with closing(executor_on(lambda_emulator.url)) as executor:
        assert code_of(executor.invoke(request_of())) is None
        lambda_emulator.kill()
        attempt = executor.invoke(request_of())
        assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_UNREACHABLE, Completed.NOTHING)
        assert attempt.response.billed_nothing
        lambda_emulator.start()
        assert code_of(executor.invoke(request_of())) is None


def test_killed_in_the_middle_the_outcome_is_unknown(
    lambda_emulator: LambdaEmulator, request_of: RequestOf
) -> None:
    with closing(executor_on(lambda_emulator.url)) as executor:
        executor.invoke(request_of())
        threading.Timer(0.5, lambda_emulator.kill).start()
        started = time.monotonic()
        attempt = executor.invoke(request_of(prompt="[[delay=15]] hi"))
    assert time.monotonic() - started < 5
    assert (code_of(attempt), attempt.completed) == (ErrorCode.OUTCOME_UNKNOWN, Completed.UNKNOWN)
    assert attempt.response.error is not None
    assert attempt.response.error.may_be_billed is True


def test_a_pool_of_them_behind_the_stand_in(
    make_lambda_emulator: Callable[..., LambdaEmulator], request_of: RequestOf
) -> None:
    pool = Emulators([make_lambda_emulator().url for _ in range(2)])
    with LambdaService(pool) as service, closing(executor_on(service.url)) as executor:
        with ThreadPoolExecutor(4) as threads:
            attempts = list(threads.map(lambda _: executor.invoke(request_of()), range(8)))
        assert {code_of(attempt) for attempt in attempts} == {None}
        assert service.executions == 8
        assert all(attempt.lambda_report and attempt.lambda_report.billed_ms for attempt in attempts)
