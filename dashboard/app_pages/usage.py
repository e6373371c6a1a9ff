"""Usage: cost, tokens, latency and outcomes over time, by provider, model or agent; and AWS Lambda beside local."""

import streamlit as st

from core.services.usage import Period
from dashboard import queries, state
from dashboard.components.header import choose_period, page_header
from dashboard.components.usage_filters import usage_filters
from dashboard.usage.lambda_view import lambda_view
from dashboard.usage.runs_view import runs_view


def page() -> None:
    """Draws the page."""
    with page_header("Usage", "Cost, tokens, latency and outcomes over time"):
        period = choose_period(
            "usage", zone=queries.zone(), options=tuple(Period), carried=state.SHARED_FILTERS
        )
    choice = usage_filters(queries.run_filter_options())
    everything, on_lambda = st.tabs(
        ["All runs", "AWS Lambda"], key=state.USAGE_VIEW, bind="query-params", on_change="rerun"
    )
    if everything.open:
        with everything:
            runs_view(period, choice)
    if on_lambda.open:
        with on_lambda:
            lambda_view(period, choice.run_filter)


page()
