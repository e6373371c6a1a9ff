"""Runs as CSV or JSON lines, written piece by piece: a million runs need no more memory than a page of them."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, assert_never

from core.services.money import usd_text
from core.services.principal import Principal
from core.services.runs import RunService
from core.storage.records import RunDetail, RunFilter

ExportFormat = Literal["csv", "jsonl"]

COLUMNS: Final = (
    "id",
    "created_at",
    "finished_at",
    "status",
    "agent",
    "provider",
    "model",
    "backend",
    "trigger",
    "attempts",
    "latency_ms",
    "first_token_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "error_code",
    "error_message",
    "prompt",
    "response",
)
"""A value that is unknown is an empty cell (CSV) or null (JSON lines), never 0."""

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def export_runs(
    runs: RunService,
    principal: Principal,
    run_filter: RunFilter,
    *,
    form: ExportFormat,
    on_progress: Callable[[int], None] | None = None,
    every: int = 500,
) -> Iterator[bytes]:
    """Yields the file's bytes in pieces, newest run first.

    Args:
        on_progress: Told how many runs have been written, every `every` runs and at the end.
    """
    written = 0
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    if form == "csv":
        writer.writerow(COLUMNS)
    for detail in runs.iterate(principal, run_filter):
        row = _row(detail)
        match form:
            case "csv":
                writer.writerow([_cell(row[name]) for name in COLUMNS])
            case "jsonl":
                row["request"] = dict(detail.request)
                buffer.write(json.dumps(row, ensure_ascii=False) + "\n")
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
    run = detail.summary
    return {
        "id": str(run.id),
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "status": run.status.value,
        "agent": run.agent_name,
        "provider": run.provider,
        "model": run.model,
        "backend": run.backend.value,
        "trigger": run.trigger.value,
        "attempts": run.attempts,
        "latency_ms": _milliseconds(run.latency_us),
        "first_token_ms": _milliseconds(run.first_token_us),
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": None if run.cost_nanousd is None else usd_text(run.cost_nanousd),
        "error_code": run.error_code,
        "error_message": detail.error_message,
        "prompt": detail.request.get("prompt"),
        "response": detail.response,
    }


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000


def _cell(value: object) -> object:
    # A spreadsheet runs a cell that starts like a formula (OWASP, "CSV Injection"); a leading quote makes it text.
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
