"""Runs as CSV or JSON lines, written piece by piece: a million runs need no more memory than a page."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, assert_never

from core import redaction
from core.services.attempt_records import cost_parts, sum_if_known
from core.services.money import exact_json, usd
from core.services.principal import Principal
from core.services.runs import RunService
from core.storage.records import AttemptRecord, Backend, RunDetail, RunFilter


class ExportFormat(StrEnum):
    """The forms of the file; the value is its extension."""

    CSV = "csv"
    JSONL = "jsonl"


COLUMNS: Final = (
    "id",
    "created_at",
    "finished_at",
    "status",
    "agent",
    "agent_id",
    "agent_version_id",
    "provider",
    "model",
    "backend",
    "fell_back_from",
    "trigger",
    "attempts",
    "latency_ms",
    "first_token_ms",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "tokens_cost_usd",
    "lambda_compute_cost_usd",
    "lambda_request_cost_usd",
    "error_code",
    "error_message",
    "group_id",
    "replay_of",
    "system_prompt",
    "prompt",
    "response",
)
"""A value that is unknown is an empty cell (CSV) or null (JSON lines), never 0. Times are ISO 8601 in UTC,
money has exactly its decimal digits: a number in JSON lines, never a rounded float. JSON lines have `request`
and the `attempts` in full besides.
"""

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def export_runs(
    runs: RunService,
    principal: Principal,
    run_filter: RunFilter,
    *,
    form: ExportFormat,
    on_progress: Callable[[int], None] | None = None,
    every: int = 500,
) -> Iterator[bytes]:
    """Yields the file's bytes in pieces of `every` runs, newest run first.

    Whatever looks like a key is masked, wherever it stands: a file leaves the house more easily than a page.

    Args:
        runs: Where they come from.
        principal: Who asks.
        run_filter: Which runs.
        form: Of the file.
        on_progress: Told how many runs have been written, after every piece.
        every: Runs per piece.

    Raises:
        StoreError: While reading; what was yielded before is intact, but the file is not whole.
    """
    written = 0
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    if form is ExportFormat.CSV:
        writer.writerow(COLUMNS)
    for detail in runs.iterate(principal, run_filter):
        match form:
            case ExportFormat.CSV:
                row = _row(detail)
                writer.writerow([_cell(row[name]) for name in COLUMNS])
            case ExportFormat.JSONL:
                buffer.write(exact_json(document_of(detail)) + "\n")
            case _:
                assert_never(form)
        written += 1
        if written % every == 0:
            yield _take(buffer)
            if on_progress is not None:
                on_progress(written)
    yield _take(buffer)
    if on_progress is not None:
        on_progress(written)


def _take(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _row(detail: RunDetail) -> dict[str, Any]:
    run, parts = detail.summary, cost_parts(detail.attempts)
    return {
        "id": str(run.id),
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "status": run.status.value,
        "agent": run.agent_name,
        "agent_id": _text(run.agent_id),
        "agent_version_id": _text(run.agent_version_id),
        "provider": run.provider,
        "model": run.model,
        "backend": run.backend.value,
        "fell_back_from": run.fell_back_from.value if run.fell_back_from else None,
        "trigger": run.trigger.value,
        "attempts": run.attempts,
        "latency_ms": _milliseconds(run.latency_us),
        "first_token_ms": _milliseconds(run.first_token_us),
        "input_tokens": run.input_tokens,
        "cached_input_tokens": _sum(a.cached_input_tokens for a in detail.attempts),
        "cache_write_input_tokens": _sum(a.cache_write_input_tokens for a in detail.attempts),
        "output_tokens": run.output_tokens,
        "reasoning_tokens": _sum(a.reasoning_tokens for a in detail.attempts),
        "cost_usd": _usd(run.cost_nanousd),
        "tokens_cost_usd": _usd(parts.tokens_nanousd),
        "lambda_compute_cost_usd": _usd(parts.lambda_compute_nanousd),
        "lambda_request_cost_usd": _usd(parts.lambda_request_nanousd),
        "error_code": run.error_code,
        "error_message": detail.error_message,
        "group_id": _text(run.group_id),
        "replay_of": _text(run.replay_of),
        "system_prompt": detail.request.get("system_prompt"),
        "prompt": detail.request.get("prompt"),
        "response": detail.response,
    }


def document_of(detail: RunDetail) -> dict[str, Any]:
    """A run as one line of the JSON lines form, for `exact_json`; masked as the log is."""
    row = _row(detail)
    # They stand in the request.
    del row["prompt"], row["system_prompt"]
    whole: dict[str, Any] = {
        **row,
        "request": dict(detail.request),
        "backend_note": detail.backend_note,
        "attempts": [_redacted(_attempt(a)) for a in detail.attempts],
    }
    return _redacted(whole)


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "ordinal": attempt.ordinal,
        "backend": attempt.backend.value,
        "status": attempt.status.value,
        "started_at": attempt.started_at.isoformat(),
        "finished_at": attempt.finished_at.isoformat(),
        "latency_ms": _milliseconds(attempt.latency_us),
        "first_token_ms": _milliseconds(attempt.first_token_us),
        "input_tokens": attempt.input_tokens,
        "cached_input_tokens": attempt.cached_input_tokens,
        "cache_write_input_tokens": attempt.cache_write_input_tokens,
        "output_tokens": attempt.output_tokens,
        "reasoning_tokens": attempt.reasoning_tokens,
        "input_cost_usd": _usd(attempt.input_cost_nanousd),
        "output_cost_usd": _usd(attempt.output_cost_nanousd),
        "tokens_cost_usd": _usd(attempt.tokens_cost_nanousd),
        "lambda_compute_cost_usd": _usd(attempt.lambda_compute_nanousd),
        "lambda_request_cost_usd": _usd(attempt.lambda_request_nanousd),
        "price_source": attempt.price_source,
        "reason": attempt.reason.value if attempt.reason else None,
        **_on_lambda(attempt),
        "finish_reason": attempt.finish_reason,
        "answered_by_model": attempt.answered_by_model,
        "provider_request_id": attempt.provider_request_id,
        "provider_status": attempt.provider_status,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
    }


def _on_lambda(attempt: AttemptRecord) -> dict[str, Any]:
    if attempt.backend is Backend.LOCAL:
        return {}
    return {
        "lambda_price_source": attempt.lambda_price_source,
        "lambda_request_id": attempt.lambda_request_id,
        "lambda_region": attempt.lambda_region,
        "lambda_architecture": attempt.lambda_architecture,
        "lambda_memory_mb": attempt.lambda_memory_mb,
        "lambda_max_memory_mb": attempt.lambda_max_memory_mb,
        "lambda_cold_start": attempt.lambda_cold_start,
        "lambda_duration_ms": _milliseconds(attempt.lambda_duration_us),
        "lambda_init_ms": _milliseconds(attempt.lambda_init_us),
        "lambda_restore_ms": _milliseconds(attempt.lambda_restore_us),
        "lambda_billed_ms": attempt.lambda_billed_ms,
        "lambda_billed_restore_ms": attempt.lambda_billed_restore_ms,
    }


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000


def _usd(nanousd: int | None) -> Decimal | None:
    return None if nanousd is None else usd(nanousd)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return sum_if_known(known) if known else None


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if not isinstance(value, str):
        return value
    value = redaction.redact(value)
    # A spreadsheet runs a cell that starts like a formula (OWASP, "CSV Injection"); a leading quote makes it
    # text.
    return "'" + value if value.startswith(_FORMULA_STARTS) else value


def _redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the log would mask, too: fields named like a secret wholly, wherever in the request they stand."""
    return {
        name: value if name == "attempts" or isinstance(value, Decimal) else redaction.redact_data(value)
        for name, value in fields.items()
    }
