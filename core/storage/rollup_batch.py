"""What some attempts add to the roll-ups: summed up first, then written as one row for each that it changes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Executable, FromClause, Select, Table, case, func, select

from core.storage.dialects import insert
from core.storage.executions import EXECUTION_SUMS, EXECUTIONS, add_up_executions, executions
from core.storage.records import Dimension
from core.storage.tables import (
    FIGURES,
    LatencyHistogramRow,
    UsageByAgentRow,
    UsageByBackendRow,
    UsageByErrorRow,
    UsageByModelRow,
    UsageByPrincipalRow,
    UsageBySliceRow,
    table_of,
)
from core.storage.timeline import LEVELS

SLICE_KEYS: Final = ("provider", "model", "agent_id", "backend", "principal_id")
ROLLUPS: Final[Mapping[Table, tuple[str, ...]]] = {
    table_of(UsageByModelRow): ("provider", "model"),
    table_of(UsageByAgentRow): ("agent_id",),
    table_of(UsageByBackendRow): ("backend",),
    table_of(UsageByPrincipalRow): ("principal_id",),
    table_of(UsageBySliceRow): SLICE_KEYS,
}

ERRORS: Final = table_of(UsageByErrorRow)
HISTOGRAMS: Final = table_of(LatencyHistogramRow)

_SLICE: Final = ("project_id", "quarter", *SLICE_KEYS)
_ERROR_KEYS: Final = ("error_code", "provider", "model", "agent_id", "backend")
_slices = table_of(UsageBySliceRow)
_STARTS_AT_ONCE: Final = 500
_NAMED_AT_MOST: Final = 100


def histogram_keys(row: Any) -> Mapping[Dimension, str]:
    """Under which key of each dimension a row of the tail is counted. Providers are sums over models."""
    return {
        Dimension.MODEL: f"{row.provider}/{row.model}",
        Dimension.AGENT: str(row.agent_id),
        Dimension.BACKEND: row.backend,
        Dimension.PRINCIPAL: row.principal_id,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """What some attempts add.

    Attributes:
        figures: Sums by `_SLICE`.
        errors: Runs by project, quarter and `_ERROR_KEYS`.
        latencies: Histogram buckets, one for each run, by project, quarter, dimension and key.
        slices: The same buckets by `_SLICE`.
        executions: As `executions.executions`.
    """

    figures: Mapping[tuple[Any, ...], Sequence[int]]
    errors: Mapping[tuple[Any, ...], int]
    latencies: Mapping[tuple[str, int, str, str], Sequence[int]]
    slices: Mapping[tuple[Any, ...], Sequence[int]]
    executions: Mapping[tuple[Any, ...], Sequence[int]]


def collect(connection: Connection, attempts: Select[Any]) -> Batch:
    """Sums up what `attempts`, a selection of rows like the tail's, adds."""
    source = attempts.subquery()
    keys = [source.c[name] for name in _SLICE]
    sums = select(*keys, *(func.sum(source.c[name]) for name in FIGURES)).group_by(*keys)
    figures = {
        tuple(row[: len(_SLICE)]): [int(value) for value in row[len(_SLICE) :]]
        for row in connection.execute(sums)
    }
    error_keys = [source.c[name] for name in ("project_id", "quarter", *_ERROR_KEYS)]
    errors = select(*error_keys, func.count()).where(source.c.error_code.is_not(None)).group_by(*error_keys)
    latencies, slices = _latencies(connection, source)
    return Batch(
        figures=figures,
        errors={tuple(row[:-1]): int(row[-1]) for row in connection.execute(errors)},
        latencies=latencies,
        slices=slices,
        executions=executions(connection, source),
    )


def _latencies(
    connection: Connection, source: FromClause
) -> tuple[Mapping[tuple[str, int, str, str], Sequence[int]], Mapping[tuple[Any, ...], Sequence[int]]]:
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    rows = connection.execute(
        select(*(source.c[name] for name in (*_SLICE, "latency_us"))).where(source.c.latency_us.is_not(None))
    ).all()
    found: defaultdict[tuple[str, int, str, str], list[int]] = defaultdict(list)
    slices: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, bucket in zip(rows, histogram.buckets_of([row.latency_us for row in rows]), strict=True):
        for dimension, key in histogram_keys(row).items():
            found[row.project_id, row.quarter, dimension.value, key].append(int(bucket))
        slices[tuple(row[:-1])].append(int(bucket))
    return found, slices


