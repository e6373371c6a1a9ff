"""What was spent, how fast and how reliably: the figures behind the overview and the usage page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from core.contract import utc_now
from core.services.principal import Principal
from core.storage.records import (
    Dimension,
    LatencyPoint,
    RunFilter,
    RunStatus,
    RunSummary,
    UsageFigures,
    UsagePoint,
)
from core.storage.store import Store

Grain = timedelta | Literal["day"]
"""A chart's bucket: a length of time, or days of a zone (23 to 25 hours)."""


FAILURES = (RunStatus.FAILED, RunStatus.OUTCOME_UNKNOWN)
"""What counts as a failure: it went wrong, or nobody knows. A run that somebody stopped is neither."""


class Period(StrEnum):
    """The ranges that the pages offer."""

    TODAY = "today"
    DAYS_7 = "7d"
    DAYS_30 = "30d"
    DAYS_90 = "90d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of time with the one before it, for comparison. All UTC; `until` is exclusive.

    Figures cover whole quarters of an hour: `since` is taken down and `until` up to the next one.

    Attributes:
        grain: What a chart's bucket should be.
        compared_until: The end of the last whole quarter of an hour before `until`: what is compared ends here, since
            a part of a quarter would be compared with a whole one.
        previous_since, previous_until: As many days, directly before: from the same midnight to the same time
            of day as `compared_until`, so that a young day is compared with as much of the day before.
    """

    since: datetime
    until: datetime
    compared_until: datetime
    previous_since: datetime
    previous_until: datetime
    grain: Grain
    zone: ZoneInfo


def span_of(period: Period, *, zone: ZoneInfo, now: datetime | None = None) -> Span:
    """The range that ends now: TODAY begins at midnight, DAYS_7 is today and the six days before."""
    moment = (now or utc_now()).astimezone(zone)
    match period:
        case Period.TODAY:
            days = 1
        case Period.DAYS_7:
            days = 7
        case Period.DAYS_30:
            days = 30
        case Period.DAYS_90:
            days = 90
        case _:
            assert_never(period)
    first = moment.date() - timedelta(days=days - 1)
    # Every zone's offset is a multiple of a quarter, so this is the end of one in UTC too.
    compared = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    previous_end_date = moment.date() - timedelta(days=days)
    return Span(
        since=_midnight(first, zone),
        until=moment.astimezone(ZoneInfo("UTC")),
        compared_until=compared.astimezone(ZoneInfo("UTC")),
        previous_since=_midnight(first - timedelta(days=days), zone),
        previous_until=datetime.combine(previous_end_date, compared.timetz()).astimezone(ZoneInfo("UTC")),
        grain=timedelta(hours=1) if days == 1 else "day",
        zone=zone,
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The overview page's figures, and what is compared: as much of the span as of the period before.

    Attributes:
        figures, latency: Of the whole span.
        compared, compared_latency: Of the span up to `Span.compared_until`.
        previous, previous_latency: Of the period before, up to the same time of day.
        latency, compared_latency, previous_latency: None if no run finished then.
        series, latency_series: By bucket, oldest first; a bucket in which nothing happened is not in it.
        last_failures: Of the span, newest first, at most five.
    """

    span: Span
    figures: UsageFigures
    compared: UsageFigures
    previous: UsageFigures
    latency: LatencyPoint | None
    compared_latency: LatencyPoint | None
    previous_latency: LatencyPoint | None
    series: Sequence[UsagePoint]
    latency_series: Sequence[LatencyPoint]
    last_failures: Sequence[RunSummary]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """The usage page's figures: what passes a filter, over a span.

    Attributes:
        split: What `breakdown`, `series` and `latency_by` are split by.
        ranking: The keys of the split over the last 90 days, whatever the filter, the dearest first: for
        colours
            that stay.
        breakdown: Over the whole span, the dearest first.
        series: By bucket and key, oldest first.
        latency_series: By bucket, not split.
        latency_by: Over the whole span, by key.
        errors: How many runs ended with each error code, the most frequent first.
    """

    span: Span
    split: Dimension
    ranking: Sequence[str]
    figures: UsageFigures
    breakdown: Sequence[UsagePoint]
    series: Sequence[UsagePoint]
    latency_series: Sequence[LatencyPoint]
    latency_by: Sequence[LatencyPoint]
    errors: Sequence[tuple[str, int]]


