"""Figures for charts: sums, percentiles and error counts by time and by one dimension.

Each is read from the smallest roll-up that knows the dimensions asked for, plus the tail that is not folded yet, from
one snapshot, so it is exact at once. Conditions that no roll-up knows (status, error code, cost ...) are answered from
the attempts themselves, which takes the longer the more there are.

`since` is taken down and `until` up to a quarter hour, the grain of the roll-ups.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select, union_all

from core.storage.columns import NO_ID
from core.storage.records import Dimension, ErrorPoint, LatencyPoint, RunFilter, UsageFigures, UsagePoint
from core.storage.rollups import Folder
from core.storage.tables import FIGURES, AgentRow, UsageByErrorRow, UsageTailRow, table_of
from core.storage.timeline import Grain, Timeline, buckets, whole
from core.storage.usage_question import (
    Question,
    folded,
    histograms_of_slices,
    key_of_histogram,
    segments_table,
    stored_histograms,
    unfolded,
)

_UTC: Final = ZoneInfo("UTC")
_PERCENTILES: Final = (0.5, 0.95, 0.99)
_NO_AGENT: Final = "(no agent)"

_tail = table_of(UsageTailRow)
_errors = table_of(UsageByErrorRow)
_agent = table_of(AgentRow).c

Key = tuple[Any, ...]


class UsageRepository(Folder):
    """See the module; folding and rebuilding are in `rollups`."""

    def totals(
        self, project_id: str, since: datetime, until: datetime, filter: RunFilter | None = None
    ) -> UsageFigures:
        """Sums over all that the filter finds."""
        points = self.sums(Question(project_id, None, filter or RunFilter()), whole(since, until))
        return points[0].figures if points else UsageFigures()

    def series(
        self,
        project_id: str,
        since: datetime,
        until: datetime,
        *,
        grain: Grain,
        zone: ZoneInfo = _UTC,
        by: Dimension | None = None,
        filter: RunFilter | None = None,
    ) -> list[UsagePoint]:
        """Sums by bucket, and by dimension if one is given; oldest first. Buckets in which nothing was are left out.

        Raises:
            InvalidInput: The grain is not a multiple of 15 minutes, or gives too many buckets.
        """
        timeline = buckets(since, until, grain=grain, zone=zone)
        return self.sums(Question(project_id, by, filter or RunFilter()), timeline)

    def breakdown(
        self,
        project_id: str,
        since: datetime,
        until: datetime,
        by: Dimension,
        filter: RunFilter | None = None,
    ) -> list[UsagePoint]:
        """Sums by dimension over the whole range; `start` is `since`."""
        return self.sums(Question(project_id, by, filter or RunFilter()), whole(since, until))

    def latency(
        self,
        project_id: str,
        since: datetime,
        until: datetime,
        *,
        grain: Grain | None = None,
        zone: ZoneInfo = _UTC,
        by: Dimension | None = None,
        filter: RunFilter | None = None,
    ) -> list[LatencyPoint]:
        """Percentiles of the latency of runs that succeeded or failed, by bucket or (grain None) over the whole range.

        Within 1 % of the exact nearest-rank percentile.
        """
        timeline = whole(since, until) if grain is None else buckets(since, until, grain=grain, zone=zone)
        return self.percentiles(Question(project_id, by, filter or RunFilter()), timeline)

    def percentiles(self, question: Question, timeline: Timeline) -> list[LatencyPoint]:
        """As `latency`, of a question, by bucket and by the question's own columns."""
        from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

        with self._database.read() as connection:
            stored = _stored_counts(connection, question, timeline)
            labels = _labels(connection, question.by, [key for _, key in stored])
        points: list[LatencyPoint] = []
        for (bucket, key), counts in histogram.sums(stored).items():
            p50, p95, p99 = histogram.percentiles(counts, _PERCENTILES)
            points.append(
                LatencyPoint(
                    start=timeline.starts[bucket].astimezone(UTC),
                    key=_text(key),
                    label=labels[key],
                    runs=int(counts.sum()),
                    p50_us=p50,
                    p95_us=p95,
                    p99_us=p99,
                )
            )
        return sorted(points, key=lambda point: (point.start, point.label, point.key))

    def errors(
        self,
        project_id: str,
        since: datetime,
        until: datetime,
        *,
        grain: Grain | None = None,
        zone: ZoneInfo = _UTC,
        filter: RunFilter | None = None,
    ) -> list[ErrorPoint]:
        """How many runs ended with each error code, by bucket or (grain None) over the whole range."""
        timeline = whole(since, until) if grain is None else buckets(since, until, grain=grain, zone=zone)
        segments = segments_table(timeline.segments)
        if segments is None:
            return []
        question = Question(project_id, None, filter or RunFilter())
        source = question.recent()
        parts = [
            unfolded(segments, source, project_id, source.c.error_code, source.c.runs).where(
                source.c.error_code.is_not(None), *question.conditions(source)
            )
        ]
        if not question.needs_runs:
            stored = folded(segments, _errors, project_id, _errors.c.error_code, _errors.c.runs)
            parts.append(stored.where(*question.conditions(_errors)))
        both = union_all(*parts).subquery()
        keys = (both.c.bucket, both.c.error_code)
        with self._database.read() as connection:
            rows = connection.execute(select(*keys, func.sum(both.c.runs)).group_by(*keys)).all()
        points = [
            ErrorPoint(timeline.starts[int(row[0])].astimezone(UTC), row[1], int(row[2])) for row in rows
        ]
        return sorted(points)

    def sums(self, question: Question, timeline: Timeline) -> list[UsagePoint]:
        """The sums that a question asks for, by bucket and by the question's own columns."""
        segments = segments_table(timeline.segments)
        if segments is None:
            return []
        names = (*question.columns, *FIGURES)
        recent, rollup = question.recent(), question.rollup()
        parts = [
            unfolded(segments, recent, question.project_id, *(recent.c[name] for name in names)).where(
                *question.conditions(recent)
            )
        ]
        if not question.needs_runs:
            parts.append(
                folded(segments, rollup, question.project_id, *(rollup.c[name] for name in names)).where(
                    *question.conditions(rollup)
                )
            )
        both = union_all(*parts).subquery()
        keys = [both.c.bucket, *(both.c[name] for name in question.columns)]
        query = select(*keys, *(func.sum(both.c[name]) for name in FIGURES)).group_by(*keys)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            labels = _labels(connection, question.by, [_key(row, len(keys)) for row in rows])
        points = [
            UsagePoint(
                start=timeline.starts[int(row[0])].astimezone(UTC),
                key=_text(_key(row, len(keys))),
                label=labels[_key(row, len(keys))],
                figures=UsageFigures(
                    **{name: int(value) for name, value in zip(FIGURES, row[len(keys) :], strict=True)}
                ),
            )
            for row in rows
        ]
        return sorted(points, key=lambda point: (point.start, point.label, point.key))


