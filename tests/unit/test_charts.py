"""Figures: valid for Plotly, with the data that they were given, in colours that stay."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest

from core.errors import ErrorCode
from core.providers.rows_demo import DEMO
from core.providers.rows_openai import OPENAI
from core.services.usage import Period, span_of
from core.storage.records import Dimension, LatencyPoint, RunStatus
from dashboard import chart_frame, charts, charts_by_key, palette
from dashboard.chart_axes import Buckets, Unit, buckets_of


@pytest.fixture
def week() -> Buckets:
    return buckets_of(
        span_of(Period.DAYS_7, zone=ZoneInfo("UTC"), now=datetime(2026, 11, 22, 14, tzinfo=UTC))
    )


def latency(day: int, *, key: str = "", p50: float = 1e6) -> LatencyPoint:
    start = datetime(2026, 11, 22, tzinfo=UTC) - timedelta(days=day)
    return LatencyPoint(start=start, key=key, label=key, runs=9, p50_us=p50, p95_us=3 * p50, p99_us=5 * p50)


def test_stacked_bars_are_a_valid_figure_with_a_legend_for_several_series(week: Buckets) -> None:
    series = [
        charts.Series(name="a", color="#112233", values=[1, 0, 0, 2, 0, 0, 3]),
        charts.Series(name="b", color="#445566", values=[0, 0, 0, 4, 0, 0, 1]),
    ]
    figure = charts.stacked_bars(series, week, Unit.COUNT, average=2.0)
    go.Figure(figure)
    assert [trace["name"] for trace in figure["data"]] == ["a", "b", "Total"]
    assert figure["data"][2]["y"] == [1, 0, 0, 6, 0, 0, 4]
    assert figure["data"][1]["y"] == [0, 0, 0, 4, 0, 0, 1]
    assert figure["data"][0]["customdata"] == ["1", "", "", "2", "", "", "3"]
    assert figure["layout"]["showlegend"] is True
    assert figure["layout"]["shapes"][0]["y0"] == 2.0
    low, high = figure["layout"]["yaxis"]["range"]
    assert low == 0
    assert high >= 6  # the fourth day's two parts together


def test_one_series_needs_no_legend_and_no_average_no_line(week: Buckets) -> None:
    figure = charts.stacked_bars([charts.Series(name="a", color="#112233", values=[1] * 7)], week, Unit.MONEY)
    go.Figure(figure)
    assert figure["layout"]["showlegend"] is False
    assert "shapes" not in figure["layout"]


def test_percentiles_are_named_at_their_ends_and_broken_where_nothing_ran(week: Buckets) -> None:
    series = charts.percentile_series([latency(6), latency(2, p50=2e6)], week, p99=True)
    figure = charts.lines(series, week, Unit.DURATION)
    go.Figure(figure)
    assert [trace["name"] for trace in figure["data"]] == ["p99", "p95", "p50"]
    assert figure["data"][2]["y"] == [1e6, None, None, None, 2e6, None, None]
    assert len({trace["line"]["color"] for trace in figure["data"]}) == 3
    labels = figure["layout"]["annotations"]
    assert [label["text"] for label in labels] == [
        "<b>p99</b> 10.0 s",
        "<b>p95</b> 6.00 s",
        "<b>p50</b> 2.00 s",
    ]
    assert [label["font"]["color"] for label in labels] == [palette.P99, palette.P95, palette.P50]
    assert figure["layout"]["yaxis"]["ticktext"] == ("0", "2.5 s", "5.0 s", "7.5 s", "10.0 s")


def test_marks_of_many_days_leave_their_line_to_be_seen() -> None:
    sizes = []
    for period in (Period.DAYS_30, Period.DAYS_90):
        days = buckets_of(span_of(period, zone=ZoneInfo("UTC"), now=datetime(2026, 11, 22, 14, tzinfo=UTC)))
        line = charts.Series(name="p50", color="#112233", values=[1e6] * len(days.starts))
        (trace,) = charts.lines([line], days, Unit.DURATION)["data"]
        sizes.append(trace["marker"]["size"])
    assert sizes == [5, 3]


def test_line_ends_that_meet_have_labels_that_do_not(week: Buckets) -> None:
    same = [charts.Series(name=name, color="#112233", values=[5e6] * 7) for name in ("a", "b", "c")]
    moves = [label["yshift"] for label in charts.lines(same, week, Unit.DURATION)["layout"]["annotations"]]
    assert moves == pytest.approx([17, 0, -17], abs=1.0)


def test_ranges_and_rankings_are_valid_and_keep_the_order_given() -> None:
    points = [latency(0, key="OPENAI/slow", p50=8e6), latency(0, key="DEMO/fast", p50=2e4)]
    ranges = charts_by_key.percentile_ranges(points, ["slow", "fast"])
    go.Figure(ranges)
    assert ranges["data"][1]["y"] == ["slow", "fast"]
    assert ranges["layout"]["yaxis"]["autorange"] == "reversed"
    ranking = charts_by_key.ranking(
        ["RATE_LIMITED", "x" * 60], [8, 1], Unit.COUNT, colors=["#112233", "#445566"]
    )
    go.Figure(ranking)
    assert ranking["data"][0]["text"] == ["8", "1"]
    assert len(ranking["data"][0]["y"][1]) <= 40


def test_figures_of_nothing_are_valid(week: Buckets) -> None:
    for figure in (
        charts.stacked_bars([], week, Unit.MONEY),
        charts.lines([], week, Unit.DURATION),
        charts_by_key.percentile_ranges([], []),
        charts_by_key.ranking([], [], Unit.COUNT, colors=[]),
    ):
        go.Figure(figure)


def test_a_provider_has_its_own_colour() -> None:
    assert palette.series_colors(Dimension.PROVIDER, [], ["OPENAI", "DEMO"]) == {
        "OPENAI": OPENAI.color,
        "DEMO": DEMO.color,
    }


def test_a_key_keeps_its_colour_whatever_else_is_shown_and_whatever_ranks_below_it() -> None:
    ranked = [f"OPENAI/model-{number}" for number in range(9)]
    whole = palette.series_colors(Dimension.MODEL, ranked, ranked)
    for first in range(8):
        few = palette.series_colors(Dimension.MODEL, ranked, ranked[first : first + 2])
        assert few == {key: whole[key] for key in ranked[first : first + 2]}
    newcomer = palette.series_colors(Dimension.MODEL, [*ranked, "OPENAI/new"], ["OPENAI/new", *ranked])
    assert {key: newcomer[key] for key in ranked} == whole


@pytest.mark.parametrize("number", [10, 40])
def test_up_to_ten_that_are_shown_have_colours_of_their_own(number: int) -> None:
    ranked = [f"OPENAI/model-{index}" for index in range(number)]
    shown = ranked[-10:]
    assert len(set(palette.series_colors(Dimension.MODEL, ranked, shown).values())) == 10


def test_bars_keep_their_height_when_the_legend_takes_several_lines(week: Buckets) -> None:
    short = [charts.Series(name="a", color="#112233", values=[1] * 7)]
    long = [charts.Series(name="x" * 30, color="#112233", values=[1] * 7)] * 6
    assert charts.legend_height(short) == chart_frame.HEIGHT
    assert charts.legend_height(short, long) > chart_frame.HEIGHT + 50
    assert charts.stacked_bars(long, week, Unit.COUNT, height=400)["layout"]["height"] == 400


def test_an_error_has_the_colour_of_the_status_that_it_gives_a_run() -> None:
    assert palette.error_color(ErrorCode.CANCELLED) == palette.STATUS[RunStatus.CANCELLED]
    assert palette.error_color(ErrorCode.OUTCOME_UNKNOWN) == palette.STATUS[RunStatus.OUTCOME_UNKNOWN]
    assert palette.error_color("RATE_LIMITED") == palette.STATUS[RunStatus.FAILED]
