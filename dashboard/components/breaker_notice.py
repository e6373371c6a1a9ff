"""The circuit breaker before AWS Lambda, when it is open: since when, why, when it is tried again; and its reset."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from core.execution.breaker import BreakerState, BreakerStatus
from dashboard import formatting
from dashboard.components.failure import literal, told


def breaker_notice(status: BreakerStatus, *, now: datetime, zone: ZoneInfo) -> bool:
    """Draws it, nothing while it is closed; True when it is to be reset."""
    if status.state is BreakerState.CLOSED:
        return False
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        with st.container(gap=None, width="stretch"):
            st.markdown(
                f":orange[:material/electrical_services:] **No run is sent to {literal(status.target)}**"
            )
            st.markdown(_course(status, now, zone))
            if status.reason:
                st.caption(told(status.reason))
            st.caption(
                "Automatic runs go to this machine meanwhile. Each process has a breaker of its own: this is "
                "the dashboard's."
            )
        return st.button(
            "Reset", icon=":material/restart_alt:", key="breaker-reset", help="The next run goes there again."
        )


def _course(status: BreakerStatus, now: datetime, zone: ZoneInfo) -> str:
    faults = (
        "It did not answer in time"
        if status.faults == 1
        else f"{status.faults} times in a row without an answer"
    )
    since = ""
    if status.opened_at is not None:
        clock = f"{status.opened_at.astimezone(zone):%H:%M:%S}"
        since = f"; left alone since {clock} ({formatting.ago(status.opened_at, now)})"
    return f"{faults}{since}. {_next(status, now, zone)}"


def _next(status: BreakerStatus, now: datetime, zone: ZoneInfo) -> str:
    if status.state is BreakerState.HALF_OPEN:
        return "A run is trying it now."
    if status.probe_at is None or status.probe_at <= now:
        return "The next run tries it again."
    clock = f"{status.probe_at.astimezone(zone):%H:%M:%S}"
    # As counted down: a hundredth of a second says nothing to who waits.
    minutes, seconds = divmod(math.ceil((status.probe_at - now).total_seconds()), 60)
    left = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"The first run after {clock} (in {left}) tries it again."
