"""A run as somebody who follows it sees it: the same facts while it is under way, and long after."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from core.services.attempt_records import sum_if_known
from core.services.live_runs import LiveRun
from core.storage.records import Backend, RunDetail, RunStatus

_MEASURABLE_US = 50_000
"""Below this a rate of tokens says more about the clock than about the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """Durations in microseconds, money in nano-dollars; None is unknown, or not known yet.

    Attributes:
        text: The answer, or what there is of it.
        waiting: Asked for, but no thread is free yet.
        stopping: Somebody pressed stop, and it has not ended yet.
        elapsed_us: Until now while it is under way, else its latency.
        attempt: The number of the attempt that is under way, or that decided.
        retry_reason: The error code of the attempt before that one.
        first_token_us: As its latency, from the run's beginning: what failed before counts too.
        cost_nanousd: Over all attempts; None while it is under way.
        store_error: Why the finished run is not in the store.
        elsewhere: Another process works on it, so that its text cannot be seen until its end.
        backend: Where it is under way, or where the deciding attempt was.
        fell_back_from: The backend that was to run it first; `backend_note` says why, where its attempts do not.
    """

    run_id: UUID
    status: RunStatus
    provider: str
    model: str
    text: str = ""
    waiting: bool = False
    stopping: bool = False
    elapsed_us: int | None = None
    attempt: int = 1
    retry_reason: str | None = None
    first_token_us: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nanousd: int | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    store_error: str | None = None
    elsewhere: bool = False
    backend: Backend = Backend.LOCAL
    fell_back_from: Backend | None = None
    backend_note: str | None = None

    @property
    def in_one_piece(self) -> bool:
        """Whether nothing of the answer can be seen before all of it is there: AWS Lambda does not stream."""
        return self.under_way and self.backend is Backend.LAMBDA

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status is RunStatus.RUNNING

    @property
    def succeeded(self) -> bool:
        """Whether it ended with a whole answer."""
        return self.status is RunStatus.SUCCEEDED

    @property
    def output_tokens_per_second(self) -> float | None:
        """How fast it wrote, from the first text to the end; None if nothing, or too short to measure."""
        if not self.output_tokens or self.elapsed_us is None or self.under_way:
            return None
        writing_us = self.elapsed_us - (self.first_token_us or 0)
        return self.output_tokens * 1_000_000 / writing_us if writing_us >= _MEASURABLE_US else None


def view_of_live(live: LiveRun) -> RunView:
    """The run as this process knows it."""
    outcome = live.outcome
    if outcome is None:
        return RunView(
            run_id=live.run_id,
            status=RunStatus.RUNNING,
            provider=live.provider,
            model=live.model,
            text=live.text,
            waiting=not live.begun,
            stopping=live.cancel.cancelled,
            elapsed_us=int(live.elapsed_seconds * 1_000_000),
            attempt=live.attempt,
            retry_reason=live.retry_reason,
            first_token_us=_microseconds(live.first_token_seconds),
            backend=live.backend,
            fell_back_from=live.fell_back_from,
            backend_note=live.backend_note,
        )
    response = outcome.response
    return RunView(
        run_id=live.run_id,
        status=outcome.status,
        provider=live.provider,
        model=live.model,
        text=response.response or "",
        elapsed_us=outcome.latency_us,
        attempt=outcome.attempts,
        retry_reason=outcome.records[-2].error_code if len(outcome.records) > 1 else None,
        first_token_us=outcome.first_token_us,
        input_tokens=_sum(r.input_tokens for r in outcome.records),
        output_tokens=_sum(r.output_tokens for r in outcome.records),
        cached_input_tokens=_sum(r.cached_input_tokens for r in outcome.records),
        cache_write_input_tokens=_sum(r.cache_write_input_tokens for r in outcome.records),
        reasoning_tokens=_sum(r.reasoning_tokens for r in outcome.records),
        cost_nanousd=outcome.cost_nanousd,
        finish_reason=response.finish_reason,
        error_code=response.error.code.value if response.error else None,
        error_message=response.error.message if response.error else None,
        store_error=outcome.store_error,
        backend=outcome.records[-1].backend if outcome.records else live.backend,
        fell_back_from=outcome.fell_back_from,
        backend_note=outcome.backend_note,
    )


def view_of_detail(detail: RunDetail) -> RunView:
    """The run as the store has it."""
    summary = detail.summary
    last = detail.attempts[-1] if detail.attempts else None
    before = detail.attempts[-2] if len(detail.attempts) > 1 else None
    return RunView(
        run_id=summary.id,
        status=summary.status,
        provider=summary.provider,
        model=summary.model,
        text=detail.response or "",
        elapsed_us=summary.latency_us,
        attempt=max(1, summary.attempts),
        retry_reason=before.error_code if before else None,
        first_token_us=summary.first_token_us,
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cached_input_tokens=_sum(a.cached_input_tokens for a in detail.attempts),
        cache_write_input_tokens=_sum(a.cache_write_input_tokens for a in detail.attempts),
        reasoning_tokens=_sum(a.reasoning_tokens for a in detail.attempts),
        cost_nanousd=summary.cost_nanousd,
        finish_reason=last.finish_reason if last else None,
        error_code=summary.error_code,
        error_message=detail.error_message,
        elsewhere=summary.status is RunStatus.RUNNING,
        backend=summary.backend,
        fell_back_from=summary.fell_back_from,
        backend_note=detail.backend_note,
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return sum_if_known(known) if known else None


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1_000_000)
