"""The usage page's part on AWS Lambda: beside this machine, and which size of the function would do."""

import streamlit as st

from core.services.lambda_usage import LambdaUsage
from core.services.right_sizing import RightSizing
from core.services.usage import Period
from core.storage.records import RunFilter
from dashboard import charts_lambda, queries, routes, state
from dashboard.chart_axes import Unit
from dashboard.components import lambda_comparison as comparison
from dashboard.components.cards import card, chart, metric_row, table_below
from dashboard.components.doc_door import doc_door
from dashboard.components.empty_state import empty_state
from dashboard.components.right_sizing import sizing_facts, sizing_name, sizing_table
from dashboard.components.tables import show_table


def lambda_view(period: Period, run_filter: RunFilter) -> None:
    """Draws it, for the agents of the filter."""
    if run_filter.providers or run_filter.models:
        st.caption(
            ":material/info: Of all providers and models: a function's executions are counted by agent."
        )
    with st.skeleton(height=480):
        usage = queries.lambda_usage(period, run_filter.agent_ids)
    if not usage.agents:
        _nothing(filtered=bool(run_filter.agent_ids))
        return
    metric_row(comparison.lambda_metrics(usage))
    _beside_local(usage)
    _right_sizing(usage)


def _nothing(*, filtered: bool) -> None:
    text = (
        "None of these agents ran on AWS Lambda in this range."
        if filtered
        else "No run was sent to AWS Lambda in this range. A function runs the same agents without a server of yours; "
        "what it costs and takes stands here then, beside this machine."
    )
    with empty_state("Nothing ran on AWS Lambda", text, icon=":material/cloud_off:"):
        doc_door("lambda.md", "How to deploy the function", key="lambda-docs")
        routes.page_link(
            routes.SETTINGS,
            "AWS Lambda in the settings",
            icon=":material/settings:",
            params={state.SETTINGS_SECTION: "AWS Lambda"},
        )


def _beside_local(usage: LambdaUsage) -> None:
    rows = comparison.rows_of(usage.agents)
    names = [name for name, _ in rows]
    shown = min(len(usage.agents), comparison.NAMED)
    which = "" if len(usage.agents) == shown else f"; the {shown} agents with most of them"
    left, right = st.columns(2)
    with left, card("Lambda against local: time", f"The mean of successful attempts, by agent{which}"):
        figure = charts_lambda.paired_bars(names, comparison.time_parts(rows), Unit.DURATION)
        chart(figure, key="lambda-time", alt="Time at the model and beside it, on Lambda and here")
    with right, card("Lambda against local: money", f"Per 1,000 attempts, of what has a price{which}"):
        figure = charts_lambda.paired_bars(names, comparison.money_parts(rows), Unit.MONEY)
        chart(figure, key="lambda-money", alt="Cost of tokens, compute and requests, on Lambda and here")
    with card("By agent and backend", "Runs count where they ended, money where it was spent"):
        show_table(comparison.comparison_table(usage), key="lambda-by", file_name="lambda-against-local")


def _right_sizing(usage: LambdaUsage) -> None:
    caption = "Compute of 1,000 executions at each size, if they take as long as they did; both axes are logarithmic"
    with card("Right-sizing", caption):
        if not usage.sizes:
            st.caption(
                "AWS reported no memory size and billed duration in this range; the runtime emulator never does."
            )
            return
        sizing = _chosen(usage)
        left, right = st.columns([2, 1], gap="medium")
        with left:
            chart(charts_lambda.size_lines(sizing), key="lambda-sizes", alt="Cost over memory size")
        with right:
            sizing_facts(sizing)
        with table_below("lambda-sizes") as opened:
            if opened:
                show_table(sizing_table(sizing), key="lambda-sizes", file_name="lambda-right-sizing")


def _chosen(usage: LambdaUsage) -> RightSizing:
    if len(usage.sizes) == 1:
        return usage.sizes[0]
    names = [sizing_name(sizing) for sizing in usage.sizes]
    chosen = st.selectbox("Configuration of the function", names, key=state.USAGE_CONFIGURATION)
    return usage.sizes[names.index(chosen)] if chosen in names else usage.sizes[0]
