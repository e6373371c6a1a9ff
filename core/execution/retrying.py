"""Tries a request again when that can help: one attempt each, in the caller, inside the run's deadline.

Waiting is tenacity's, but asleep on the run's cancel token, so that stop is felt at once. (`stamina`, which wraps
tenacity, has no way to be woken: docs/decisions/.)
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt

from core.contract import AgentRequest
from core.errors import Cancelled, DeadlineExceeded
from core.execution.base import Attempt, Executor
from core.interruption import Limits
from core.invocation import OnDelta

MAX_REQUESTS_PER_RUN: Final = 3
"""Over all layers: the SDKs' own retries are off, and a backend sends one request per attempt."""


def _asleep(limits: Limits, seconds: float) -> None:
    limits.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently.

    Attributes:
        max_attempts: Requests in all, the first included.
        base_seconds, cap_seconds: Full-jitter exponential back-off: a random time between 0 and
            min(cap, base * 2^n), as in "Exponential Backoff And Jitter" of the AWS Architecture Blog.
        pause: How a wait is spent: so many seconds within these limits, with the errors of `Limits.wait`.
    """

    max_attempts: int = MAX_REQUESTS_PER_RUN
    base_seconds: float = 0.5
    cap_seconds: float = 8.0
    pause: Callable[[Limits, float], None] = _asleep


def attempt_until_final(
    executor: Executor,
    request: AgentRequest,
    limits: Limits,
    *,
    on_delta: OnDelta | None = None,
    on_attempt: Callable[[], None] | None = None,
    on_retry: Callable[[Attempt], None] | None = None,
    policy: RetryPolicy | None = None,
    retry_if: Callable[[Attempt], bool] | None = None,
    random_number: Callable[[], float] = random.random,
) -> list[Attempt]:
    """All attempts at `request`, in order; the last one decides.

    Tried again are errors that the response calls retryable, as long as no text came, be it handed to `on_delta` or in
    the response (it would be written, and billed, twice), and the wait ends before the deadline. A `Retry-After` is
    honoured to the second.

    Args:
        executor: Where to run it.
        limits: The run's deadline and cancel token; each attempt gets the time that is left.
        on_attempt: Told that an attempt begins: between this and its end it may have been sent.
        on_retry: Told of each attempt that will be followed by another, before the wait.
        policy: How often and how patiently.
        retry_if: What must be true of an attempt besides.
    """
    rules = policy or RetryPolicy()
    attempts: list[Attempt] = []
    streamed = False

    def forward(text: str) -> None:
        nonlocal streamed
        streamed = True
        if on_delta is not None:
            on_delta(text)

    def attempt_once() -> Attempt:
        remaining = limits.remaining_seconds()
        bounded = (
            request
            if remaining is None
            else request.model_copy(update={"timeout_seconds": max(remaining, 0.001)})
        )
        if on_attempt is not None:
            on_attempt()
        attempt = executor.invoke(bounded, on_delta=forward if on_delta else None, cancel=limits.cancel)
        attempts.append(attempt)
        return attempt

    def wait_seconds(state: RetryCallState) -> float:
        error = attempts[-1].response.error
        if error is not None and error.retry_after_seconds is not None:
            return error.retry_after_seconds
        return random_number() * min(rules.cap_seconds, rules.base_seconds * 2 ** (state.attempt_number - 1))

    def out_of_time(state: RetryCallState) -> bool:
        remaining = limits.remaining_seconds()
        return remaining is not None and state.upcoming_sleep >= remaining

    def may_retry(attempt: Attempt) -> bool:
        error = attempt.response.error
        # Text in the response: of a backend that cannot stream. It was generated before the fault, and is billed.
        some_text = streamed or bool(attempt.response.response)
        if error is None or not error.retryable or some_text or limits.cancel.cancelled:
            return False
        return retry_if is None or retry_if(attempt)

    first = [attempt_once()]
    if not may_retry(first[0]):
        return attempts
    retrying = Retrying(
        retry=retry_if_result(may_retry),
        stop=lambda state: stop_after_attempt(rules.max_attempts)(state) or out_of_time(state),
        wait=wait_seconds,
        sleep=lambda seconds: rules.pause(limits, seconds),
        before_sleep=lambda _: on_retry(attempts[-1]) if on_retry is not None else None,
        retry_error_callback=lambda state: attempts[-1],
    )
    try:
        retrying(lambda: first.pop() if first else attempt_once())
    except (Cancelled, DeadlineExceeded):
        # Stopped while it waited: the last attempt stands, and the caller sees from the limits why nothing followed.
        return attempts
    return attempts
