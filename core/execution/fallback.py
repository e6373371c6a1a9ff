"""Which backend runs a request, and which one after it.

DESIGN's rules. On AUTO, a request that AWS Lambda is known to have completed nothing of (out of reach, throttled, the
function failed or was killed) is run here at once, within the run's own deadline. What Lambda answered stands, a
provider's own error too: it would fail again. Where nobody knows whether Lambda completed it, the run ends so, unless
its agent says `retry_on_unknown`; a second generation is then marked as one.

All attempts together send at most `MAX_REQUESTS_PER_RUN` requests to the provider.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from core.contract import AgentRequest, utc_now
from core.errors import ErrorCode, InvalidRequest, LambdaUnreachable
from core.execution.base import Attempt, Completed, Executor
from core.execution.breaker import CircuitBreaker, Ticket, Verdict, verdict_of
from core.execution.choice import BackendChoice
from core.execution.lambda_call import BACKEND as LAMBDA
from core.execution.lambda_call import failure
from core.execution.retrying import RetryPolicy, attempt_until_final
from core.interruption import CancelToken, Limits
from core.invocation import OnDelta

LOCAL: Final = "LOCAL"

Reason = Literal["RETRY", "FALLBACK", "UNKNOWN"]
"""Why an attempt is made that is not the first: the one before may pass; Lambda completed nothing; nobody knows."""

_NOT_SET_UP: Final = (
    "AWS Lambda is not set up here, and this run may go nowhere else. Set LAMBDA_AGENT_FUNCTION_NAME (and "
    "AWS_LAMBDA_REGION) and start again, or choose the backend AUTO or LOCAL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaRoute:
    """The way to AWS Lambda.

    Attributes:
        executor: The function.
        breaker: What keeps runs from it while it is down.
        preferred: Whether AUTO takes it (USE_LAMBDA_FOR_AGENT_EXECUTION).
        near: Whether it runs on this machine, as in the emulator, and reaches what is on it.
    """

    executor: Executor
    breaker: CircuitBreaker
    preferred: bool
    near: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, and where it may run.

    Attributes:
        local: With the key that serves here.
        on_lambda: With the key, or the reference to one, that serves there; None for the same.
        choice: Where.
        retry_on_unknown: Whether to run it again where nobody knows whether Lambda completed it: it may be billed
            twice.
    """

    local: AgentRequest
    on_lambda: AgentRequest | None = None
    choice: BackendChoice = BackendChoice.LOCAL
    retry_on_unknown: bool = False


def _unheard(*_: object) -> None:
    """Told, and does nothing with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told what becomes of a request.

    Attributes:
        on_delta: Each piece of text, from a backend that streams; None asks for no stream.
        on_attempt: An attempt begins, on that backend: between this and its end it may have been sent.
        on_retry: This attempt will be followed by another.
        on_fallback: Another backend takes over from this one, and why, where no attempt tells.
    """

    on_delta: OnDelta | None = None
    on_attempt: Callable[[str, Reason | None], None] = _unheard
    on_retry: Callable[[Attempt], None] = _unheard
    on_fallback: Callable[[str, str | None], None] = _unheard


