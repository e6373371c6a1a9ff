"""The last runs that went wrong, each a link to its page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.usage import FAILURES
from core.storage.records import RunSummary
from dashboard import formatting, routes, state
from dashboard.components.failure import literal
from dashboard.components.marks import STATUS_LABELS, provider_label

_WHO_CHARS: Final = 20
"""What fits beside the longest error code in half a window of 1280 pixels."""


def failure_list(runs: Sequence[RunSummary], *, now: datetime, zone: ZoneInfo) -> None:
    """Draws them, newest first, and a link to all of them; says so if there are none."""
    if not runs:
        st.caption(":material/check_circle: No run failed in this range.")
        return
    for run in runs:
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
        ):
            routes.run_link(
                run.id,
                run.error_code or run.status.value,
                icon=":material/error:",
                help=literal(_help(run, zone)),
            )
            who = formatting.shortened(run.agent_name or run.model, _WHO_CHARS)
            st.caption(f"{literal(who)} · {formatting.ago(run.created_at, now)}", width="content")
    labels = [STATUS_LABELS[status] for status in FAILURES]
    routes.page_link(
        routes.RUNS, "All failures", icon=":material/arrow_forward:", params={state.RUNS_STATUS: labels}
    )


def _help(run: RunSummary, zone: ZoneInfo) -> str:
    who = run.agent_name or "Ad-hoc run"
    when = formatting.exact_time(run.created_at, zone)
    return f"{who} on {provider_label(run.provider)} {run.model}, {when}"
