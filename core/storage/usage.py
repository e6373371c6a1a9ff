"""Figures for charts: sums and percentiles by time and by one dimension."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, assert_never
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select

from core.storage.columns import NO_ID
from core.storage.engine import Database
from core.storage.facts import facts
from core.storage.facts import run as _run
from core.storage.records import Dimension, LatencyPoint, RunFilter, UsageFigures, UsagePoint
from core.storage.tables import FIGURES, AgentRow, table_of

Grain = timedelta | Literal["day"]
QUARTER: Final = timedelta(minutes=15)


class ErrorPoint(NamedTuple):
    start: datetime
    error_code: str
    runs: int


class UsageReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    def totals(self, project_id, since, until, filter=None) -> UsageFigures:
        points = self._sums(project_id, [since, until], None, filter)
        return points[0].figures if points else UsageFigures()

    def series(self, project_id, since, until, *, grain: Grain, zone: ZoneInfo, by=None, filter=None):
        return self._sums(project_id, boundaries(since, until, grain, zone), by, filter)

    def breakdown(self, project_id, since, until, by, filter=None):
        return self._sums(project_id, [since, until], by, filter)

    def latency(self, project_id, since, until, *, grain: Grain | None, zone, by=None, filter=None):
        bounds = boundaries(since, until, grain, zone) if grain else [since, until]
        source, key = self._source(project_id, bounds, by, filter)
        found: dict[tuple[int, str], list[int]] = {}
        with self._database.read() as c:
            for q, k, us in c.execute(select(source.c.quarter, key, source.c.latency_us).where(source.c.latency_us.is_not(None))):
                found.setdefault((bucket(bounds, q), k), []).append(us)
            names = self._names(c, project_id) if by is Dimension.AGENT else {}
        return [
            LatencyPoint(start=bounds[b].astimezone(UTC), key=text(k), label=label(by, k, names), runs=len(v), p50_us=float(np.percentile(v, 50)), p95_us=float(np.percentile(v, 95)), p99_us=float(np.percentile(v, 99)))
            for (b, k), v in sorted(found.items(), key=lambda i: (i[0][0], str(i[0][1])))
        ]

    def errors(self, project_id, since, until, *, grain: Grain | None = None, zone=ZoneInfo("UTC"), filter=None):
        bounds = boundaries(since, until, grain, zone) if grain else [since, until]
        source, _ = self._source(project_id, bounds, None, filter)
        found: dict[tuple[int, str], int] = {}
        with self._database.read() as c:
            for q, code, n in c.execute(select(source.c.quarter, source.c.error_code, func.count()).where(source.c.error_code.is_not(None)).group_by(source.c.quarter, source.c.error_code)):
                found[bucket(bounds, q), code] = found.get((bucket(bounds, q), code), 0) + n
        return [ErrorPoint(bounds[b].astimezone(UTC), code, n) for (b, code), n in sorted(found.items())]

    def _source(self, project_id, bounds, by, filter):
        query = facts().where(_run.project_id == project_id)
        if filter is not None:
            from core.storage.run_queries import _conditions
            from dataclasses import replace
            query = query.where(*_conditions(project_id, replace(filter, since=None, until=None)))
        source = query.subquery()
        lo, hi = quarter(bounds[0]), -(-(bounds[-1] - EPOCH) // QUARTER)
        source = select(source).where(source.c.quarter >= lo, source.c.quarter < hi).subquery()
        match by:
            case None:
                key = source.c.project_id.label("key")
            case Dimension.MODEL:
                key = (source.c.provider + "/" + source.c.model).label("key")
            case Dimension.PROVIDER:
                key = source.c.provider.label("key")
            case Dimension.AGENT:
                key = source.c.agent_id.label("key")
            case Dimension.BACKEND:
                key = source.c.backend.label("key")
            case Dimension.PRINCIPAL:
                key = source.c.principal_id.label("key")
        return source, key

    def _sums(self, project_id, bounds, by, filter) -> list[UsagePoint]:
        source, key = self._source(project_id, bounds, by, filter)
        found: dict[tuple[int, Any], list[int]] = {}
        with self._database.read() as c:
            for row in c.execute(select(source.c.quarter, key, *[func.sum(source.c[f]) for f in FIGURES]).group_by(source.c.quarter, key)):
                b = bucket(bounds, row[0])
                old = found.get((b, row[1]), [0] * len(FIGURES))
                found[b, row[1]] = [a + int(n) for a, n in zip(old, row[2:], strict=True)]
            names = self._names(c, project_id) if by is Dimension.AGENT else {}
        return [
            UsagePoint(start=bounds[b].astimezone(UTC), key="" if by is None else text(k), label="" if by is None else label(by, k, names), figures=UsageFigures(**dict(zip(FIGURES, v, strict=True))))
            for (b, k), v in sorted(found.items(), key=lambda i: (i[0][0], str(i[0][1])))
        ]

    def _names(self, c, project_id):
        a = table_of(AgentRow).c
        return dict(c.execute(select(a.id, a.name).where(a.project_id == project_id)).all())

    def fold(self, *, limit: int = 5000, now: datetime | None = None) -> int:
        return 0


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(k):
    return "" if k == NO_ID else str(k)


def label(by, k, names):
    return names.get(k, "(no agent)") if by is Dimension.AGENT else str(k)


def quarter(at):
    return (at - EPOCH) // QUARTER


def bucket(bounds, q):
    at = EPOCH + q * QUARTER
    for i in range(len(bounds) - 2, -1, -1):
        if bounds[i] <= at:
            return i
    return 0


def boundaries(since, until, grain, zone):
    since = EPOCH + quarter(since) * QUARTER
    bounds = [since]
    while bounds[-1] < until:
        if grain == "day":
            day = bounds[-1].astimezone(zone).date() + timedelta(days=1)
            bounds.append(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
        else:
            bounds.append(bounds[-1] + grain)
    return bounds
