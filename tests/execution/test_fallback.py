"""Which backend runs a request, and which one after it, over executors that do as they are told."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.contract import AgentRequest, AgentResponse, ErrorBody, Metadata, utc_now
from core.errors import ErrorCode, InvalidRequest
from core.execution.base import Attempt, Completed
from core.execution.breaker import BreakerState, CircuitBreaker
from core.execution.choice import BackendChoice
from core.execution.fallback import Asked, FallbackExecutor, LambdaRoute, Listener
from core.execution.retrying import MAX_REQUESTS_PER_RUN, RetryPolicy
from core.interruption import CancelToken, Limits
from core.invocation import OnDelta

HERE = AgentRequest(provider="DEMO", model_name="demo-echo", prompt="Hello", api_key="here")  # type: ignore[arg-type]
THERE = HERE.model_copy(update={"api_key": None, "api_key_ref": "env:THERE"})
QUICK = RetryPolicy(base_seconds=0.001, cap_seconds=0.002)


@dataclass(frozen=True)
class End:
    """How one attempt ends."""

    code: str | None = None
    completed: Completed = Completed.ANSWERED
    retryable: bool = False
    billed: bool = True
    seconds: float = 0.0


OK = End()
UNREACHABLE = End("LAMBDA_UNREACHABLE", Completed.NOTHING, retryable=True, billed=False)
THROTTLED = End("LAMBDA_THROTTLED", Completed.NOTHING, retryable=True, billed=False)
TIMED_OUT = End("LAMBDA_TIMEOUT", Completed.NOTHING)
FAILED = End("LAMBDA_FUNCTION_ERROR", Completed.NOTHING)
LOST = End("OUTCOME_UNKNOWN", Completed.UNKNOWN)
LOST_ANSWER = End("LAMBDA_PAYLOAD_TOO_LARGE", Completed.UNKNOWN)
BUSY = End("RATE_LIMITED", retryable=True, billed=False)
BAD_KEY = End("AUTHENTICATION_FAILED", billed=False)


class Scripted:
    """A backend whose attempts end as told; the last end is repeated."""

    def __init__(self, backend: str, *ends: End) -> None:
        self.backend = backend
        self.ends = list(ends) or [OK]
        self.requests: list[AgentRequest] = []
        self.streamed: list[bool] = []

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        self.requests.append(request)
        self.streamed.append(on_delta is not None)
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if end.seconds and cancel is not None:
            cancel.event.wait(end.seconds)
        if on_delta is not None and end.code is None:
            on_delta("Hello")
        now = utc_now()
        error = None
        if end.code is not None:
            error = ErrorBody(
                code=ErrorCode(end.code),
                message="It failed.",
                retryable=end.retryable,
                may_be_billed=end.billed,
            )
        response = AgentResponse(
            provider=request.provider,
            model=request.model_name,
            metadata=Metadata(execution_backend=self.backend),
            timestamp=now,
            execution_time_seconds=0.0,
            error=error,
        )
        return Attempt(
            backend=self.backend,
            response=response,
            started_at=now,
            finished_at=now,
            latency_us=1,
            completed=end.completed,
        )


@dataclass
class Heard:
    """What a listener was told."""

    begun: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    retried: list[str] = field(default_factory=list[str])
    fallbacks: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    text: str = ""

    def listener(self, *, stream: bool = True) -> Listener:
        def on_delta(text: str) -> None:
            self.text += text

        return Listener(
            on_delta=on_delta if stream else None,
            on_attempt=lambda backend, reason: self.begun.append((backend, reason)),
            on_retry=lambda attempt: self.retried.append(code(attempt)),
            on_fallback=lambda backend, note: self.fallbacks.append((backend, note)),
        )


def code(attempt: Attempt) -> str:
    error = attempt.response.error
    return "ok" if error is None else error.code.value


class Bench:
    """Both backends, and what became of a request."""

    def __init__(
        self, there: Sequence[End] = (), here: Sequence[End] = (), *, preferred: bool = True
    ) -> None:
        self.there, self.here = Scripted("LAMBDA", *there), Scripted("LOCAL", *here)
        self.breaker = CircuitBreaker("the function agent")
        route = LambdaRoute(executor=self.there, breaker=self.breaker, preferred=preferred)
        self.executor = FallbackExecutor(self.here, route)
        self.heard = Heard()

    def run(
        self,
        choice: BackendChoice = BackendChoice.AUTO,
        *,
        retry_on_unknown: bool = False,
        limits: Limits | None = None,
    ) -> list[tuple[str, str]]:
        asked = Asked(local=HERE, on_lambda=THERE, choice=choice, retry_on_unknown=retry_on_unknown)
        attempts = self.executor.attempt(
            asked, limits or Limits(timeout_seconds=30), self.heard.listener(), policy=QUICK
        )
        return [(attempt.backend, code(attempt)) for attempt in attempts]


def test_auto_takes_lambda_where_it_is_on_and_each_backend_gets_its_own_request() -> None:
    bench = Bench()
    assert bench.executor.begins_on(BackendChoice.AUTO) == "LAMBDA"
    assert bench.run() == [("LAMBDA", "ok")]
    assert bench.run(BackendChoice.LOCAL) == [("LOCAL", "ok")]
    assert [request.api_key_ref for request in bench.there.requests] == ["env:THERE"]
    assert [request.api_key and request.api_key.get_secret_value() for request in bench.here.requests] == [
        "here"
    ]
    assert (bench.there.streamed, bench.here.streamed) == ([False], [True])
    assert bench.heard.fallbacks == []


def test_auto_runs_here_where_lambda_is_off_and_lambda_only_goes_there_all_the_same() -> None:
    bench = Bench(preferred=False)
    assert bench.executor.begins_on(BackendChoice.AUTO) == "LOCAL"
    assert bench.run() == [("LOCAL", "ok")]
    assert bench.run(BackendChoice.LAMBDA) == [("LAMBDA", "ok")]


def test_lambda_only_is_refused_where_none_is_set_up() -> None:
    here = Scripted("LOCAL")
    executor = FallbackExecutor(here)
    assert executor.begins_on(BackendChoice.AUTO) == "LOCAL"
    with pytest.raises(InvalidRequest, match="LAMBDA_AGENT_FUNCTION_NAME"):
        executor.begins_on(BackendChoice.LAMBDA)
    with pytest.raises(InvalidRequest, match="choose the backend AUTO or LOCAL"):
        executor.attempt(Asked(local=HERE, choice=BackendChoice.LAMBDA), Limits(), Listener())
    assert here.requests == []


@pytest.mark.parametrize("end", [UNREACHABLE, THROTTLED, TIMED_OUT, FAILED])
def test_where_lambda_completed_nothing_auto_runs_here_at_once(end: End) -> None:
    bench = Bench([end])
    began = time.monotonic()
    assert bench.run() == [("LAMBDA", end.code), ("LOCAL", "ok")]
    assert time.monotonic() - began < 1
    assert bench.heard.begun == [("LAMBDA", None), ("LOCAL", "FALLBACK")]
    assert bench.heard.retried == [end.code]
    assert bench.heard.fallbacks == [("LAMBDA", None)]
    assert bench.heard.text == "Hello"


@pytest.mark.parametrize("end", [UNREACHABLE, TIMED_OUT, FAILED])
def test_lambda_only_never_runs_here(end: End) -> None:
    bench = Bench([end])
    found = bench.run(BackendChoice.LAMBDA)
    assert {backend for backend, _ in found} == {"LAMBDA"}
    assert found[-1] == ("LAMBDA", end.code)
    assert bench.here.requests == []


def test_lambda_only_waits_for_a_throttled_function() -> None:
    bench = Bench([THROTTLED, THROTTLED, OK])
    assert bench.run(BackendChoice.LAMBDA) == [
        ("LAMBDA", "LAMBDA_THROTTLED"),
        ("LAMBDA", "LAMBDA_THROTTLED"),
        ("LAMBDA", "ok"),
    ]
    assert [reason for _, reason in bench.heard.begun] == [None, "RETRY", "RETRY"]


@pytest.mark.parametrize("choice", [BackendChoice.AUTO, BackendChoice.LAMBDA])
def test_a_providers_own_error_never_falls_back(choice: BackendChoice) -> None:
    bench = Bench([BAD_KEY])
    assert bench.run(choice) == [("LAMBDA", "AUTHENTICATION_FAILED")]
    busy = Bench([BUSY])
    assert busy.run(choice) == [("LAMBDA", "RATE_LIMITED")] * 3
    assert busy.here.requests == []


@pytest.mark.parametrize("choice", [BackendChoice.AUTO, BackendChoice.LAMBDA])
@pytest.mark.parametrize("end", [LOST, LOST_ANSWER])
def test_where_nobody_knows_it_ends_so(choice: BackendChoice, end: End) -> None:
    bench = Bench([end])
    assert bench.run(choice) == [("LAMBDA", end.code)]
    assert bench.here.requests == []


@pytest.mark.parametrize("end", [LOST, LOST_ANSWER])
def test_where_nobody_knows_an_agent_may_ask_for_a_second_generation_which_is_marked(end: End) -> None:
    bench = Bench([end])
    assert bench.run(retry_on_unknown=True) == [("LAMBDA", end.code), ("LOCAL", "ok")]
    assert bench.heard.begun == [("LAMBDA", None), ("LOCAL", "UNKNOWN")]


def test_on_lambda_alone_the_second_generation_is_there_unless_it_would_be_as_large_again() -> None:
    there = Bench([LOST, OK])
    assert there.run(BackendChoice.LAMBDA, retry_on_unknown=True) == [("LAMBDA", LOST.code), ("LAMBDA", "ok")]
    assert there.heard.begun == [("LAMBDA", None), ("LAMBDA", "UNKNOWN")]
    assert there.here.requests == []
    large = Bench([LOST_ANSWER, OK])
    assert large.run(BackendChoice.LAMBDA, retry_on_unknown=True) == [("LAMBDA", LOST_ANSWER.code)]


def test_a_second_generation_that_is_lost_too_is_the_last() -> None:
    bench = Bench([LOST])
    assert bench.run(BackendChoice.LAMBDA, retry_on_unknown=True) == [("LAMBDA", "OUTCOME_UNKNOWN")] * 2


def test_an_unknown_outcome_is_never_retried_as_if_it_had_failed() -> None:
    lost = End("OUTCOME_UNKNOWN", Completed.UNKNOWN, retryable=True)
    assert Bench([lost]).run(BackendChoice.LAMBDA) == [("LAMBDA", "OUTCOME_UNKNOWN")]
    assert Bench([lost]).run() == [("LAMBDA", "OUTCOME_UNKNOWN")]


def sent(bench: Bench, *, unsent: int) -> int:
    return len(bench.there.requests) + len(bench.here.requests) - unsent


def test_a_run_sends_at_most_three_requests_over_both_backends() -> None:
    killed = Bench([TIMED_OUT], [BUSY])
    assert killed.run() == [("LAMBDA", "LAMBDA_TIMEOUT"), *[("LOCAL", "RATE_LIMITED")] * 2]
    assert sent(killed, unsent=0) == MAX_REQUESTS_PER_RUN
    refused = Bench([UNREACHABLE], [BUSY])
    assert refused.run() == [("LAMBDA", "LAMBDA_UNREACHABLE"), *[("LOCAL", "RATE_LIMITED")] * 3]
    assert sent(refused, unsent=1) == MAX_REQUESTS_PER_RUN
    late = Bench([BUSY, BUSY, UNREACHABLE], [BUSY])
    assert late.run() == [
        *[("LAMBDA", "RATE_LIMITED")] * 2,
        ("LAMBDA", "LAMBDA_UNREACHABLE"),
        ("LOCAL", "RATE_LIMITED"),
    ]
    assert sent(late, unsent=1) == MAX_REQUESTS_PER_RUN
    spent = Bench([BUSY, BUSY, TIMED_OUT])
    assert spent.run() == [*[("LAMBDA", "RATE_LIMITED")] * 2, ("LAMBDA", "LAMBDA_TIMEOUT")]
    assert sent(spent, unsent=0) == MAX_REQUESTS_PER_RUN


def test_stop_while_lambda_runs_is_no_reason_to_run_here() -> None:
    for end in (
        End("LAMBDA_FUNCTION_ERROR", Completed.NOTHING, seconds=20),
        End("CANCELLED", Completed.UNKNOWN, seconds=20),
    ):
        bench = Bench([end])
        cancel = CancelToken()
        cancel.cancel()
        assert bench.run(retry_on_unknown=True, limits=Limits(timeout_seconds=30, cancel=cancel)) == [
            ("LAMBDA", end.code)
        ]


def test_the_deadline_is_the_runs() -> None:
    bench = Bench([End("LAMBDA_TIMEOUT", Completed.NOTHING, seconds=0.3)], [OK])
    assert bench.run(limits=Limits(timeout_seconds=0.2)) == [("LAMBDA", "LAMBDA_TIMEOUT")]
    with_time = Bench([End("LAMBDA_TIMEOUT", Completed.NOTHING, seconds=0.3)], [OK])
    assert with_time.run(limits=Limits(timeout_seconds=20)) == [("LAMBDA", "LAMBDA_TIMEOUT"), ("LOCAL", "ok")]
    left = with_time.here.requests[0].timeout_seconds
    assert left is not None and left < 19.8


# The breaker


def test_while_the_breaker_is_open_auto_runs_here_without_an_attempt_there() -> None:
    bench = Bench([UNREACHABLE])
    for _ in range(3):
        assert bench.run()[0] == ("LAMBDA", "LAMBDA_UNREACHABLE")
    assert bench.breaker.status().state is BreakerState.OPEN
    before = len(bench.there.requests)
    bench.heard = Heard()
    assert bench.run() == [("LOCAL", "ok")]
    assert len(bench.there.requests) == before
    assert bench.heard.begun == [("LOCAL", None)]
    ((backend, note),) = bench.heard.fallbacks
    assert backend == "LAMBDA"
    assert note is not None and "LAMBDA_UNREACHABLE: It failed" in note


def test_while_the_breaker_is_open_lambda_only_fails_at_once_and_says_why() -> None:
    bench = Bench([UNREACHABLE])
    bench.run(BackendChoice.LAMBDA)  # three attempts, as it is retried
    assert len(bench.there.requests) == 3
    attempts = bench.executor.attempt(
        Asked(local=HERE, choice=BackendChoice.LAMBDA), Limits(timeout_seconds=30), Listener()
    )
    assert len(bench.there.requests) == 3
    (attempt,) = attempts
    assert (attempt.backend, attempt.completed, attempt.latency_us) == ("LAMBDA", Completed.NOTHING, 0)
    error = attempt.response.error
    assert error is not None
    assert (error.code, error.may_be_billed, error.retryable) == (ErrorCode.LAMBDA_UNREACHABLE, False, False)
    assert "No run is sent to the function agent at present" in error.message
    assert "It failed" in error.message


def test_a_reset_sends_runs_there_again() -> None:
    bench = Bench([UNREACHABLE, UNREACHABLE, UNREACHABLE, OK])
    for _ in range(3):
        bench.run()
    assert bench.run() == [("LOCAL", "ok")]
    bench.breaker.reset()
    assert bench.run() == [("LAMBDA", "ok")]


def test_a_fault_of_ours_gives_its_probe_back() -> None:
    clock = [0.0]
    broken = Scripted("LAMBDA", UNREACHABLE)
    breaker = CircuitBreaker("it", clock=lambda: clock[0])
    executor = FallbackExecutor(
        Scripted("LOCAL"), LambdaRoute(executor=broken, breaker=breaker, preferred=True)
    )
    asked = Asked(local=HERE, choice=BackendChoice.AUTO)
    for _ in range(3):
        executor.attempt(asked, Limits(), Listener())
    clock[0] = 31.0

    def fail(backend: str, reason: object) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):  # before the backend is called at all
        executor.attempt(asked, Limits(), Listener(on_attempt=fail))
    assert breaker.status().state is BreakerState.OPEN
    assert breaker.admit() is not None
