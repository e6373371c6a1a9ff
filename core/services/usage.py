"""What was spent, how fast and how reliably: the figures behind the overview and the usage page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import assert_never
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


class Period(StrEnum):
    """The ranges that the pages offer."""

    TODAY = "today"
    DAYS_7 = "7d"
    DAYS_30 = "30d"
    DAYS_90 = "90d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of time with the one before it, for comparison. All UTC; `until` is exclusive.

    Attributes:
        grain: What a chart's bucket should be: a timedelta, or "day" for days of the zone.
        previous_since, previous_until: As long as the range has run so far, directly before it (for whole-day ranges:
            the same clock times).
    """

    since: datetime
    until: datetime
    previous_since: datetime
    previous_until: datetime
    grain: timedelta | str
    zone: ZoneInfo


def span_of(period: Period, *, zone: ZoneInfo, now: datetime | None = None) -> Span:
    """The range that ends now. "today" begins at midnight of the zone, "7d" is today and the six days before."""
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
    previous_end_date = moment.date() - timedelta(days=days)
    return Span(
        since=_midnight(first, zone),
        until=moment.astimezone(ZoneInfo("UTC")),
        previous_since=_midnight(first - timedelta(days=days), zone),
        previous_until=datetime.combine(previous_end_date, moment.timetz()).astimezone(ZoneInfo("UTC")),
        grain=timedelta(hours=1) if days == 1 else "day",
        zone=zone,
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The overview page's figures, each with its value in the period before."""

    span: Span
    figures: UsageFigures
    previous: UsageFigures
    latency: LatencyPoint | None
    previous_latency: LatencyPoint | None
    series: Sequence[UsagePoint]
    latency_series: Sequence[LatencyPoint]
    last_failures: Sequence[RunSummary]


class UsageService:
    """See the module."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def overview(self, principal: Principal, period: Period, *, zone: ZoneInfo, now: datetime | None = None) -> Overview:
        """All that the overview shows for a period."""
        span = span_of(period, zone=zone, now=now)
        usage, project = self._store.usage, principal.project_id
        latency = usage.latency(project, span.since, span.until, grain=None, zone=zone, by=None)
        before = usage.latency(project, span.previous_since, span.previous_until, grain=None, zone=zone, by=None)
        failed = RunFilter(since=span.since, statuses=(RunStatus.FAILED, RunStatus.OUTCOME_UNKNOWN))
        return Overview(
            span=span,
            figures=usage.totals(project, span.since, span.until),
            previous=usage.totals(project, span.previous_since, span.previous_until),
            latency=latency[0] if latency else None,
            previous_latency=before[0] if before else None,
            series=usage.series(project, span.since, span.until, grain=span.grain, zone=zone, by=None),
            latency_series=usage.latency(project, span.since, span.until, grain=span.grain, zone=zone, by=None),
            last_failures=self._store.runs.page(project, failed, limit=5).runs,
        )

    def totals(self, principal: Principal, span: Span, run_filter: RunFilter | None = None) -> UsageFigures:
        """Sums over the span."""
        return self._store.usage.totals(principal.project_id, span.since, span.until, run_filter)

    def series(
        self, principal: Principal, span: Span, *, by: Dimension | None, run_filter: RunFilter | None = None
    ) -> Sequence[UsagePoint]:
        """Sums by bucket, and by dimension if one is given; oldest first."""
        return self._store.usage.series(
            principal.project_id, span.since, span.until, grain=span.grain, zone=span.zone, by=by, filter=run_filter
        )

    def breakdown(
        self, principal: Principal, span: Span, *, by: Dimension, run_filter: RunFilter | None = None
    ) -> Sequence[UsagePoint]:
        """Sums by dimension over the whole span, dearest first."""
        points = self._store.usage.breakdown(principal.project_id, span.since, span.until, by, run_filter)
        return sorted(points, key=lambda point: (-point.figures.cost_nanousd, -point.figures.runs, point.label))

    def latency(self, principal: Principal, span: Span, *, by: Dimension | None, whole: bool = False) -> Sequence[LatencyPoint]:
        """Percentiles by bucket, or over the whole span."""
        return self._store.usage.latency(
            principal.project_id,
            span.since,
            span.until,
            grain=None if whole else span.grain,
            zone=span.zone,
            by=by,
        )

    def errors(self, principal: Principal, span: Span, *, whole: bool = False) -> Sequence[tuple[datetime, str, int]]:
        """How many runs ended with each error code: (bucket, code, runs)."""
        return self._store.usage.errors(
            principal.project_id, span.since, span.until, grain=None if whole else span.grain, zone=span.zone
        )