def _stored_counts(
    connection: Connection, question: Question, timeline: Timeline
) -> Mapping[tuple[int, Key], list[bytes]]:
    """Packed histograms by bucket and key: those of the roll-ups, and one of what is not folded."""
    from core.storage import histogram  # numpy: a tenth of a second that most commands do not need

    found: defaultdict[tuple[int, Key], list[bytes]] = defaultdict(list)
    segments = segments_table(timeline.segments)
    if segments is None:
        return found
    recent, dimension = question.recent(), question.histograms_by
    if question.needs_runs:
        pass  # `recent` is all of them
    elif dimension is None:
        for bucket, counts, *key in connection.execute(histograms_of_slices(question, segments)):
            if counts:
                found[bucket, tuple(key)].append(counts)
    else:
        known: dict[str, Key | None] = {}
        for bucket, key, counts in connection.execute(stored_histograms(question, dimension, segments)):
            if key not in known:
                known[key] = key_of_histogram(question.by, key) if question.admits(key) else None
            wanted = known[key]
            if wanted is not None:
                found[bucket, wanted].append(counts)
    columns = [recent.c.latency_us, *(recent.c[name] for name in question.columns)]
    rows = connection.execute(
        unfolded(segments, recent, question.project_id, *columns).where(
            recent.c.latency_us.is_not(None), *question.conditions(recent)
        )
    ).all()
    latest: defaultdict[tuple[int, Key], list[int]] = defaultdict(list)
    for row, cell in zip(rows, histogram.buckets_of([row[1] for row in rows]).tolist(), strict=True):
        latest[row[0], tuple(row[2:])].append(cell)
    for place, cells in latest.items():
        found[place].append(histogram.add(b"", cells))
    return found


def _key(row: Row[*tuple[Any, ...]], length: int) -> Key:
    return tuple(row[1:length])


def _text(key: Key) -> str:
    return "" if key == (NO_ID,) else "/".join(str(part) for part in key)


def _labels(connection: Connection, by: Dimension | None, keys: Iterable[Key]) -> Mapping[Key, str]:
    """How a person reads each key."""
    labels = {key: _text(key) for key in keys}
    if by is not Dimension.AGENT:
        return labels
    wanted = [key[0] for key in labels]
    names = {
        row.id: row.name
        for row in connection.execute(select(_agent.id, _agent.name).where(_agent.id.in_(wanted)))
    }
    return {key: _NO_AGENT if key == (NO_ID,) else names.get(key[0], text) for key, text in labels.items()}
