"""What an attempt adds to the roll-ups.

The one definition: the tail is filled with it, a rebuild and a query that no roll-up can answer read it from the
attempts.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)

from core.storage.columns import NO_ID, Id
from core.storage.records import RunStatus
from core.storage.tables import FIGURES, QUARTER_US, AttemptRow, RunRow, UsageTailRow, table_of

run: Final = table_of(RunRow).c
tail: Final = table_of(UsageTailRow).c

KEYS: Final = (
    "attempt_id",
    "run_id",
    "project_id",
    "quarter",
    "provider",
    "model",
    "agent_id",
    "backend",
    "principal_id",
    "error_code",
    "latency_us",
)
COLUMNS: Final = KEYS + FIGURES


# Written into the SQL instead of bound: this runs once per attempt, and has forty of them.
_ONE: Final[ColumnElement[int]] = literal_column("1", BigInteger())
_ZERO: Final[ColumnElement[int]] = literal_column("0", BigInteger())


def _one_if(*conditions: ColumnElement[Any]) -> ColumnElement[int]:
    return case((and_(*conditions), _ONE), else_=_ZERO)


def facts(attempts: FromClause | None = None, runs: FromClause | None = None) -> Select[*tuple[Any, ...]]:
    """A row for each attempt, with the names of `COLUMNS`.

    A run is counted by its final attempt, money and tokens by every one. Latency is the run's, of those that succeeded
    or failed: how long it took until somebody pressed "stop" or a process died is nobody's latency.

    An attempt is "untold" where its input or output tokens are unknown: the provider told none, or nobody knows how it
    ended. One that surely used none has 0 stored and is told. It is counted where its tokens would be, so that no slice
    leaves any out without a mark.

    Args:
        attempts: Other rows with the columns of `attempt`; None is all that are stored.
        runs: Other rows with the columns of `run`, likewise.
    """
    table = table_of(AttemptRow) if attempts is None else attempts
    of_run = table_of(RunRow) if runs is None else runs
    attempt, run = table.c, of_run.c
    final: ColumnElement[Any] = attempt.final

    def ended(*statuses: RunStatus) -> ColumnElement[bool]:
        return or_(*(run.status == literal_column(f"'{status.value}'") for status in statuses))

    columns: dict[str, ColumnElement[Any]] = {
        "attempt_id": attempt.id,
        "run_id": attempt.run_id,
        "project_id": run.project_id,
        "quarter": type_coerce(attempt.finished_at, BigInteger())
        // literal_column(str(QUARTER_US), BigInteger()),
        "provider": run.provider,
        "model": run.model,
        "agent_id": func.coalesce(run.agent_id, literal(NO_ID, Id())),
        "backend": attempt.backend,
        "principal_id": run.principal_id,
        "error_code": case((final, run.error_code)),
        "latency_us": case((and_(final, ended(RunStatus.SUCCEEDED, RunStatus.FAILED)), run.latency_us)),
        "runs": _one_if(final),
        "succeeded": _one_if(final, ended(RunStatus.SUCCEEDED)),
        "failed": _one_if(final, ended(RunStatus.FAILED)),
        "cancelled": _one_if(final, ended(RunStatus.CANCELLED)),
        "outcome_unknown": _one_if(final, ended(RunStatus.OUTCOME_UNKNOWN)),
        "attempts": _ONE,
        "unpriced_runs": _one_if(final, run.unpriced),
        "untold_attempts": _one_if(or_(attempt.input_tokens.is_(None), attempt.output_tokens.is_(None))),
        **{
            name: func.coalesce(attempt[name], _ZERO)
            for name in FIGURES
            if name.endswith(("_tokens", "_nanousd"))
        },
    }
    return select(*(columns[name].label(name) for name in COLUMNS)).select_from(
        table.join(of_run, run.id == attempt.run_id)
    )