class FallbackExecutor:
    """This process, and AWS Lambda where it is set up; see the module. Shared by threads."""

    def __init__(self, local: Executor, on_lambda: LambdaRoute | None = None) -> None:
        self._local = local
        self._lambda = on_lambda

    def begins_on(self, choice: BackendChoice) -> str:
        """The backend of a run's first attempt, as long as the breaker lets it through.

        Raises:
            InvalidRequest: It may run on Lambda only, which is not set up.
        """
        return self._local.backend if self._route(choice) is None else LAMBDA

    @property
    def lambda_is_near(self) -> bool:
        """Whether what stands for AWS Lambda reaches the servers on this machine."""
        return self._lambda is not None and self._lambda.near

    def attempt(
        self, asked: Asked, limits: Limits, listener: Listener, *, policy: RetryPolicy | None = None
    ) -> list[Attempt]:
        """All attempts at a request, in order; the last one decides.

        Raises:
            InvalidRequest: As `begins_on`.
        """
        route = self._route(asked.choice)
        rules = policy or RetryPolicy()
        if route is None:
            return self._here(asked, limits, listener, rules, reason=None)
        if asked.choice is BackendChoice.LAMBDA:
            return self._on_lambda_only(route, asked, limits, listener, rules)
        ticket = route.breaker.admit()
        if ticket is None:
            listener.on_fallback(LAMBDA, route.breaker.refusal())
            return self._here(asked, limits, listener, rules, reason=None)
        attempts = self._there(route, asked, limits, listener, rules, reason=None, ticket=ticket)
        last, left = attempts[-1], _left(attempts, rules)
        reason = _next(last, asked)
        if reason is None or not left.max_attempts or _over(limits):
            return attempts
        listener.on_retry(last)
        listener.on_fallback(LAMBDA, None)
        return attempts + self._here(asked, limits, listener, left, reason=reason)

    def _on_lambda_only(
        self, route: LambdaRoute, asked: Asked, limits: Limits, listener: Listener, rules: RetryPolicy
    ) -> list[Attempt]:
        attempts = self._there(route, asked, limits, listener, rules, reason=None)
        last, left = attempts[-1], _left(attempts, rules)
        if _next(last, asked) != "UNKNOWN" or not left.max_attempts or _over(limits):
            return attempts
        if _was_too_large(last):
            return attempts  # it would be as large again, and billed again
        listener.on_retry(last)
        return attempts + self._there(route, asked, limits, listener, left, reason="UNKNOWN")

    def _here(
        self,
        asked: Asked,
        limits: Limits,
        listener: Listener,
        rules: RetryPolicy,
        *,
        reason: Reason | None,
    ) -> list[Attempt]:
        return attempt_until_final(
            self._local,
            asked.local,
            limits,
            on_delta=listener.on_delta,
            on_attempt=_Announced(listener, self._local.backend, reason),
            on_retry=listener.on_retry,
            policy=rules,
        )

    def _there(
        self,
        route: LambdaRoute,
        asked: Asked,
        limits: Limits,
        listener: Listener,
        rules: RetryPolicy,
        *,
        reason: Reason | None,
        ticket: Ticket | None = None,
    ) -> list[Attempt]:
        only_there = asked.choice is BackendChoice.LAMBDA
        guarded = _Guarded(route, ticket)
        try:
            return attempt_until_final(
                guarded,
                asked.on_lambda or asked.local,
                limits,
                on_attempt=_Announced(listener, LAMBDA, reason),
                on_retry=listener.on_retry,
                policy=rules,
                # Waiting for a throttled function to take the next one costs more time than running it here.
                retry_if=lambda attempt: (
                    attempt.completed is Completed.ANSWERED
                    or (only_there and attempt.completed is Completed.NOTHING)
                ),
            )
        finally:
            guarded.close()

    def _route(self, choice: BackendChoice) -> LambdaRoute | None:
        match choice:
            case BackendChoice.LOCAL:
                return None
            case BackendChoice.AUTO:
                return self._lambda if self._lambda is not None and self._lambda.preferred else None
            case BackendChoice.LAMBDA:
                if self._lambda is None:
                    raise InvalidRequest(_NOT_SET_UP)
                return self._lambda
            case _:
                assert_never(choice)


class _Announced:
    """Tells that an attempt begins; those after the first of a backend are retries."""

    def __init__(self, listener: Listener, backend: str, reason: Reason | None) -> None:
        self._listener, self._backend = listener, backend
        self._reason: Reason | None = reason

    def __call__(self) -> None:
        reason = self._reason
        self._reason = "RETRY"
        self._listener.on_attempt(self._backend, reason)


class _Guarded:
    """The function behind its breaker.

    Args:
        route: The way to it.
        ticket: For the first call, if the breaker was asked already.
    """

    backend = LAMBDA

    def __init__(self, route: LambdaRoute, ticket: Ticket | None) -> None:
        self._route = route
        self._ticket = ticket

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        """See `Executor.invoke`."""
        del on_delta
        breaker = self._route.breaker
        ticket, self._ticket = self._ticket or breaker.admit(), None
        if ticket is None:
            return _refused(request, breaker.refusal())
        verdict, reason = Verdict.NEITHER, ""
        try:
            attempt = self._route.executor.invoke(request, cancel=cancel)
            verdict, reason = verdict_of(attempt)
            return attempt
        finally:
            breaker.settle(ticket, verdict, reason)

    def close(self) -> None:
        """Gives back a ticket that was not used."""
        if self._ticket is not None:
            self._route.breaker.settle(self._ticket, Verdict.NEITHER)


def _next(last: Attempt, asked: Asked) -> Reason | None:
    """Why another attempt would follow this one, on whatever backend comes next."""
    match last.completed:
        case Completed.ANSWERED:
            return None
        case Completed.NOTHING:
            return "FALLBACK"
        case Completed.UNKNOWN:
            return "UNKNOWN" if asked.retry_on_unknown else None
        case _:
            assert_never(last.completed)


def _was_too_large(last: Attempt) -> bool:
    error = last.response.error
    return error is not None and error.code is ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE


def _left(attempts: list[Attempt], rules: RetryPolicy) -> RetryPolicy:
    """The rules for what follows: without the requests that the provider may have got."""
    sent = sum(not _surely_unsent(attempt) for attempt in attempts)
    return replace(rules, max_attempts=max(0, rules.max_attempts - sent))


def _surely_unsent(attempt: Attempt) -> bool:
    return attempt.completed is Completed.NOTHING and attempt.response.billed_nothing


def _over(limits: Limits) -> bool:
    return limits.cancel.cancelled or limits.remaining_seconds() == 0


def _refused(request: AgentRequest, message: str) -> Attempt:
    now = utc_now()
    return Attempt(
        backend=LAMBDA,
        response=failure(request, LambdaUnreachable(message, sent=False), seconds=0.0),
        started_at=now,
        finished_at=now,
        latency_us=0,
        completed=Completed.NOTHING,
    )
