"""The circuit breaker: when it opens, what it lets through, how it closes."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.contract import AgentResponse, ErrorBody, Metadata, utc_now
from core.errors import ErrorCode
from core.execution.base import Attempt, Completed
from core.execution.breaker import (
    BreakerState,
    CircuitBreaker,
    Ticket,
    Verdict,
    verdict_of,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("the function agent", clock=clock, now=clock.now)


def ticket(breaker: CircuitBreaker) -> Ticket:
    found = breaker.admit()
    assert found is not None
    return found


def call(breaker: CircuitBreaker, verdict: Verdict, reason: str = "LAMBDA_UNREACHABLE: gone.") -> None:
    breaker.settle(ticket(breaker), verdict, reason)


def open_it(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        call(breaker, Verdict.FAULT)
    assert breaker.status().state is BreakerState.OPEN


def test_three_faults_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    call(breaker, Verdict.FAULT)
    call(breaker, Verdict.FAULT)
    call(breaker, Verdict.ALIVE)  # begins the row anew
    call(breaker, Verdict.FAULT)
    call(breaker, Verdict.FAULT)
    assert breaker.status().state is BreakerState.CLOSED
    assert breaker.status().faults == 2
    call(breaker, Verdict.FAULT, "LAMBDA_TIMEOUT: killed.")
    assert breaker.admit() is None
    status = breaker.status()
    assert (status.state, status.faults, status.reason) == (BreakerState.OPEN, 3, "LAMBDA_TIMEOUT: killed.")
    assert (status.opened_at, status.probe_at) == (NOON, NOON + timedelta(seconds=30))
    assert breaker.refusal() == (
        "No run is sent to the function agent at present: it did not answer 3 times in a row, and is left alone "
        "since 12:00:00 UTC (LAMBDA_TIMEOUT: killed). It is tried again by itself within 5 minutes, or at once when "
        "its breaker is reset."
    )


def test_one_slow_fault_opens_it(breaker: CircuitBreaker) -> None:
    call(breaker, Verdict.SLOW_FAULT)
    assert breaker.status().state is BreakerState.OPEN
    assert "did not answer in time" in breaker.refusal()


def test_what_shows_nothing_changes_nothing(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        call(breaker, Verdict.NEITHER)
    call(breaker, Verdict.FAULT)
    call(breaker, Verdict.NEITHER)
    call(breaker, Verdict.FAULT)
    assert breaker.status().faults == 2
    assert breaker.status().state is BreakerState.CLOSED


def test_one_probe_is_let_through_after_the_pause_and_closes_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    clock.seconds += 29.9
    assert breaker.admit() is None
    clock.seconds += 0.2
    probe = ticket(breaker)
    assert probe.probe
    assert breaker.status().state is BreakerState.HALF_OPEN
    assert breaker.admit() is None, "one at a time"
    breaker.settle(probe, Verdict.ALIVE)
    assert breaker.status().state is BreakerState.CLOSED
    assert (breaker.status().opened_at, breaker.status().reason, breaker.status().faults) == (None, None, 0)
    assert not ticket(breaker).probe


def test_a_probe_that_fails_doubles_the_pause_up_to_the_longest(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    for pause in (30, 60, 120, 240, 300, 300):
        clock.seconds += pause - 0.1
        assert breaker.admit() is None, pause
        clock.seconds += 0.2
        call(breaker, Verdict.FAULT)
    assert breaker.status().opened_at == NOON, "it has not been closed since"
    clock.seconds += 301
    call(breaker, Verdict.ALIVE)
    open_it(breaker)
    clock.seconds += 30.1
    assert breaker.admit() is not None, "the pauses begin anew"


def test_a_probe_that_shows_nothing_leaves_the_next_call_to_be_one(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    clock.seconds += 31
    call(breaker, Verdict.NEITHER)
    assert breaker.status().state is BreakerState.OPEN
    assert ticket(breaker).probe


def test_news_from_before_it_opened_or_was_reset_change_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    late = [ticket(breaker) for _ in range(20)]
    open_it(breaker)
    for each in late[:10]:
        breaker.settle(each, Verdict.FAULT)
    assert breaker.status().probe_at == NOON + timedelta(seconds=30), "not doubled by those under way"
    breaker.settle(late[10], Verdict.ALIVE)
    assert breaker.status().state is BreakerState.OPEN
    breaker.reset()
    assert breaker.status().state is BreakerState.CLOSED
    for each in late[11:]:
        breaker.settle(each, Verdict.FAULT)
    assert breaker.status().faults == 0
    clock.seconds += 1
    open_it(breaker)


def test_a_reset_lets_everything_through_at_once_even_during_a_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    clock.seconds += 31
    probe = ticket(breaker)
    breaker.reset()
    assert all(breaker.admit() is not None for _ in range(5))
    breaker.settle(probe, Verdict.FAULT)
    assert breaker.status().state is BreakerState.CLOSED


def test_of_many_threads_one_probes() -> None:
    breaker = CircuitBreaker("it", pause_seconds=0.0)
    open_it_now = [ticket(breaker) for _ in range(3)]
    for each in open_it_now:
        breaker.settle(each, Verdict.FAULT)
    barrier = threading.Barrier(16)
    got: list[Ticket | None] = []

    def come() -> None:
        barrier.wait()
        got.append(breaker.admit())

    threads = [threading.Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in got if each is not None]) == 1


def attempt(code: str | None, completed: Completed, *, seconds: float = 0.01) -> Attempt:
    now = utc_now()
    response = AgentResponse(
        provider="DEMO",
        model="demo-echo",
        metadata=Metadata(),
        timestamp=now,
        execution_time_seconds=0.0,
        error=None if code is None else ErrorBody(code=ErrorCode(code), message="It failed."),
    )
    return Attempt(
        backend="LAMBDA",
        response=response,
        started_at=now,
        finished_at=now,
        latency_us=int(seconds * 1_000_000),
        completed=completed,
    )


VERDICTS: Sequence[tuple[str | None, Completed, float, Verdict]] = [
    (None, Completed.ANSWERED, 1, Verdict.ALIVE),
    ("AUTHENTICATION_FAILED", Completed.ANSWERED, 1, Verdict.ALIVE),
    ("LAMBDA_UNREACHABLE", Completed.NOTHING, 0.01, Verdict.FAULT),
    ("LAMBDA_UNREACHABLE", Completed.NOTHING, 3.0, Verdict.SLOW_FAULT),
    ("LAMBDA_TIMEOUT", Completed.NOTHING, 60, Verdict.FAULT),
    ("LAMBDA_THROTTLED", Completed.NOTHING, 0.1, Verdict.ALIVE),
    ("LAMBDA_FUNCTION_ERROR", Completed.NOTHING, 0.1, Verdict.ALIVE),
    ("LAMBDA_PAYLOAD_TOO_LARGE", Completed.NOTHING, 0.1, Verdict.NEITHER),
    ("LAMBDA_PAYLOAD_TOO_LARGE", Completed.UNKNOWN, 0.1, Verdict.NEITHER),
    ("OUTCOME_UNKNOWN", Completed.UNKNOWN, 90, Verdict.FAULT),
    ("OUTCOME_UNKNOWN", Completed.UNKNOWN, 0.5, Verdict.NEITHER),
    ("CANCELLED", Completed.UNKNOWN, 1, Verdict.NEITHER),
    ("DEADLINE_EXCEEDED", Completed.NOTHING, 1, Verdict.NEITHER),
]


@pytest.mark.parametrize(("code", "completed", "seconds", "verdict"), VERDICTS)
def test_what_an_attempt_shows_of_lambda(
    code: str | None, completed: Completed, seconds: float, verdict: Verdict
) -> None:
    found, reason = verdict_of(attempt(code, completed, seconds=seconds))
    assert found is verdict
    assert reason == ("" if verdict is Verdict.ALIVE else f"{code}: It failed.")


def test_a_refusal_is_no_time_out_however_slow_this_process_was() -> None:
    refused = attempt("LAMBDA_UNREACHABLE", Completed.NOTHING, seconds=30)
    assert refused.response.error is not None
    error = refused.response.error.model_copy(update={"provider_status": 403})
    answered = replace(refused, response=refused.response.model_copy(update={"error": error}))
    assert verdict_of(answered)[0] is Verdict.FAULT
