"""An attempt as the store keeps it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from core import ids
from core.contract import AgentResponse, ErrorBody
from core.errors import ErrorCode
from core.execution.base import Attempt, Completed
from core.execution.report_line import LambdaReport
from core.pricing.catalogue import extraordinary, is_doubtful_server
from core.pricing.cost import TokenCost
from core.storage.records import AttemptReason, AttemptRecord, Backend, RunStatus


def attempt_record(
    attempt: Attempt,
    *,
    run_id: UUID,
    ordinal: int,
    final: bool,
    cost: TokenCost | None,
    base_url: str | None = None,
    reason: AttemptReason | None = None,
) -> AttemptRecord:
    """The row of an attempt.

    Args:
        attempt: As the executor gave it.
        run_id: Its run.
        ordinal: From 1.
        final: Whether it decides the run.
        cost: What its tokens cost; None is unknown.
        base_url: The request's.
        reason: Why it was made; None of the first.
    """
    response, error = attempt.response, attempt.response.error
    usage = response.token_usage
    # Known to be none, not unknown: otherwise a retried refusal would make the whole run's tokens unknown.
    unused = 0 if response.billed_nothing else None
    backend = Backend(attempt.backend)
    return AttemptRecord(
        id=ids.uuid7(),
        run_id=run_id,
        ordinal=ordinal,
        backend=backend,
        status=status_of(error),
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        final=final,
        latency_us=attempt.latency_us,
        # Without an answer nobody but the function knows how long the model took.
        model_time_us=int(response.execution_time_seconds * 1_000_000)
        if backend is Backend.LOCAL or attempt.completed is Completed.ANSWERED
        else None,
        first_token_us=_microseconds(response.time_to_first_token_seconds),
        input_tokens=usage.input_tokens if usage else unused,
        output_tokens=usage.output_tokens if usage else unused,
        cached_input_tokens=usage.cached_input_tokens if usage else unused,
        cache_write_input_tokens=usage.cache_write_input_tokens if usage else unused,
        reasoning_tokens=usage.reasoning_tokens if usage else unused,
        tokens_cost_nanousd=cost.total_nanousd if cost else None,
        input_cost_nanousd=cost.all_input_nanousd if cost else None,
        output_cost_nanousd=cost.output_nanousd if cost else None,
        price_source=cost.source if cost else _why_unknown(response, base_url),
        finish_reason=response.finish_reason,
        answered_by_model=response.model,
        provider_request_id=response.provider_request_id,
        error_code=error.code.value if error else None,
        error_message=error.message if error else None,
        error_retryable=error.retryable if error else None,
        provider_status=error.provider_status if error else None,
        reason=reason,
        **(_of_lambda(attempt) if backend is Backend.LAMBDA else _NOTHING),
    )


_NOTHING: dict[str, Any] = {}


def _of_lambda(attempt: Attempt) -> dict[str, Any]:
    """What AWS reported of the execution, and what it cost; known to be 0 where it is certain that nothing ran."""
    from core.pricing import lambda_rates

    report = attempt.lambda_report
    refused = report is None and attempt.completed is Completed.NOTHING and attempt.response.billed_nothing
    cost = lambda_rates.NOTHING_BILLED if refused else lambda_rates.lambda_cost(report)
    priced = not refused and (cost.compute_nanousd is not None or cost.request_nanousd is not None)
    fields: dict[str, Any] = {
        "lambda_compute_nanousd": cost.compute_nanousd,
        "lambda_request_nanousd": cost.request_nanousd,
        "lambda_price_source": f"{lambda_rates.SOURCE}, {lambda_rates.CHECKED}" if priced else None,
    }
    return fields if report is None else fields | _reported(report)


def _reported(report: LambdaReport) -> dict[str, Any]:
    return {
        "lambda_request_id": report.request_id,
        "lambda_region": report.region,
        "lambda_architecture": report.architecture,
        "lambda_memory_mb": report.memory_mb,
        "lambda_max_memory_mb": report.max_memory_mb,
        "lambda_cold_start": report.cold_start,
        "lambda_duration_us": _of_milliseconds(report.duration_ms),
        "lambda_init_us": _of_milliseconds(report.init_ms),
        "lambda_restore_us": _of_milliseconds(report.restore_ms),
        "lambda_billed_ms": report.billed_ms,
        "lambda_billed_restore_ms": report.billed_restore_ms,
    }


def _of_milliseconds(duration: Decimal | None) -> int | None:
    return None if duration is None else int(duration * 1_000)


def _why_unknown(response: AgentResponse, base_url: str | None) -> str | None:
    if is_doubtful_server(response.provider, base_url):
        return (
            "none is known for a server that is not plainly your own; if it is yours, add a price of 0 under "
            "Settings > Prices"
        )
    tier = extraordinary(response.service_tier)
    if tier is None or response.token_usage is None:
        return None
    return f"none is known for service tier {tier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostParts:
    """What a run cost, by part: sums over its attempts, in nano-dollars.

    None is unknown; of the Lambda parts it is also None where no attempt was on Lambda.
    """

    tokens_nanousd: int | None
    lambda_compute_nanousd: int | None
    lambda_request_nanousd: int | None


def cost_parts(attempts: Sequence[AttemptRecord]) -> CostParts:
    """The parts; an attempt that ran here has none of Lambda's."""
    there = [attempt for attempt in attempts if attempt.backend is Backend.LAMBDA]
    return CostParts(
        tokens_nanousd=sum_if_known(a.tokens_cost_nanousd for a in attempts) if attempts else None,
        lambda_compute_nanousd=sum_if_known(a.lambda_compute_nanousd for a in there) if there else None,
        lambda_request_nanousd=sum_if_known(a.lambda_request_nanousd for a in there) if there else None,
    )


def status_of(error: ErrorBody | None) -> RunStatus:
    """The status of a run that ended so."""
    if error is None:
        return RunStatus.SUCCEEDED
    if error.code is ErrorCode.CANCELLED:
        return RunStatus.CANCELLED
    if error.code is ErrorCode.OUTCOME_UNKNOWN:
        return RunStatus.OUTCOME_UNKNOWN
    return RunStatus.FAILED


def sum_if_known(values: Iterable[int | None]) -> int | None:
    """The sum; None as soon as one of them is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1_000_000)
