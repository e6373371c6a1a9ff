"""What cards and charts say of sums that hold runs without a known price, and of runs that somebody stopped."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from core.services.comparison import compare
from core.services.run_view import RunView
from core.services.usage import Overview, Period, Span, span_of
from core.storage.records import RunStatus, UsageFigures, UsagePoint
from dashboard import charts
from dashboard.chart_axes import Unit, buckets_of
from dashboard.components.cards import Metric
from dashboard.components.playground_comparison import summary_line
from dashboard.components.usage_figures import (
    cost_part_series,
    overview_metrics,
    token_series,
    usage_metrics,
)

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
UNPRICED = UsageFigures(runs=2, succeeded=2, unpriced_runs=2)
PRICED = UsageFigures(
    runs=4, succeeded=3, cancelled=1, tokens_cost_nanousd=5_000_000_000, input_cost_nanousd=5_000_000_000
)


def week() -> Span:
    return span_of(Period.DAYS_7, zone=ZoneInfo("UTC"), now=NOW)


def spend(figures: UsageFigures, previous: UsageFigures) -> Metric:
    today = datetime(2026, 11, 22, tzinfo=UTC)
    data = Overview(
        span=week(),
        figures=figures,
        compared=figures,
        previous=previous,
        latency=None,
        compared_latency=None,
        previous_latency=None,
        series=[UsagePoint(start=today, key="", label="", figures=figures)],
        latency_series=[],
        last_failures=[],
    )
    (found,) = (part for part in overview_metrics(data, buckets_of(week())) if part.label == "Spend")
    return found


def test_spend_is_compared_only_when_all_of_both_periods_has_a_price() -> None:
    assert spend(PRICED, PRICED).change == "0 %"
    unknown = spend(UNPRICED, PRICED)
    assert (unknown.value, unknown.change) == ("unknown", None)
    assert spend(PRICED, UNPRICED).change is None
    assert list(unknown.course) == [0.0] * 6  # the seventh day is unknown, not nothing


def test_a_day_without_any_price_is_unknown_in_the_chart() -> None:
    buckets = buckets_of(week())
    today = datetime(2026, 11, 22, tzinfo=UTC)
    points = [
        UsagePoint(start=today - timedelta(days=1), key="", label="", figures=PRICED),
        UsagePoint(start=today, key="", label="", figures=UNPRICED),
    ]
    series = cost_part_series(points, buckets)
    assert [list(part.values[-3:]) for part in series] == [[0.0, 5e9, None], [0.0, 0.0, None]]
    figure = charts.stacked_bars(series, buckets, Unit.MONEY)
    go.Figure(figure)
    assert figure["data"][-1]["customdata"][-3:] == ["$0.00", "$5.00", "unknown"]


def test_success_is_a_share_of_the_runs_that_nobody_stopped() -> None:
    assert (PRICED.decided, UsageFigures(runs=1, cancelled=1).decided) == (3, 0)
    (success,) = (part for part in usage_metrics(PRICED) if part.label == "Success")
    assert success.value == "100 %"


def test_columns_without_any_price_cost_unknown_together() -> None:
    runs = [
        RunView(run_id=UUID(int=number), status=RunStatus.SUCCEEDED, provider="OPENAI", model="own")
        for number in (1, 2)
    ]
    line = summary_line(compare(runs), runs, {run.run_id: "AB"[run.run_id.int - 1] for run in runs})
    assert "unknown together, unpriced" in line


def test_a_day_of_which_no_token_is_known_is_unknown_in_the_chart() -> None:
    today = datetime(2026, 11, 22, tzinfo=UTC)
    days = (
        UsageFigures(attempts=2, untold_attempts=1, input_tokens=7, output_tokens=3),
        UsageFigures(attempts=1, untold_attempts=1),
        UsageFigures(attempts=1),
    )
    points = [
        UsagePoint(start=today - timedelta(days=2 - day), key="", label="", figures=figures)
        for day, figures in enumerate(days)
    ]
    series = token_series(points, buckets_of(week()))
    assert [list(part.values[-3:]) for part in series] == [[7.0, None, 0.0], [3.0, None, 0.0]]
    assert [figures.known_tokens for figures in days] == [10, None, 0]
