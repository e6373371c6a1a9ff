"""Usage by provider, model or agent: which keys a chart names, how they are called, and their tables."""

from collections.abc import Callable, Sequence
from typing import Final

from core.services.usage import UsageReport
from core.storage.records import Dimension, LatencyPoint, UsageFigures, UsagePoint
from dashboard import palette
from dashboard.chart_axes import Buckets
from dashboard.charts import Series
from dashboard.components.marks import provider_label
from dashboard.components.tables import Column, Kind, Table
from dashboard.components.usage_figures import by_bucket

NAMED: Final = 6
"""How many keys a chart names; the others are one: more colours than that cannot be told apart."""

_OFFLINE: Final = "DEMO"


def key_label(dimension: Dimension, key: str, label: str) -> str:
    """A key as a person reads it."""
    if dimension is Dimension.PROVIDER:
        return provider_label(key)
    if dimension is Dimension.AGENT:
        return label if key else "Ad-hoc runs"
    provider, _, model = key.partition("/")
    return f"{model} (offline demo)" if provider == _OFFLINE else model or key


def split_series(
    report: UsageReport, buckets: Buckets, value: Callable[[UsageFigures], float]
) -> list[Series]:
    """A series for each of the keys with most of the value, the largest first, and one for the others."""
    ranked = sorted(report.breakdown, key=lambda point: (-value(point.figures), point.key))
    named = [point for point in ranked if value(point.figures)][:NAMED]
    colors = palette.series_colors(report.split, report.ranking, [point.key for point in named])
    series = [
        Series(
            name=_unique_label(report, point),
            color=colors[point.key],
            values=by_bucket([other for other in report.series if other.key == point.key], buckets, value),
        )
        for point in named
    ]
    names = {point.key for point in named}
    rest = [point for point in report.series if point.key not in names]
    values = by_bucket(rest, buckets, value)
    if any(values):
        number = len([point for point in ranked if value(point.figures)]) - len(named)
        series.append(
            Series(name="1 other" if number == 1 else f"{number} others", color=palette.OTHER, values=values)
        )
    return series


def _unique_label(report: UsageReport, point: UsagePoint) -> str:
    """The short name; two providers' models of one name are told apart by the whole key."""
    short = key_label(report.split, point.key, point.label)
    same = [other for other in report.breakdown if key_label(report.split, other.key, other.label) == short]
    return short if len(same) == 1 else point.key


def breakdown_table(report: UsageReport, *, title: str) -> Table:
    """One row for each key: money, runs, tokens and latency over the whole span."""
    latency = {point.key: point for point in report.latency_by}
    whole = report.figures.cost_nanousd
    columns = (
        Column(title, report.split.value, Kind.TEXT),
        Column("Cost", "cost_usd", Kind.MONEY),
        Column("Share", "share_of_cost", Kind.SHARE),
        Column("Unpriced", "unpriced_runs", Kind.COUNT),
        Column("Runs", "runs", Kind.COUNT),
        Column("Success", "share_succeeded", Kind.SHARE),
        Column("Input tokens", "input_tokens", Kind.COUNT),
        Column("Cached", "cached_input_tokens", Kind.COUNT, on_screen=False),
        Column("Output tokens", "output_tokens", Kind.COUNT),
        Column("Tokens unknown", "untold_attempts", Kind.COUNT),
        Column("Reasoning", "reasoning_tokens", Kind.COUNT, on_screen=False),
        Column("p50", "latency_p50_ms", Kind.DURATION),
        Column("p95", "latency_p95_ms", Kind.DURATION),
        Column("p99", "latency_p99_ms", Kind.DURATION),
    )
    return Table(columns, [_row(report, point, latency.get(point.key), whole) for point in report.breakdown])


