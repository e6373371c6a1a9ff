"""Folding: what attempts add to the figures, moved in batches from the tail into the roll-ups.

Counting inside each run's own transaction would make all writers wait for the few rows that they all change. So a run
only leaves its part in `usage_tail`, and whoever holds the lease adds many of them at once. Adding to the roll-ups and
deleting from the tail is one transaction: killed at any point, all of it or nothing has happened. A row in the tail is
itself the mark "not folded", so attempts that commit in another order than they were made are not missed, which a
high-water mark would do.

A rebuild counts all attempts again under the next generation's number while everybody reads the current one. Nothing is
folded meanwhile: what is not in the tail when it begins is what it counts. If it is interrupted, the next fold, in
whatever process, goes on with it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    FromClause,
    Select,
    Table,
    any_,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import UUID as POSTGRES_UUID

from core import ids
from core.storage import leases
from core.storage.dialects import insert
from core.storage.engine import Database
from core.storage.facts import facts
from core.storage.records import Dimension
from core.storage.tables import (
    FIGURES,
    AttemptRow,
    LatencyHistogramRow,
    RollupStateRow,
    UsageByAgentRow,
    UsageByBackendRow,
    UsageByErrorRow,
    UsageByModelRow,
    UsageByPrincipalRow,
    UsageBySliceRow,
    UsageTailRow,
    table_of,
)
from core.storage.timeline import LEVELS

LEASE: Final = "fold"

SLICE_KEYS: Final = ("provider", "model", "agent_id", "backend", "principal_id")
ROLLUPS: Final[Mapping[Table, tuple[str, ...]]] = {
    table_of(UsageByModelRow): ("provider", "model"),
    table_of(UsageByAgentRow): ("agent_id",),
    table_of(UsageByBackendRow): ("backend",),
    table_of(UsageByPrincipalRow): ("principal_id",),
    table_of(UsageBySliceRow): SLICE_KEYS,
}

_tail = table_of(UsageTailRow)
_attempt = table_of(AttemptRow)
_errors = table_of(UsageByErrorRow)
_histograms = table_of(LatencyHistogramRow)
_state = table_of(RollupStateRow)

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
class _Batch:
    """What some attempts add.

    Attributes:
        figures: Sums by `_SLICE`.
        errors: Runs by project, quarter and `_ERROR_KEYS`.
        latencies: Histogram buckets, one for each run, by project, quarter, dimension and key.
        slices: The same buckets by `_SLICE`.
    """

    figures: Mapping[tuple[Any, ...], Sequence[int]]
    errors: Mapping[tuple[Any, ...], int]
    latencies: Mapping[tuple[str, int, str, str], Sequence[int]]
    slices: Mapping[tuple[Any, ...], Sequence[int]]


class Folder:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = ids.uuid7()

    def fold(self, *, limit: int = 5000, now: datetime | None = None) -> int:
        """Moves up to `limit` attempts into the roll-ups, oldest first, or goes on with a rebuild that was interrupted.

        Returns:
            How many attempts were counted; 0 if there are none, or if another process does it at present.
        """
        if self._nothing_to_do():
            return 0
        with self._database.write() as connection:
            if not leases.take(connection, LEASE, holder=self._holder, now=now or datetime.now(UTC)):
                return 0
            if _building(connection) is not None:
                return self._rebuild_step(connection, limit)
            return self._fold_batch(connection, limit)

    def rebuild(self, progress: Callable[[int, int], None] | None = None, *, batch: int = 5000) -> None:
        """Counts all attempts again and puts the result in the place of the roll-ups, in one step at the end.

        Figures stay exact throughout. Interrupted, it is continued by the next call, or by the next fold.

        Args:
            progress: Told (attempts counted so far by this call, attempts to count in all) after each batch.
        """
        total = self._begin_rebuild()
        done = 0
        while True:
            with self._database.write() as connection:
                leases.take_over(connection, LEASE, holder=self._holder, now=datetime.now(UTC))
                if _building(connection) is None:
                    return
                done += self._rebuild_step(connection, batch)
            if progress is not None:
                progress(min(done, total), total)

    def waits_to_be_folded(self, least: int) -> bool:
        """Whether at least so many attempts are not folded yet; reads no more of them than that."""
        with self._database.read() as connection:
            return (
                connection.execute(select(_tail.c.attempt_id).limit(1).offset(least - 1)).first() is not None
            )

    def _nothing_to_do(self) -> bool:
        with self._database.read() as connection:
            waiting = connection.execute(select(_tail.c.attempt_id).limit(1)).first()
            return waiting is None and _building(connection) is None

    def _fold_batch(self, connection: Connection, limit: int) -> int:
        found = list(
            connection.execute(select(_tail.c.attempt_id).order_by(_tail.c.attempt_id).limit(limit)).scalars()
        )
        if not found:
            return 0
        # On SQLite nobody else writes during this transaction. On Postgres attempts with lower ids may appear.
        if self._database.dialect == "sqlite":
            chosen = _tail.c.attempt_id <= found[-1]
        else:
            array = bindparam("chosen", found, type_=ARRAY(POSTGRES_UUID(as_uuid=True)))
            chosen = _tail.c.attempt_id == any_(array)
        _add(connection, _generation(connection), _collect(connection, select(_tail).where(chosen)))
        connection.execute(delete(_tail).where(chosen))
        return len(found)

    def _begin_rebuild(self) -> int:
        with self._database.write() as connection:
            leases.take_over(connection, LEASE, holder=self._holder, now=datetime.now(UTC))
            if _building(connection) is None:
                generation = _generation(connection)
                _forget_all_but(connection, generation)
                connection.execute(update(_state).values(building=generation + 1, built_to=None))
            return int(connection.execute(select(func.count()).select_from(_attempt)).scalar_one())

    def _rebuild_step(self, connection: Connection, limit: int) -> int:
        state = connection.execute(select(_state)).one()
        after = state.built_to or UUID(int=0)
        runs = (
            select(_attempt.c.run_id)
            .where(_attempt.c.run_id > after)
            .order_by(_attempt.c.run_id)
            .limit(limit)
        )
        last = connection.execute(runs).scalars().all()[-1:]
        if not last:
            connection.execute(update(_state).values(generation=state.building, building=None, built_to=None))
            _forget_all_but(connection, state.building)
            return 0
        in_range = (_attempt.c.run_id > after, _attempt.c.run_id <= last[0])
        in_tail = exists().where(_tail.c.attempt_id == _attempt.c.id)
        _add(connection, state.building, _collect(connection, facts().where(*in_range, ~in_tail)))
        connection.execute(update(_state).values(built_to=last[0]))
        return int(
            connection.execute(select(func.count()).select_from(_attempt).where(*in_range)).scalar_one()
        )


def forget(connection: Connection, attempt_id: UUID) -> None:
    """Takes out of the figures what an attempt added, folded or not, in the transaction that deletes the attempt.

    For an attempt of a run without a latency (`facts`): what is in a histogram is not taken out again.
    """
    leases.keep_out(connection, LEASE)
    if connection.execute(delete(_tail).where(_tail.c.attempt_id == attempt_id)).rowcount:
        return
    added = _collect(connection, facts().where(_attempt.c.id == attempt_id))
    assert not added.latencies, "an attempt with a latency cannot be forgotten"
    batch = _Batch(
        figures={key: [-value for value in values] for key, values in added.figures.items()},
        errors={key: -runs for key, runs in added.errors.items()},
        latencies={},
        slices={},
    )
    state = connection.execute(select(_state)).one()
    generations = [state.generation]
    run_id = connection.execute(select(_attempt.c.run_id).where(_attempt.c.id == attempt_id)).scalar_one()
    if state.building is not None and run_id <= (state.built_to or UUID(int=0)):
        generations.append(state.building)
    for generation in generations:
        _add(connection, generation, batch)
        for project_id, quarter, *_ in batch.figures:
            _remove_empty(connection, generation, project_id, quarter)


def _remove_empty(connection: Connection, generation: int, project_id: str, quarter: int) -> None:
    for level, start in _levels(quarter):
        for table in (*ROLLUPS, _errors):
            counted = table.c.runs if table is _errors else table.c.attempts
            connection.execute(
                delete(table).where(
                    table.c.generation == generation,
                    table.c.project_id == project_id,
                    table.c.level == level,
                    table.c.start == start,
                    counted == 0,
                )
            )


def _collect(connection: Connection, attempts: Select[Any]) -> _Batch:
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
    return _Batch(
        figures=figures,
        errors={tuple(row[:-1]): int(row[-1]) for row in connection.execute(errors)},
        latencies=latencies,
        slices=slices,
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


def _add(connection: Connection, generation: int, batch: _Batch) -> None:
    for table, keys in ROLLUPS.items():
        positions = [_SLICE.index(name) for name in keys]
        sums: dict[tuple[Any, ...], Sequence[int]] = {}
        for slice_key, figures in batch.figures.items():
            for level, start in _levels(slice_key[1]):
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
        for level, start in _levels(quarter):
            errors[project_id, level, start, *error_key] += runs
    columns = ("project_id", "level", "start", *_ERROR_KEYS)
    rows = [
        {"generation": generation, **dict(zip(columns, k, strict=True)), "runs": errors[k]}
        for k in sorted(errors)
    ]
    _add_up(connection, _errors, rows, ("runs",))
    _add_latencies(connection, generation, batch)


def _latencies_of_slices(
    connection: Connection, generation: int, batch: _Batch, keys: Collection[tuple[Any, ...]]
) -> Mapping[tuple[Any, ...], bytes]:
    """The histogram that each of the slices has afterwards; b"" where no run of it has a latency."""
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    added: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for (project_id, quarter, *slice_key), buckets in batch.slices.items():
        for level, start in _levels(quarter):
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


def _levels(quarter: int) -> list[tuple[int, int]]:
    return [(level, quarter - quarter % level) for level in LEVELS]


def _add_up(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    if not rows:
        return
    new = insert(connection, table)
    sums = {name: table.c[name] + new.excluded[name] for name in names}
    if table is _slices:
        sums["latencies"] = new.excluded.latencies
    connection.execute(new.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums), rows)


def _add_latencies(connection: Connection, generation: int, batch: _Batch) -> None:
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    # Grouped so that what is stored already is read with few statements: starts and keys by the rest of the row's key.
    added: defaultdict[tuple[str, str, int], defaultdict[tuple[int, str], list[int]]]
    added = defaultdict(lambda: defaultdict(list))
    for (project_id, quarter, dimension, key), buckets in batch.latencies.items():
        for level, start in _levels(quarter):
            added[project_id, dimension, level][start, key] += buckets
    columns = _histograms.c
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
        new = insert(connection, _histograms)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=list(_histograms.primary_key), set_={"counts": new.excluded.counts}
            ),
            rows,
        )


def _forget_all_but(connection: Connection, generation: int) -> None:
    for table in (*ROLLUPS, _errors, _histograms):
        connection.execute(delete(table).where(table.c.generation != generation))


def current_generation() -> Any:
    """The generation to read, as a part of a query: so a rebuild's end never falls between two reads."""
    return select(_state.c.generation).scalar_subquery()


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(_state.c.generation)).scalar_one())


def _building(connection: Connection) -> int | None:
    return connection.execute(select(_state.c.building)).scalar_one()
