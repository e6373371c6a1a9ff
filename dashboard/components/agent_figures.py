"""What an agent did in the last seven days, as a row of figures."""

from datetime import datetime

import streamlit as st

from core.services.agents import AgentActivity
from dashboard import formatting
from dashboard.components.marks import STATUS_LABELS
from dashboard.components.usage_figures import UNPRICED_HELP, UNTOLD_HELP, unpriced_note, untold_note


def agent_figures(activity: AgentActivity, *, now: datetime) -> None:
    """Draws the row."""
    figures, last = activity.figures, activity.last_run
    cost = (
        formatting.money_known(figures.cost_nanousd, figures.unpriced_runs)
        if figures.runs
        else formatting.NO_VALUE
    )
    with st.grid(5, min_column_width=140):
        st.metric("Runs, 7 days", formatting.count(figures.runs), border=True, height="stretch")
        st.metric(
            "Cost, 7 days",
            cost.replace("$", "\\$"),
            border=True,
            height="stretch",
            delta_description=unpriced_note(figures),
            help=UNPRICED_HELP,
        )
        st.metric(
            "Succeeded",
            formatting.percent(figures.succeeded, figures.decided),
            border=True,
            height="stretch",
            help="Of the runs that nobody cancelled.",
        )
        tokens = formatting.count(figures.known_tokens) if figures.runs else formatting.NO_VALUE
        st.metric(
            "Tokens",
            tokens,
            border=True,
            height="stretch",
            delta_description=untold_note(figures),
            help=UNTOLD_HELP,
        )
        st.metric(
            "Last run",
            formatting.ago(last.created_at, now) if last else "never",
            border=True,
            height="stretch",
            delta_description=STATUS_LABELS[last.status] if last else None,
        )
