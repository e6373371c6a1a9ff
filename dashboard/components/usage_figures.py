"""From a service's points to what cards and charts take."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from core.services.usage import Overview
from core.storage.records import LatencyPoint, RunStatus, UsageFigures, UsagePoint
from dashboard import formatting, palette
from dashboard.chart_axes import Buckets
from dashboard.charts import Series
from dashboard.components.cards import Metric
from dashboard.components.marks import STATUS_LABELS

COST_NOTHING = "every run in this range cost nothing"
UNPRICED_HELP = "Unpriced are runs on a model whose price is not known: what they cost is in no total."
UNTOLD_HELP = "Unknown are attempts whose tokens the provider did not tell: what they used is in no total."


def tokens_of(figures: UsageFigures) -> int:
    """Input and output together; cached and reasoning tokens are parts of these."""
    return figures.input_tokens + figures.output_tokens


def unpriced_note(figures: UsageFigures) -> str | None:
    """`unpriced: 3`, beside any total that leaves something out."""
    return f"unpriced: {formatting.count(figures.unpriced_runs)}" if figures.unpriced_runs else None


def untold_note(figures: UsageFigures) -> str | None:
    """`unknown: 3`, beside any sum of tokens that leaves that many attempts out."""
    return f"unknown: {formatting.count(figures.untold_attempts)}" if figures.untold_attempts else None


def course(
    points: Sequence[UsagePoint], buckets: Buckets, until: datetime, value: Callable[[UsageFigures], float]
) -> list[float]:
    """As `by_bucket`, without the buckets that have not begun."""
    return by_bucket(points, buckets, value)[: buckets.index(until) + 1]


def by_bucket(
    points: Sequence[UsagePoint], buckets: Buckets, value: Callable[[UsageFigures], float]
) -> list[float]:
    """One value for each bucket, summed over the points in it."""
    values = [0.0] * len(buckets.starts)
    for point in points:
        values[buckets.index(point.start)] += value(point.figures)
    return values


def spend_by_bucket(
    points: Sequence[UsagePoint],
    buckets: Buckets,
    value: Callable[[UsageFigures], float] = lambda figures: figures.cost_nanousd,
) -> list[float | None]:
    """As `by_bucket`, with None for the buckets in which runs were and none of them has a price."""
    values = by_bucket(points, buckets, value)
    costs = by_bucket(points, buckets, lambda figures: figures.cost_nanousd)
    unpriced = by_bucket(points, buckets, lambda figures: figures.unpriced_runs)
    return [
        None if missing and not cost else part
        for part, cost, missing in zip(values, costs, unpriced, strict=True)
    ]


def outcome_series(points: Sequence[UsagePoint], buckets: Buckets) -> list[Series]:
    """Runs by how they ended; success and failure always, the rest if it happened."""
    parts = (
        (RunStatus.SUCCEEDED, lambda figures: figures.succeeded),
        (RunStatus.FAILED, lambda figures: figures.failed),
        (RunStatus.OUTCOME_UNKNOWN, lambda figures: figures.outcome_unknown),
        (RunStatus.CANCELLED, lambda figures: figures.cancelled),
    )
    series = [
        Series(
            name=STATUS_LABELS[status], color=palette.STATUS[status], values=by_bucket(points, buckets, value)
        )
        for status, value in parts
    ]
    return [part for index, part in enumerate(series) if index < 2 or any(part.values)]


def cost_part_series(points: Sequence[UsagePoint], buckets: Buckets) -> list[Series]:
    """Spend by what it was for, in the same colours everywhere; None where no run has a price."""
    parts = (
        ("Input tokens", palette.INPUT, lambda figures: figures.input_cost_nanousd),
        ("Output tokens", palette.OUTPUT, lambda figures: figures.output_cost_nanousd),
        ("Tokens, not split", palette.OTHER, _unsplit),
        (
            "Lambda",
            palette.LAMBDA,
            lambda figures: figures.lambda_compute_nanousd + figures.lambda_request_nanousd,
        ),
    )
    series = [
        Series(name=name, color=color, values=spend_by_bucket(points, buckets, value))
        for name, color, value in parts
    ]
    return [part for index, part in enumerate(series) if index < 2 or any(part.values)]


def token_series(points: Sequence[UsagePoint], buckets: Buckets) -> list[Series]:
    """Tokens that were sent and that came back; None for the buckets in which nobody told any."""
    untold = by_bucket(points, buckets, lambda figures: figures.untold_attempts)
    return [
        Series(
            name=name,
            color=color,
            values=[
                None if missing and not tokens else tokens
                for tokens, missing in zip(by_bucket(points, buckets, value), untold, strict=True)
            ],
        )
        for name, color, value in (
            ("Input tokens", palette.INPUT, lambda figures: figures.input_tokens),
            ("Output tokens", palette.OUTPUT, lambda figures: figures.output_tokens),
        )
    ]


def cost_nothing(figures: UsageFigures) -> bool:
    """Whether every run is known to have cost nothing."""
    return not figures.cost_nanousd and not figures.unpriced_runs


def _unsplit(figures: UsageFigures) -> float:
    return figures.tokens_cost_nanousd - figures.input_cost_nanousd - figures.output_cost_nanousd


def overview_metrics(data: Overview, buckets: Buckets) -> list[Metric]:
    """The row of figures on top of the overview."""
    now, compared, before = data.figures, data.compared, data.previous
    success, success_before = _success(compared), _success(before)
    return [
        Metric(
            label="Spend",
            value=formatting.money_known(now.cost_nanousd, now.unpriced_runs),
            # A total that leaves something out grows and shrinks with what it leaves out.
            change=None
            if compared.unpriced_runs or before.unpriced_runs
            else formatting.change(compared.cost_nanousd, before.cost_nanousd),
            tone=None,
            note=unpriced_note(now),
            course=[
                nanousd / 1e9
                for nanousd in spend_by_bucket(data.series, buckets)[: buckets.index(data.span.until) + 1]
                if nanousd is not None
            ],
            help=f"Tokens and Lambda, over all attempts. {UNPRICED_HELP}",
        ),
        Metric(
            label="Runs",
            value=formatting.count(now.runs),
            change=formatting.change(compared.runs, before.runs),
            tone=None,
            note=None,
            course=course(data.series, buckets, data.span.until, lambda figures: figures.runs),
            help="Finished runs; each is counted once, however many attempts it took.",
        ),
        Metric(
            label="Success",
            value=formatting.percent(now.succeeded, now.decided),
            change=formatting.points(
                (compared.succeeded, compared.decided), (before.succeeded, before.decided)
            ),
            tone=_tone(better=success - success_before, notable=0.01),
            note=None,
            course=[
                100 * point.figures.succeeded / point.figures.decided
                for point in data.series
                if point.figures.decided
            ],
            help="Of the runs that nobody cancelled.",
        ),
        _latency_metric("p50", data, lambda point: point.p50_us, "Half of the runs took no longer."),
        _latency_metric("p95", data, lambda point: point.p95_us, "19 of 20 runs took no longer."),
        Metric(
            label="Tokens",
            value=formatting.count(now.known_tokens),
            change=None
            if compared.untold_attempts or before.untold_attempts
            else formatting.change(tokens_of(compared), tokens_of(before)),
            tone=None,
            note=untold_note(now),
            course=course(data.series, buckets, data.span.until, tokens_of),
            help=f"{_exact(now.known_input_tokens)} in, {_exact(now.known_output_tokens)} out. {UNTOLD_HELP}",
        ),
    ]


def _exact(number: int | None) -> str:
    return formatting.UNKNOWN if number is None else f"{number:,}"


def usage_metrics(figures: UsageFigures) -> list[Metric]:
    """The row of figures on top of the usage page."""
    cached = f"{formatting.percent(figures.cached_input_tokens, figures.input_tokens)} cached"
    reasoning = f"{formatting.percent(figures.reasoning_tokens, figures.output_tokens)} reasoning"
    untold = untold_note(figures)
    return [
        _plain(
            "Cost",
            formatting.money_known(figures.cost_nanousd, figures.unpriced_runs),
            unpriced_note(figures),
            help=UNPRICED_HELP,
        ),
        _plain(
            "Input tokens", formatting.count(figures.known_input_tokens), untold or cached, help=UNTOLD_HELP
        ),
        _plain(
            "Output tokens",
            formatting.count(figures.known_output_tokens),
            untold or reasoning,
            help=UNTOLD_HELP,
        ),
        _plain("Runs", formatting.count(figures.runs), f"{formatting.count(figures.attempts)} attempts"),
        _plain("Success", formatting.percent(figures.succeeded, figures.decided), f"{figures.failed} failed"),
    ]


def _plain(label: str, value: str, note: str | None, *, help: str | None = None) -> Metric:
    return Metric(label=label, value=value, change=None, tone=None, note=note, course=(), help=help)


def _latency_metric(
    name: str, data: Overview, value: Callable[[LatencyPoint], float], meaning: str
) -> Metric:
    now = value(data.latency) if data.latency else None
    compared = value(data.compared_latency) if data.compared_latency else None
    before = value(data.previous_latency) if data.previous_latency else None
    return Metric(
        label=f"Latency {name}",
        value=formatting.duration(now),
        change=formatting.change(compared, before),
        tone=_tone(better=1 - compared / before, notable=0.1) if compared and before else None,
        note=None,
        course=[value(point) / 1e6 for point in data.latency_series],
        help=f"{meaning} From the request until the whole answer, retries included.",
    )


def _success(figures: UsageFigures) -> float:
    return figures.succeeded / figures.decided if figures.decided else 1.0


def _tone(*, better: float, notable: float) -> Literal["good", "bad"] | None:
    """Good or bad news, if it is any: a change below `notable` is everyday."""
    if abs(better) < notable:
        return None
    return "good" if better > 0 else "bad"
