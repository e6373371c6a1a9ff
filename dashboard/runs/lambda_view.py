"""A run's attempts on AWS Lambda: what AWS reported, and their lines of the function's log when they are asked for."""

from collections.abc import Sequence

import streamlit as st

from core.errors import AgentLauncherError
from core.services.log_lines import LogOrigin
from core.storage.records import AttemptRecord
from dashboard import queries
from dashboard.backend import application, principal
from dashboard.components.cards import card
from dashboard.components.log_view import log_failure, log_lines
from dashboard.components.run_lambda import log_query, on_lambda, reported


def lambda_view(attempts: Sequence[AttemptRecord]) -> None:
    """Draws it; nothing for a run that was never sent there."""
    there = on_lambda(attempts)
    if not there:
        return
    with card("On AWS Lambda", "What AWS reported of each execution, and its lines of the function's log"):
        for attempt in there:
            if len(there) > 1:
                st.markdown(f"**Attempt {attempt.ordinal}**")
            reported(attempt)
            _log(attempt)


def _log(attempt: AttemptRecord) -> None:
    key = f"run-log-{attempt.ordinal}"
    fold = st.expander("Log lines", icon=":material/article:", type="compact", key=key, on_change="rerun")
    with fold:
        if not fold.open:
            return
        if LogOrigin.LAMBDA not in application().logs.origins(principal()):
            st.caption(
                "No function is named here any more (LAMBDA_AGENT_FUNCTION_NAME): its log cannot be found."
            )
            return
        try:
            with st.spinner("Reading CloudWatch"):
                page = application().logs.read(principal(), LogOrigin.LAMBDA, log_query(attempt))
        except AgentLauncherError as exc:
            log_failure(exc)
            return
        log_lines(page, zone=queries.zone(), key=f"{key}-lines")
        if not page.lines:
            st.caption("CloudWatch may take some seconds to show a line: fold this and open it again.")