def add(connection: Connection, generation: int, batch: Batch) -> None:
    """Adds it to the roll-ups of a generation, in the connection's transaction."""
    for table, keys in ROLLUPS.items():
        positions = [_SLICE.index(name) for name in keys]
        sums: dict[tuple[Any, ...], Sequence[int]] = {}
        for slice_key, figures in batch.figures.items():
            for level, start in levels(slice_key[1]):
                key = (slice_key[0], level, start, *(slice_key[position] for position in positions))
                before = sums.get(key)
                sums[key] = (
                    figures if before is None else [a + b for a, b in zip(before, figures, strict=True)]
                )
        columns = ("project_id", "level", "start", *keys)
        rows: list[dict[str, Any]] = [
            {
                "generation": generation,
                **dict(zip(columns, key, strict=True)),
                **dict(zip(FIGURES, sums[key], strict=True)),
            }
            for key in sorted(sums)
        ]
        if table is _slices:
            latencies = _latencies_of_slices(connection, generation, batch, sums)
            for row, key in zip(rows, sorted(sums), strict=True):
                row["latencies"] = latencies[key]
        _add_up(connection, table, rows, FIGURES)
    errors: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    for (project_id, quarter, *error_key), runs in batch.errors.items():
        for level, start in levels(quarter):
            errors[project_id, level, start, *error_key] += runs
    columns = ("project_id", "level", "start", *_ERROR_KEYS)
    rows = [
        {"generation": generation, **dict(zip(columns, k, strict=True)), "runs": errors[k]}
        for k in sorted(errors)
    ]
    _add_up(connection, ERRORS, rows, ("runs",))
    _add_latencies(connection, generation, batch)
    _add_up(connection, EXECUTIONS, add_up_executions(generation, batch.executions), EXECUTION_SUMS)


def _latencies_of_slices(
    connection: Connection, generation: int, batch: Batch, keys: Collection[tuple[Any, ...]]
) -> Mapping[tuple[Any, ...], bytes]:
    """The histogram that each of the slices has afterwards; b"" where no run of it has a latency."""
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    added: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for (project_id, quarter, *slice_key), buckets in batch.slices.items():
        for level, start in levels(quarter):
            added[project_id, level, start, *slice_key] += buckets
    starts: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for project_id, level, start, *_ in keys:
        starts[project_id, level].add(start)
    columns = _slices.c
    found: dict[tuple[Any, ...], bytes] = {}
    for (project_id, level), wanted in starts.items():
        conditions = [
            columns.generation == generation,
            columns.project_id == project_id,
            columns.level == level,
        ]
        # A day has thousands of slices, of which a few finished runs touch as few.
        for position, name in enumerate(SLICE_KEYS, start=3):
            named = {key[position] for key in keys}
            if len(named) <= _NAMED_AT_MOST:
                conditions.append(columns[name].in_(sorted(named)))
        key_columns = [columns[name] for name in ("project_id", "level", "start", *SLICE_KEYS)]
        ordered = sorted(wanted)
        for at in range(0, len(ordered), _STARTS_AT_ONCE):
            rows = connection.execute(
                select(*key_columns, columns.latencies).where(
                    *conditions, columns.start.in_(ordered[at : at + _STARTS_AT_ONCE])
                )
            )
            found |= {tuple(row[:-1]): row[-1] for row in rows}
    return {
        key: histogram.add(found.get(key, b""), added[key]) if key in added else found.get(key, b"")
        for key in keys
    }


def levels(quarter: int) -> list[tuple[int, int]]:
    """The (level, start) of the rows in which a quarter hour counts."""
    return [(level, quarter - quarter % level) for level in LEVELS]


def _add_up(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    if rows:
        connection.execute(_adding(connection.dialect.name, table, tuple(names)), rows)


@cache
def _adding(dialect: str, table: Table, names: Sequence[str]) -> Executable:
    """A row added to the one that is there; made once, as making it costs more than executing it for a few rows."""
    new = insert(dialect, table)
    sums = {name: table.c[name] + new.excluded[name] for name in names}
    if table is _slices:
        sums["latencies"] = new.excluded.latencies
    elif table is HISTOGRAMS:
        sums["counts"] = new.excluded.counts
    elif table is EXECUTIONS:
        stored, added = table.c.max_memory_mb, new.excluded.max_memory_mb
        sums["max_memory_mb"] = case((stored < added, added), else_=stored)
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)


def _add_latencies(connection: Connection, generation: int, batch: Batch) -> None:
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    # Grouped so that what is stored already is read with few statements: starts and keys by the rest of the row's key.
    added: defaultdict[tuple[str, str, int], defaultdict[tuple[int, str], list[int]]]
    added = defaultdict(lambda: defaultdict(list))
    for (project_id, quarter, dimension, key), buckets in batch.latencies.items():
        for level, start in levels(quarter):
            added[project_id, dimension, level][start, key] += buckets
    columns = HISTOGRAMS.c
    for (project_id, dimension, level), by_cell in sorted(added.items()):
        starts = sorted({start for start, _ in by_cell})
        stored: dict[tuple[int, str], bytes] = {}
        for at in range(0, len(starts), _STARTS_AT_ONCE):
            found = connection.execute(
                select(columns.start, columns.key, columns.counts).where(
                    columns.generation == generation,
                    columns.project_id == project_id,
                    columns.dimension == dimension,
                    columns.level == level,
                    columns.start.in_(starts[at : at + _STARTS_AT_ONCE]),
                )
            )
            stored |= {(row.start, row.key): row.counts for row in found}
        common = {"generation": generation, "project_id": project_id, "dimension": dimension, "level": level}
        rows = [
            {
                **common,
                "start": start,
                "key": key,
                "counts": histogram.add(stored.get((start, key), b""), buckets),
            }
            for (start, key), buckets in sorted(by_cell.items())
        ]
        _add_up(connection, HISTOGRAMS, rows, ())
