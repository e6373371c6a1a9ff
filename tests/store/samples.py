"""Runs and attempts to store."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from core import ids
from core.storage.records import AttemptRecord, Backend, NewRun, RunStatus, Trigger
from core.storage.store import Store

PROJECT = "default"
WORKER = ids.uuid7()


def now() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def new_run(*, at: datetime | None = None, prompt: str = "Say hello.", **changes: Any) -> NewRun:
    """A run that can be started, made at a moment."""
    at = at or now()
    values: dict[str, Any] = {
        "id": ids.uuid7(at=at),
        "project_id": PROJECT,
        "principal_id": "local",
        "worker_id": WORKER,
        "created_at": at,
        "trigger": Trigger.PLAYGROUND,
        "provider": "OPENAI",
        "model": "gpt-5-mini",
        "backend": Backend.LOCAL,
        "request": {"provider": "OPENAI", "model_name": "gpt-5-mini", "prompt": prompt},
    }
    return NewRun(**values | changes)


def new_attempt(run: NewRun | UUID, **changes: Any) -> AttemptRecord:
    """A final, successful, priced attempt of one second."""
    finished_at = changes.pop("finished_at", None) or now()
    values: dict[str, Any] = {
        "id": ids.uuid7(),
        "run_id": run.id if isinstance(run, NewRun) else run,
        "ordinal": 1,
        "backend": Backend.LOCAL,
        "status": RunStatus.SUCCEEDED,
        "started_at": finished_at - timedelta(seconds=1),
        "finished_at": finished_at,
        "final": True,
        "latency_us": 1_000_000,
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_input_tokens": 30,
        "reasoning_tokens": 5,
        "tokens_cost_nanousd": 1_234,
        "input_cost_nanousd": 1_000,
        "output_cost_nanousd": 234,
        "price_source": "genai-prices 0.2.3",
        "finish_reason": "stop",
    }
    return AttemptRecord(**values | changes)


def finish(
    store: Store,
    run: NewRun,
    *attempts: AttemptRecord,
    status: RunStatus = RunStatus.SUCCEEDED,
    at: datetime | None = None,
    response: str | None = "Hello.",
    error_code: str | None = None,
) -> bool:
    """Ends a run, by one successful attempt if none is given."""
    at = at or now()
    return store.runs.finish(
        run.id,
        status=status,
        finished_at=at,
        attempts=attempts or [new_attempt(run, finished_at=at, status=status)],
        response=response,
        error_code=error_code,
        error_message=None if error_code is None else f"It failed with {error_code}.",
    )


def stored_run(store: Store, *, ends_after: timedelta = timedelta(seconds=1), **changes: Any) -> NewRun:
    """A run that succeeded."""
    run = new_run(**changes)
    store.runs.start(run)
    finish(store, run, at=run.created_at + ends_after)
    return run


def figures_of(attempts: list[tuple[NewRun, RunStatus, AttemptRecord, bool]]) -> Mapping[str, int]:
    """A recount by hand: (run, how it ended, attempt, whether any of the run's attempts has no price)."""
    total: dict[str, int] = {}

    def count(name: str, value: int | None) -> None:
        total[name] = total.get(name, 0) + (value or 0)

    for _, status, attempt, unpriced in attempts:
        count("attempts", 1)
        count("runs", attempt.final)
        for each in RunStatus:
            if each is not RunStatus.RUNNING:
                count(each.value.lower(), attempt.final and status is each)
        count("unpriced_runs", attempt.final and unpriced)
        count("untold_attempts", None in (attempt.input_tokens, attempt.output_tokens))
        for kind in ("input", "output", "cached_input", "cache_write_input", "reasoning"):
            count(f"{kind}_tokens", getattr(attempt, f"{kind}_tokens"))
        for part in ("tokens_cost", "input_cost", "output_cost", "lambda_compute", "lambda_request"):
            count(f"{part}_nanousd", getattr(attempt, f"{part}_nanousd"))
    return total
