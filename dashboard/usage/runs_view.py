"""The usage page's part on all runs: figures, charts and tables of what passes the filters."""

import streamlit as st

from core.services.usage import Period, UsageReport
from core.storage.records import RunFilter
from dashboard import charts, charts_by_key, formatting, palette, queries, routes
from dashboard.chart_axes import Buckets, Unit, buckets_of
from dashboard.components.cards import card, chart, metric_row, table_below
from dashboard.components.empty_state import empty_state
from dashboard.components.tables import show_table
from dashboard.components.usage_figures import (
    COST_NOTHING,
    cost_nothing,
    outcome_series,
    tokens_of,
    unpriced_note,
    untold_note,
    usage_metrics,
)
from dashboard.components.usage_filters import SPLITS, UsageChoice, clear_usage_filters
from dashboard.components.usage_split import (
    NAMED,
    breakdown_table,
    error_table,
    key_label,
    latency_by_table,
    latency_table,
    outcome_table,
    series_table,
    split_series,
)


def runs_view(period: Period, choice: UsageChoice) -> None:
    """Draws it."""
    with st.skeleton(height=480):
        report = queries.usage(period, choice.split, choice.run_filter)
    if not report.figures.attempts:
        _nothing(filtered=choice.run_filter != RunFilter())
        return
    buckets = buckets_of(report.span)
    metric_row(usage_metrics(report.figures))
    _money_and_tokens(report, buckets)
    title = SPLITS[report.split]
    with card(f"By {title.lower()}", "Over the whole range, the dearest first"):
        show_table(
            breakdown_table(report, title=title),
            key="usage-by",
            file_name=_file(report, f"by-{report.split}"),
        )
    _latency(report, buckets)
    _outcomes(report, buckets)


def _nothing(*, filtered: bool) -> None:
    text = "No run of this range passes the filters." if filtered else "There is no run in this range."
    with empty_state("Nothing ran here", text, icon=":material/bar_chart_off:"):
        if filtered:
            st.button("Clear filters", icon=":material/filter_alt_off:", on_click=clear_usage_filters)
        else:
            routes.page_link(routes.PLAYGROUND, "Open the playground", icon=":material/play_circle:")


def _money_and_tokens(report: UsageReport, buckets: Buckets) -> None:
    title = SPLITS[report.split]
    note = unpriced_note(report.figures)
    free = cost_nothing(report.figures)
    cost = split_series(report, buckets, lambda figures: figures.runs if free else figures.cost_nanousd)
    tokens = split_series(report, buckets, tokens_of)
    height = charts.legend_height(cost, tokens)
    table = series_table(report, buckets, title=title)
    left, right = st.columns(2)
    note = COST_NOTHING if free else note
    with (
        left,
        card(
            "Runs" if free else "Cost", f"{_grain(report)}, by {title.lower()}{f'; {note}' if note else ''}"
        ),
    ):
        chart(
            charts.stacked_bars(cost, buckets, Unit.COUNT if free else Unit.MONEY, height=height),
            key="usage-cost",
            alt="Runs over time" if free else "Cost over time",
        )
        with table_below("usage-cost") as opened:
            if opened:
                show_table(table, key="usage-cost", file_name=_file(report, "cost"))
    with right, card("Tokens", _tokens_caption(report, title)):
        figure = charts.stacked_bars(tokens, buckets, Unit.COUNT, height=height)
        chart(figure, key="usage-tokens", alt="Tokens over time")
        with table_below("usage-tokens") as opened:
            if opened:
                show_table(table, key="usage-tokens", file_name=_file(report, "tokens"))


def _tokens_caption(report: UsageReport, title: str) -> str:
    note = untold_note(report.figures)
    return f"{_grain(report)}, by {title.lower()}; input and output together{f'; {note}' if note else ''}"


def _latency(report: UsageReport, buckets: Buckets) -> None:
    title = SPLITS[report.split]
    most_used = sorted(report.latency_by, key=lambda point: -point.runs)[: NAMED + 1]
    names = [key_label(report.split, point.key, point.label) for point in most_used]
    by_key = charts_by_key.percentile_ranges(most_used, names)
    left, right = st.columns(2)
    with left, card("Latency", f"{_grain(report)}; p95: 19 of 20 runs took no longer"):
        series = charts.percentile_series(report.latency_series, buckets, p99=True)
        over_time = charts.lines(series, buckets, Unit.DURATION, height=by_key["layout"]["height"])
        chart(over_time, key="usage-latency", alt="Latency over time")
        with table_below("usage-latency") as opened:
            if opened:
                table = latency_table(report.latency_series, buckets)
                show_table(table, key="usage-latency", file_name=_file(report, "latency"))
    with right, card(f"Latency by {title.lower()}", "Over the whole range, the most used first"):
        chart(by_key, key="usage-latency-by", alt="Latency percentiles")
        with table_below("usage-latency-by") as opened:
            if opened:
                table = latency_by_table(report, title=title)
                show_table(table, key="usage-latency-by", file_name=_file(report, "latency-by"))


def _outcomes(report: UsageReport, buckets: Buckets) -> None:
    figures = report.figures
    success = formatting.percent(figures.succeeded, figures.decided)
    left, right = st.columns(2)
    with left, card("Outcomes", f"{_grain(report)}; {success} of the runs that nobody cancelled succeeded"):
        series = outcome_series(report.series, buckets)
        chart(charts.stacked_bars(series, buckets, Unit.COUNT), key="usage-outcomes", alt="Runs by outcome")
        with table_below("usage-outcomes") as opened:
            if opened:
                table = outcome_table(report, buckets)
                show_table(table, key="usage-outcomes", file_name=_file(report, "outcomes"))
    with right, card("Error codes", "Runs that ended with each, over the whole range"):
        if not report.errors:
            st.caption(":material/check_circle: No run ended with an error.")
            return
        codes, runs = zip(*report.errors, strict=True)
        colors = [palette.error_color(code) for code in codes]
        chart(
            charts_by_key.ranking(codes, runs, Unit.COUNT, colors=colors),
            key="usage-errors",
            alt="Errors by code",
        )
        with table_below("usage-errors") as opened:
            if opened:
                show_table(error_table(report), key="usage-errors", file_name=_file(report, "errors"))


def _grain(report: UsageReport) -> str:
    return "By day" if report.span.grain == "day" else "By hour"


def _file(report: UsageReport, what: str) -> str:
    zone = report.span.zone
    first, last = (f"{moment.astimezone(zone):%Y-%m-%d}" for moment in (report.span.since, report.span.until))
    return f"usage-{what}-{first}-to-{last}"
