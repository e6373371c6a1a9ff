"""What attempts add to the roll-up by function: how long they took on either side, and what AWS reported of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    func,
    literal_column,
    select,
)

from core.storage.records import Backend, RunStatus
from core.storage.tables import AttemptRow, RunRow, UsageByFunctionRow, table_of
from core.storage.timeline import LEVELS

EXECUTIONS: Final = table_of(UsageByFunctionRow)
EXECUTION_KEYS: Final = ("agent_id", "backend", "region", "architecture", "memory_mb")
EXECUTION_SUMS: Final = (
    *("attempts", "fell_back", "timed", "client_us", "model_us", "reported", "cold_starts", "init_us"),
    *("restored", "restore_us", "billed", "billed_ms", "billed_restore_ms", "measured"),
)
EXECUTION_FIGURES: Final = (*EXECUTION_SUMS, "max_memory_mb")

_KEY: Final = ("project_id", "quarter", *EXECUTION_KEYS)
_attempt = table_of(AttemptRow)
_run = table_of(RunRow)

# Written into the SQL: Postgres takes two bound parameters of the same value for two expressions, in a GROUP BY too.
_ZERO: Final[ColumnElement[int]] = literal_column("0", BigInteger())
_ONE: Final[ColumnElement[int]] = literal_column("1", BigInteger())
_NONE: Final[ColumnElement[str]] = literal_column("''")


def facts_of_executions(source: FromClause) -> FromClause:
    """A row for each attempt of `source` (rows like the tail's), with its columns and those of the roll-up."""
    a = _attempt.c
    timed = and_(
        a.status == literal_column(f"'{RunStatus.SUCCEEDED.value}'"),
        a.model_time_us.is_not(None),
    )
    there = a.backend == literal_column(f"'{Backend.LAMBDA.value}'")
    columns: dict[str, ColumnElement[Any]] = {
        "region": func.coalesce(a.lambda_region, _NONE),
        "architecture": func.coalesce(a.lambda_architecture, _NONE),
        "memory_mb": func.coalesce(a.lambda_memory_mb, _ZERO),
        "attempts": _ONE,
        "fell_back": _one_if(and_(a.final, _run.c.fell_back_from.is_not(None))),
        "timed": _one_if(timed),
        "client_us": case((timed, a.latency_us), else_=_ZERO),
        "model_us": case((timed, a.model_time_us), else_=_ZERO),
        "reported": _one_if(and_(there, a.lambda_cold_start.is_not(None))),
        "cold_starts": _one_if(and_(there, a.lambda_cold_start)),
        "init_us": func.coalesce(a.lambda_init_us, _ZERO),
        "restored": _one_if(a.lambda_restore_us.is_not(None)),
        "restore_us": func.coalesce(a.lambda_restore_us, _ZERO),
        "billed": _one_if(and_(a.lambda_billed_ms.is_not(None), a.lambda_memory_mb.is_not(None))),
        "billed_ms": case(
            (a.lambda_memory_mb.is_not(None), func.coalesce(a.lambda_billed_ms, _ZERO)), else_=_ZERO
        ),
        "billed_restore_ms": func.coalesce(a.lambda_billed_restore_ms, _ZERO),
        "measured": _one_if(a.lambda_max_memory_mb.is_not(None)),
        "max_memory_mb": func.coalesce(a.lambda_max_memory_mb, _ZERO),
    }
    kept = [source.c[name] for name in ("project_id", "quarter", "agent_id", "backend")]
    return (
        select(*kept, *(column.label(name) for name, column in columns.items()))
        .select_from(
            source.join(_attempt, (a.run_id == source.c.run_id) & (a.id == source.c.attempt_id)).join(
                _run, _run.c.id == source.c.run_id
            )
        )
        .subquery()
    )


def executions(connection: Connection, source: FromClause) -> Mapping[tuple[Any, ...], Sequence[int]]:
    """What the attempts of `source` add: `EXECUTION_FIGURES` by project, quarter and `EXECUTION_KEYS`."""
    each = facts_of_executions(source)
    keys = [each.c[name] for name in _KEY]
    sums = [func.sum(each.c[name]) for name in EXECUTION_SUMS]
    query = select(*keys, *sums, func.max(each.c.max_memory_mb)).group_by(*keys)
    return {
        tuple(row[: len(_KEY)]): [int(value) for value in row[len(_KEY) :]]
        for row in connection.execute(query)
    }


def add_up_executions(
    generation: int, added: Mapping[tuple[Any, ...], Sequence[int]]
) -> Sequence[Mapping[str, Any]]:
    """The rows of the roll-up that these add to, in the order of its key, at all levels."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for (project_id, quarter, *key), figures in added.items():
        for level in LEVELS:
            place = (project_id, level, quarter - quarter % level, *key)
            before = found.get(place)
            if before is None:
                found[place] = list(figures)
            else:
                *sums, highest = zip(before, figures, strict=True)
                found[place] = [*(a + b for a, b in sums), max(highest)]
    names = ("project_id", "level", "start", *EXECUTION_KEYS)
    return [
        {
            "generation": generation,
            **dict(zip(names, place, strict=True)),
            **dict(zip(EXECUTION_FIGURES, found[place], strict=True)),
        }
        for place in sorted(found)
    ]


def _one_if(condition: ColumnElement[Any]) -> ColumnElement[int]:
    return case((condition, _ONE), else_=_ZERO)