def _row(
    report: UsageReport, point: UsagePoint, latency: LatencyPoint | None, whole: int
) -> tuple[object, ...]:
    figures = point.figures
    cost = figures.known_cost_nanousd
    return (
        _unique_label(report, point),
        cost,
        None if cost is None or not whole else cost / whole,
        figures.unpriced_runs,
        figures.runs,
        figures.succeeded / figures.decided if figures.decided else None,
        figures.known_input_tokens,
        None if figures.known_input_tokens is None else figures.cached_input_tokens,
        figures.known_output_tokens,
        figures.untold_attempts,
        None if figures.known_output_tokens is None else figures.reasoning_tokens,
        latency and latency.p50_us,
        latency and latency.p95_us,
        latency and latency.p99_us,
    )


def series_table(report: UsageReport, buckets: Buckets, *, title: str) -> Table:
    """One row for each bucket and key in which something happened, newest first."""
    columns = (
        Column("Time", "from", Kind.TEXT),
        Column(title, report.split.value, Kind.TEXT),
        Column("Cost", "cost_usd", Kind.MONEY),
        Column("Unpriced runs", "unpriced_runs", Kind.COUNT),
        Column("Runs", "runs", Kind.COUNT),
        Column("Tokens", "tokens", Kind.COUNT),
        Column("Input tokens", "input_tokens", Kind.COUNT),
        Column("Output tokens", "output_tokens", Kind.COUNT),
        Column("Tokens unknown", "untold_attempts", Kind.COUNT),
    )
    rows = [
        (
            buckets.label(point.start),
            _unique_label(report, point),
            None
            if point.figures.unpriced_runs and not point.figures.cost_nanousd
            else point.figures.cost_nanousd,
            point.figures.unpriced_runs,
            point.figures.runs,
            point.figures.known_tokens,
            point.figures.known_input_tokens,
            point.figures.known_output_tokens,
            point.figures.untold_attempts,
        )
        for point in sorted(report.series, key=lambda point: (-point.start.timestamp(), point.key))
    ]
    return Table(columns, rows)


def latency_table(points: Sequence[LatencyPoint], buckets: Buckets) -> Table:
    """Percentiles by bucket, newest first."""
    columns = (Column("Time", "from", Kind.TEXT), *_LATENCY_COLUMNS)
    return Table(
        columns, [(buckets.label(point.start), *_latency_cells(point)) for point in reversed(points)]
    )


def latency_by_table(report: UsageReport, *, title: str) -> Table:
    """Percentiles by key, over the whole span."""
    columns = (Column(title, report.split.value, Kind.TEXT), *_LATENCY_COLUMNS)
    rows = [
        (key_label(report.split, point.key, point.label), *_latency_cells(point))
        for point in report.latency_by
    ]
    return Table(columns, rows)


_LATENCY_COLUMNS: Final = (
    Column("Runs", "runs", Kind.COUNT),
    Column("p50", "latency_p50_ms", Kind.DURATION),
    Column("p95", "latency_p95_ms", Kind.DURATION),
    Column("p99", "latency_p99_ms", Kind.DURATION),
)


def _latency_cells(point: LatencyPoint) -> tuple[object, ...]:
    return point.runs, point.p50_us, point.p95_us, point.p99_us


def outcome_table(report: UsageReport, buckets: Buckets) -> Table:
    """Runs by bucket and how they ended, newest first."""
    names = ("runs", "succeeded", "failed", "outcome_unknown", "cancelled")
    sums: dict[int, list[int]] = {}
    for point in report.series:
        row = sums.setdefault(buckets.index(point.start), [0] * len(names))
        for index, name in enumerate(names):
            row[index] += getattr(point.figures, name)
    columns = (
        Column("Time", "from", Kind.TEXT),
        *(Column(name.replace("_", " ").capitalize(), name, Kind.COUNT) for name in names),
    )
    return Table(columns, [(buckets.labels[index], *sums[index]) for index in sorted(sums, reverse=True)])


def error_table(report: UsageReport) -> Table:
    """Runs by error code, and their share of all runs."""
    columns = (
        Column("Error", "error_code", Kind.TEXT),
        Column("Runs", "runs", Kind.COUNT),
        Column("Of all runs", "share_of_runs", Kind.SHARE),
    )
    whole = report.figures.runs
    return Table(columns, [(code, runs, runs / whole if whole else None) for code, runs in report.errors])