class UsageService:
    """See the module. Every function raises StoreError if the database fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def overview(
        self, principal: Principal, period: Period, *, zone: ZoneInfo, now: datetime | None = None
    ) -> Overview:
        """All that the overview shows for a period."""
        span = span_of(period, zone=zone, now=now)
        usage, project = self._store.usage, principal.project_id
        before = usage.latency(
            project, span.previous_since, span.previous_until, grain=None, zone=zone, by=None
        )
        compared = usage.latency(project, span.since, span.compared_until, grain=None, zone=zone, by=None)
        failed = RunFilter(since=span.since, statuses=FAILURES)
        whole = self.latency(principal, span, by=None, whole=True)
        return Overview(
            span=span,
            figures=self.totals(principal, span),
            compared=usage.totals(project, span.since, span.compared_until),
            previous=usage.totals(project, span.previous_since, span.previous_until),
            latency=whole[0] if whole else None,
            compared_latency=compared[0] if compared else None,
            previous_latency=before[0] if before else None,
            series=self.series(principal, span, by=None),
            latency_series=self.latency(principal, span, by=None),
            last_failures=self._store.runs.page(project, failed, limit=5).runs,
        )

    def report(
        self, principal: Principal, span: Span, *, by: Dimension, run_filter: RunFilter | None = None
    ) -> UsageReport:
        """All that the usage page shows for a span, a split and a filter."""
        quarter = span_of(Period.DAYS_90, zone=span.zone, now=span.until)
        return UsageReport(
            span=span,
            split=by,
            ranking=[point.key for point in self.breakdown(principal, quarter, by=by)],
            figures=self.totals(principal, span, run_filter),
            breakdown=self.breakdown(principal, span, by=by, run_filter=run_filter),
            series=self.series(principal, span, by=by, run_filter=run_filter),
            latency_series=self.latency(principal, span, by=None, run_filter=run_filter),
            latency_by=self.latency(principal, span, by=by, whole=True, run_filter=run_filter),
            errors=self.errors(principal, span, run_filter=run_filter),
        )

    def rebuild(self, principal: Principal, on_progress: Callable[[int, int], None]) -> None:
        """Counts all attempts of all projects again; figures stay as they are until it is done.

        Interrupted, it is continued by the next call, or by the housekeeping.

        Args:
            principal: Who asks.
            on_progress: Told (attempts counted by this call, attempts in all), batch by batch.
        """
        del principal  # until sign-in exists, whoever runs the command may do this
        self._store.usage.rebuild(on_progress)

    def totals(self, principal: Principal, span: Span, run_filter: RunFilter | None = None) -> UsageFigures:
        """Sums over the span."""
        return self._store.usage.totals(principal.project_id, span.since, span.until, run_filter)

    def series(
        self, principal: Principal, span: Span, *, by: Dimension | None, run_filter: RunFilter | None = None
    ) -> Sequence[UsagePoint]:
        """Sums by bucket, and by dimension if one is given; oldest first."""
        return self._store.usage.series(
            principal.project_id,
            span.since,
            span.until,
            grain=span.grain,
            zone=span.zone,
            by=by,
            filter=run_filter,
        )

    def breakdown(
        self, principal: Principal, span: Span, *, by: Dimension, run_filter: RunFilter | None = None
    ) -> Sequence[UsagePoint]:
        """Sums by dimension over the whole span; the dearest first, then the most used."""
        points = self._store.usage.breakdown(principal.project_id, span.since, span.until, by, run_filter)
        return sorted(
            points, key=lambda point: (-point.figures.cost_nanousd, -point.figures.runs, point.label)
        )

    def latency(
        self,
        principal: Principal,
        span: Span,
        *,
        by: Dimension | None,
        whole: bool = False,
        run_filter: RunFilter | None = None,
    ) -> Sequence[LatencyPoint]:
        """Percentiles by bucket, or over the whole span."""
        return self._store.usage.latency(
            principal.project_id,
            span.since,
            span.until,
            grain=None if whole else span.grain,
            zone=span.zone,
            by=by,
            filter=run_filter,
        )

    def errors(
        self, principal: Principal, span: Span, *, run_filter: RunFilter | None = None
    ) -> Sequence[tuple[str, int]]:
        """How many runs ended with each error code over the span, the most frequent first."""
        points = self._store.usage.errors(
            principal.project_id, span.since, span.until, grain=None, zone=span.zone, filter=run_filter
        )
        return sorted(((code, runs) for _, code, runs in points), key=lambda pair: (-pair[1], pair[0]))
