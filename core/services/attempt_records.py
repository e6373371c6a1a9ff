"""An attempt as the store keeps it."""

from collections.abc import Iterable
from uuid import UUID

from core import ids
from core.contract import AgentResponse, ErrorBody
from core.errors import ErrorCode
from core.execution.base import Attempt
from core.pricing.catalogue import extraordinary, is_doubtful_server
from core.pricing.cost import TokenCost
from core.storage.records import AttemptRecord, Backend, RunStatus


def attempt_record(
    attempt: Attempt,
    *,
    run_id: UUID,
    ordinal: int,
    final: bool,
    cost: TokenCost | None,
    base_url: str | None = None,
) -> AttemptRecord:
    """The row of an attempt.

    Args:
        attempt: As the executor gave it.
        run_id: Its run.
        ordinal: From 1.
        final: Whether it decides the run.
        cost: What its tokens cost; None is unknown.
        base_url: The request's.
    """
    response, error = attempt.response, attempt.response.error
    usage = response.token_usage
    # Known to be none, not unknown: otherwise a retried refusal would make the whole run's tokens unknown.
    unused = 0 if response.billed_nothing else None
    return AttemptRecord(
        id=ids.uuid7(),
        run_id=run_id,
        ordinal=ordinal,
        backend=Backend(attempt.backend),
        status=status_of(error),
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        final=final,
        latency_us=attempt.latency_us,
        model_time_us=int(response.execution_time_seconds * 1_000_000),
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
    )


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
