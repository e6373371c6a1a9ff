"""When a request is sent again, how long that waits, and what ends it."""

import threading
import time
from collections.abc import Sequence

import pytest

from core.contract import AgentRequest, AgentResponse, ErrorBody, Metadata, utc_now
from core.errors import ErrorCode
from core.execution.base import Attempt
from core.execution.retrying import MAX_REQUESTS_PER_RUN, RetryPolicy, attempt_until_final
from core.interruption import CancelToken, Limits
from core.invocation import OnDelta

REQUEST = AgentRequest(provider="DEMO", model_name="demo-echo", prompt="Hello")
UNAVAILABLE = ErrorBody(code=ErrorCode.PROVIDER_UNAVAILABLE, message="down", retryable=True)
REFUSED = ErrorBody(code=ErrorCode.AUTHENTICATION_FAILED, message="bad key")
QUICK = RetryPolicy(base_seconds=0.001, cap_seconds=0.002)


class Scripted:
    """An executor that fails as told, then succeeds; keeps what it was asked."""

    backend = "LOCAL"

    def __init__(self, errors: Sequence[ErrorBody], *, text: str = "") -> None:
        self.errors = list(errors)
        self.text = text
        self.requests: list[AgentRequest] = []
        self.times: list[float] = []

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        self.requests.append(request)
        self.times.append(time.monotonic())
        if on_delta is not None and self.text:
            on_delta(self.text)
        text = self.text or None
        now = utc_now()
        response = AgentResponse(
            response=text,
            provider=request.provider,
            model=request.model_name,
            metadata=Metadata(),
            timestamp=now,
            execution_time_seconds=0.0,
            error=self.errors.pop(0) if self.errors else None,
        )
        return Attempt(backend="LOCAL", response=response, started_at=now, finished_at=now, latency_us=1)


def codes(attempts: Sequence[Attempt]) -> list[str]:
    return [a.response.error.code.value if a.response.error else "ok" for a in attempts]


def test_a_success_is_sent_once() -> None:
    executor = Scripted([])
    assert codes(attempt_until_final(executor, REQUEST, Limits(), policy=QUICK)) == ["ok"]
    assert len(executor.requests) == 1


def test_what_may_pass_is_tried_again_and_each_attempt_is_kept() -> None:
    told: list[Attempt] = []
    executor = Scripted([UNAVAILABLE, UNAVAILABLE])
    attempts = attempt_until_final(executor, REQUEST, Limits(), policy=QUICK, on_retry=told.append)
    assert codes(attempts) == ["PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE", "ok"]
    assert told == attempts[:2]


def test_a_run_sends_at_most_three_requests() -> None:
    executor = Scripted([UNAVAILABLE] * 9)
    assert len(attempt_until_final(executor, REQUEST, Limits(), policy=QUICK)) == 3
    assert MAX_REQUESTS_PER_RUN == 3
    assert RetryPolicy().max_attempts == MAX_REQUESTS_PER_RUN


def test_what_would_fail_again_is_not_tried_again() -> None:
    executor = Scripted([REFUSED])
    assert codes(attempt_until_final(executor, REQUEST, Limits(), policy=QUICK)) == ["AUTHENTICATION_FAILED"]


def test_nothing_is_written_twice_once_text_arrived() -> None:
    executor = Scripted([UNAVAILABLE], text="half an ans")
    pieces: list[str] = []
    attempts = attempt_until_final(executor, REQUEST, Limits(), policy=QUICK, on_delta=pieces.append)
    assert codes(attempts) == ["PROVIDER_UNAVAILABLE"]
    assert pieces == ["half an ans"]


def test_nothing_is_generated_twice_where_the_backend_cannot_stream() -> None:
    executor = Scripted([UNAVAILABLE] * 2, text="half an ans")
    attempts = attempt_until_final(executor, REQUEST, Limits(), policy=QUICK)
    assert codes(attempts) == ["PROVIDER_UNAVAILABLE"]


def test_retry_after_is_waited_out() -> None:
    executor = Scripted([UNAVAILABLE.model_copy(update={"retry_after_seconds": 0.3})])
    attempt_until_final(executor, REQUEST, Limits(), policy=QUICK)
    assert executor.times[1] - executor.times[0] >= 0.3


def test_a_wait_past_the_deadline_is_not_begun() -> None:
    executor = Scripted([UNAVAILABLE.model_copy(update={"retry_after_seconds": 20.0})])
    started = time.monotonic()
    attempts = attempt_until_final(executor, REQUEST, Limits(timeout_seconds=2), policy=QUICK)
    assert codes(attempts) == ["PROVIDER_UNAVAILABLE"]
    assert time.monotonic() - started < 1.5


def test_stop_ends_a_wait_at_once() -> None:
    cancel = CancelToken()
    executor = Scripted([UNAVAILABLE.model_copy(update={"retry_after_seconds": 60.0})])
    timer = threading.Timer(0.1, cancel.cancel)
    timer.start()
    started = time.monotonic()
    attempts = attempt_until_final(executor, REQUEST, Limits(timeout_seconds=120, cancel=cancel))
    timer.join()
    assert codes(attempts) == ["PROVIDER_UNAVAILABLE"]
    assert time.monotonic() - started < 10


def test_each_attempt_gets_the_time_that_is_left() -> None:
    executor = Scripted([UNAVAILABLE.model_copy(update={"retry_after_seconds": 0.2})])
    attempt_until_final(executor, REQUEST, Limits(timeout_seconds=30), policy=QUICK)
    first, second = (request.timeout_seconds for request in executor.requests)
    assert first is not None
    assert second is not None
    assert first <= 30
    assert second <= first - 0.2


@pytest.mark.parametrize(("number", "longest"), [(0.0, 0.0), (1.0, 0.05)])
def test_back_off_is_full_jitter_under_a_cap(number: float, longest: float) -> None:
    waits: list[float] = []

    class Watched(Limits):
        def wait(self, seconds: float) -> None:
            waits.append(seconds)

    executor = Scripted([UNAVAILABLE, UNAVAILABLE])
    policy = RetryPolicy(base_seconds=0.03, cap_seconds=0.05)
    attempt_until_final(executor, REQUEST, Watched(), policy=policy, random_number=lambda: number)
    assert waits == [number * 0.03, number * longest]
