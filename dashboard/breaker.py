"""The breaker before AWS Lambda, where a page shows it while it is open."""

import streamlit as st

from core.contract import utc_now
from core.execution.breaker import BreakerState
from dashboard import queries
from dashboard.backend import application
from dashboard.components.breaker_notice import breaker_notice

_EVERY_SECONDS = 2.0


def breaker_if_open() -> None:
    """Draws it, and again until it is closed; nothing where it is closed, or no function is named."""
    breaker = application().lambda_breaker
    if breaker is not None and breaker.status().state is not BreakerState.CLOSED:
        st.fragment(_draw, run_every=_EVERY_SECONDS)()


def _draw() -> None:
    breaker = application().lambda_breaker
    if breaker is None or breaker.status().state is BreakerState.CLOSED:
        st.rerun()
    if breaker_notice(breaker.status(), now=utc_now(), zone=queries.zone()):
        breaker.reset()
        st.rerun()
