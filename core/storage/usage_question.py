"""A question about usage as SQL: from which table it is answered, and which of its rows fall into which bucket."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, assert_never
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, FromClause, Integer, Select, Table, column, or_, select, values

from core.storage.facts import facts
from core.storage.facts import run as run_columns
from core.storage.records import Dimension, RunFilter
from core.storage.rollups import current_generation
from core.storage.run_filters import run_conditions
from core.storage.tables import (
    LatencyHistogramRow,
    UsageByAgentRow,
    UsageByBackendRow,
    UsageByModelRow,
    UsageByPrincipalRow,
    UsageBySliceRow,
    UsageTailRow,
    table_of,
)
from core.storage.timeline import TAIL, Segment

_tail = table_of(UsageTailRow)
_histograms = table_of(LatencyHistogramRow)
_slices = table_of(UsageBySliceRow)

_HISTOGRAMS: Final = (
    (Dimension.BACKEND, frozenset({"backend"})),
    (Dimension.PRINCIPAL, frozenset({"principal_id"})),
    (Dimension.MODEL, frozenset({"provider", "model"})),
    (Dimension.AGENT, frozenset({"agent_id"})),
)

_SMALLEST_FIRST: Final = (
    (table_of(UsageByBackendRow), frozenset({"backend"})),
    (table_of(UsageByPrincipalRow), frozenset({"principal_id"})),
    (table_of(UsageByModelRow), frozenset({"provider", "model"})),
    (table_of(UsageByAgentRow), frozenset({"agent_id"})),
    (
        table_of(UsageBySliceRow),
        frozenset({"provider", "model", "agent_id", "backend", "principal_id"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, but for the time: whose figures, split by what, of what."""

    project_id: str
    by: Dimension | None
    wanted: RunFilter

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that make the key."""
        match self.by:
            case None:
                return ()
            case Dimension.MODEL:
                return ("provider", "model")
            case Dimension.PROVIDER:
                return ("provider",)
            case Dimension.AGENT:
                return ("agent_id",)
            case Dimension.BACKEND:
                return ("backend",)
            case Dimension.PRINCIPAL:
                return ("principal_id",)
            case _:
                assert_never(self.by)

    @property
    def sliced(self) -> dict[str, list[Any]]:
        """The conditions that a roll-up knows: column and wanted values."""
        filters = {
            "provider": list(self.wanted.providers),
            "model": list(self.wanted.models),
            "agent_id": list(self.wanted.agent_ids),
            "backend": [backend.value for backend in self.wanted.backends],
        }
        return {name: wanted for name, wanted in filters.items() if wanted}

    @property
    def others(self) -> RunFilter:
        """The conditions that only the runs themselves know."""
        return replace(
            self.wanted,
            since=None,
            until=None,
            providers=(),
            models=(),
            agent_ids=(),
            backends=(),
        )

    @property
    def needs_runs(self) -> bool:
        """Whether a condition asks for what no roll-up knows."""
        return self.others != RunFilter()

    def conditions(self, source: FromClause) -> list[ColumnElement[bool]]:
        """Those of `sliced`, on a source that has these columns."""
        return [source.c[name].in_(wanted) for name, wanted in self.sliced.items()]

    def rollup(self) -> Table:
        """The smallest roll-up that knows all of the dimensions."""
        needed = {*self.columns, *self.sliced}
        return next(table for table, known in _SMALLEST_FIRST if needed <= known)

    @property
    def histograms_by(self) -> Dimension | None:
        """The dimension whose histograms answer it; None if only those of the slices, or the runs, do.

        All runs together are the sum over backends, a provider's over its models.
        """
        needed = {*self.columns, *self.sliced}
        if not needed:
            return Dimension.BACKEND
        return next((by for by, known in _HISTOGRAMS if needed <= known), None)

    def admits(self, key: str) -> bool:
        """Whether the filter lets a key of `histograms_by` through."""
        values: dict[str, Any]
        match self.histograms_by:
            case Dimension.MODEL:
                values = dict(zip(("provider", "model"), key.split("/", 1), strict=True))
            case Dimension.AGENT:
                values = {"agent_id": UUID(key)}
            case _:
                values = {"backend": key}
        return all(values[name] in wanted for name, wanted in self.sliced.items())

    def likely_keys(self, key: ColumnElement[str]) -> list[ColumnElement[bool]]:
        """Keeps most keys of `histograms_by` that `admits` would not let through from being read.

        Most: SQLite's LIKE takes capitals for small letters.
        """
        match self.histograms_by:
            case Dimension.MODEL:
                begins = [key.startswith(f"{name}/", autoescape=True) for name in self.wanted.providers]
                ends = [key.endswith(f"/{name}", autoescape=True) for name in self.wanted.models]
                return [or_(*either) for either in (begins, ends) if either]
            case Dimension.AGENT if self.wanted.agent_ids:
                return [key.in_([str(agent_id) for agent_id in self.wanted.agent_ids])]
            case _:
                return []

    def recent(self) -> FromClause:
        """The attempts that no roll-up answers for: the tail; or, with conditions that none knows, all of them."""
        return self.all_attempts() if self.needs_runs else _tail

    def all_attempts(self) -> FromClause:
        """The attempts themselves, with the columns of the tail."""
        return facts().where(*run_conditions(run_columns, self.project_id, self.others)).subquery()


def segments_table(segments: Sequence[Segment]) -> CTE | None:
    """The segments as a table in the query; None if there are none.

    Written into the SQL, not bound: they are whole numbers, and 90 days may be 300 of them.
    """
    if not segments:
        return None
    names = ("first", "step", "level", "low", "high")
    table = values(*(column(name, Integer()) for name in names), name="segment", literal_binds=True)
    return table.data([(s.first, s.step, s.level, s.low, s.high) for s in segments]).cte("segment")


def folded(
    segments: CTE, rollup: Table, project_id: str, *columns: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    """The rows of a roll-up in the segments: bucket, then the columns."""
    c, s = rollup.c, segments.c
    return select(_bucket(segments, c.start), *columns).select_from(
        segments.join(
            rollup,
            (c.generation == current_generation())
            & (c.project_id == project_id)
            & (c.level == s.level)
            & (c.start >= s.low)
            & (c.start < s.high),
        )
    )


def unfolded(
    segments: CTE, recent: FromClause, project_id: str, *columns: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    """The rows of the tail, or of what stands in its place, in the segments: bucket, then the columns."""
    c, s = recent.c, segments.c
    return select(_bucket(segments, c.quarter), *columns).select_from(
        segments.join(
            recent,
            (s.level == TAIL) & (c.project_id == project_id) & (c.quarter >= s.low) & (c.quarter < s.high),
        )
    )


def stored_histograms(question: Question, dimension: Dimension, segments: CTE) -> Select[*tuple[Any, ...]]:
    """Bucket, key and counts of a dimension."""
    c = _histograms.c
    rows = folded(segments, _histograms, question.project_id, c.key, c.counts)
    return rows.where(c.dimension == dimension.value, *question.likely_keys(c.key))


def histograms_of_slices(question: Question, segments: CTE) -> Select[*tuple[Any, ...]]:
    """Bucket, counts, then the columns of the key."""
    c = _slices.c
    columns = (c.latencies, *(c[name] for name in question.columns))
    return folded(segments, _slices, question.project_id, *columns).where(*question.conditions(_slices))


def key_of_histogram(by: Dimension | None, key: str) -> tuple[Any, ...]:
    """The key, as `Question.columns` give it, under which a histogram's counts belong."""
    match by:
        case None:
            return ()
        case Dimension.MODEL:
            return tuple(key.split("/", 1))
        case Dimension.PROVIDER:
            return (key.split("/", 1)[0],)
        case Dimension.AGENT:
            return (UUID(key),)
        case Dimension.BACKEND | Dimension.PRINCIPAL:
            return (key,)
        case _:
            assert_never(by)


def _bucket(segments: CTE, quarter: ColumnElement[Any]) -> ColumnElement[int]:
    s = segments.c
    return (s.first + (quarter - s.low) // s.step).label("bucket")
