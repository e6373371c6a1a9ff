"""Overview: what was spent, how well it went, and what went wrong last."""

from datetime import datetime

import streamlit as st

from core.contract import utc_now
from core.providers.rows_demo import DEMO
from core.services.usage import Overview, Period, Span
from dashboard import charts, formatting, queries, routes, state
from dashboard.breaker import breaker_if_open
from dashboard.chart_axes import Buckets, Unit, buckets_of
from dashboard.components.cards import card, chart, metric_row
from dashboard.components.empty_state import empty_state
from dashboard.components.failure_list import failure_list
from dashboard.components.first_run import first_run
from dashboard.components.header import choose_period, page_header
from dashboard.components.usage_figures import (
    COST_NOTHING,
    cost_nothing,
    cost_part_series,
    outcome_series,
    overview_metrics,
    token_series,
    untold_note,
)


def page() -> None:
    """Draws the page."""
    with page_header("Overview", "What your agents did, what it cost and what went wrong"):
        newest = queries.newest_run()
        period = choose_period("overview", zone=queries.zone()) if newest else Period.DAYS_7
    breaker_if_open()
    if newest is None:
        demo = (agent for agent in queries.agents() if agent.version.config.get("provider") == DEMO.name)
        first_run(demo_agent=next(demo, None), has_key=bool(queries.credentials()))
        return
    with st.skeleton(height=480):
        data = queries.overview(period)
    if data.figures.attempts:
        _figures(data)
    else:
        _nothing_in_range(newest.created_at)
    _quick_links()


def _comparison(span: Span) -> str:
    began, ended = (formatting.day(at, span.zone) for at in (span.previous_since, span.previous_until))
    days = began if began == ended else f"{began} to {ended}"
    if span.compared_until == span.since:
        return f"Compared with {days} from the first whole quarter of an hour on."
    return f"Change against {days}, both until {span.compared_until.astimezone(span.zone):%H:%M}."


def _figures(data: Overview) -> None:
    span, zone = data.span, data.span.zone
    buckets = buckets_of(span)
    metrics = overview_metrics(data, buckets)
    metric_row(metrics)
    if any(metric.change for metric in metrics):
        st.caption(_comparison(span))
    left, right = st.columns(2)
    with left:
        _spend(data, buckets)
    with right, card("Runs", f"{_grain(data).capitalize()}, by how they ended"):
        figure = charts.stacked_bars(outcome_series(data.series, buckets), buckets, Unit.COUNT)
        chart(figure, key="overview-runs", alt="Runs by day and outcome")
    left, right = st.columns(2)
    with (
        left,
        card(
            "Latency",
            f"{_grain(data).capitalize()}; half took no longer than p50, 19 of 20 no longer than p95",
        ),
    ):
        figure = charts.lines(charts.percentile_series(data.latency_series, buckets), buckets, Unit.DURATION)
        chart(figure, key="overview-latency", alt="Latency percentiles by day")
    with right, card("Last failures", "Failed or of unknown outcome, newest first"):
        failure_list(data.last_failures, now=utc_now(), zone=zone)


def _spend(data: Overview, buckets: Buckets) -> None:
    if cost_nothing(data.figures):
        note = untold_note(data.figures)
        with card("Tokens", f"{_grain(data).capitalize()}; {COST_NOTHING}{f'; {note}' if note else ''}"):
            figure = charts.stacked_bars(token_series(data.series, buckets), buckets, Unit.COUNT)
            chart(figure, key="overview-tokens", alt="Tokens over time")
        return
    with card("Spend", _spend_caption(data, len(buckets.starts))):
        known = data.figures.known_cost_nanousd
        average = None if known is None or data.span.grain != "day" else known / len(buckets.starts)
        figure = charts.stacked_bars(
            cost_part_series(data.series, buckets), buckets, Unit.MONEY, average=average
        )
        chart(figure, key="overview-spend", alt="Spend over time, by part")


def _spend_caption(data: Overview, days: int) -> str:
    figures = data.figures
    parts = [f"{_grain(data).capitalize()}"]
    known = figures.known_cost_nanousd
    if known is not None and data.span.grain == "day":
        parts.append(f"dashed: {formatting.money(round(known / days))} a day")
    if figures.unpriced_runs:
        parts.append(f"unpriced: {formatting.count(figures.unpriced_runs)}")
    return ", ".join(parts)


def _grain(data: Overview) -> str:
    return "by day" if data.span.grain == "day" else "by hour"


def _nothing_in_range(newest: datetime) -> None:
    when = formatting.ago(newest, utc_now())
    with empty_state(
        "Nothing ran in this range", f"The newest run was {when}.", icon=":material/event_busy:"
    ):
        st.button("Show 30 days", icon=":material/date_range:", on_click=_show_30_days)
        routes.page_link(routes.PLAYGROUND, "Open the playground", icon=":material/play_circle:")


def _show_30_days() -> None:
    st.session_state[state.RANGE] = Period.DAYS_30


def _quick_links() -> None:
    with st.container(horizontal=True, gap="medium"):
        routes.page_link(routes.PLAYGROUND, "Try a prompt", icon=":material/play_circle:")
        routes.page_link(routes.AGENTS, "Configure agents", icon=":material/smart_toy:")
        routes.page_link(routes.USAGE, "Cost by provider, model or agent", icon=":material/bar_chart:")
        routes.page_link(routes.SETTINGS, "Credentials and prices", icon=":material/key:")


page()
