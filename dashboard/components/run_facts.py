"""The facts of a run, and where it belongs: its agent's version, its group, the run that it repeats."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from core.storage.records import AgentVersionRecord, RunDetail
from dashboard import formatting, routes, state
from dashboard.components.marks import BACKEND_LABELS, TRIGGER_LABELS, provider_mark

_FINISH_LABELS: Final = {
    "stop": "The answer is complete",
    "length": "Cut at max tokens",
    "content_filter": "Cut by the provider's filter",
    "tool_calls": "Asked for a tool",
    "other": "Other",
}


def run_figures(detail: RunDetail) -> None:
    """Draws the row of figures on top."""
    run = detail.summary
    with st.grid(5, min_column_width=140):
        st.metric("Cost", formatting.money(run.cost_nanousd).replace("$", "\\$"), border=True)
        st.metric("Latency", formatting.duration(run.latency_us), border=True)
        st.metric(
            "First token",
            formatting.duration(run.first_token_us),
            border=True,
            help="From the run's beginning, as the latency; what failed before counts too.",
        )
        both = run.input_tokens, run.output_tokens
        st.metric("Tokens in", formatting.tokens(run.input_tokens, of=both), border=True)
        st.metric("Tokens out", formatting.tokens(run.output_tokens, of=both), border=True)


def run_facts(
    detail: RunDetail, *, version: AgentVersionRecord | None, zone: ZoneInfo, now: datetime
) -> None:
    """Draws the facts.

    Args:
        detail: The run.
        version: The agent's version it ran; None for an ad-hoc run.
        zone: Of the times.
        now: For the relative time.
    """
    run = detail.summary
    last = detail.attempts[-1] if detail.attempts else None
    _fact(
        "Started",
        f"{formatting.exact_time(run.created_at, zone)} :gray[({formatting.ago(run.created_at, now)})]",
    )
    _fact("Model", f"{provider_mark(run.provider)} `{run.model}`")
    if last is not None and last.answered_by_model and last.answered_by_model != run.model:
        _fact("Answered by", f"`{last.answered_by_model}`")
    _fact("Ran", f"{BACKEND_LABELS[run.backend]}, from {TRIGGER_LABELS[run.trigger]}")
    if last is not None and last.provider_request_id:
        _fact("Provider's request id", f"`{last.provider_request_id}`")
    if last is not None and last.finish_reason:
        _fact("Finish", _FINISH_LABELS.get(last.finish_reason, last.finish_reason))
    st.caption("Run id")
    st.code(str(run.id), language=None, wrap_lines=True)
    _links(detail, version)


def _links(detail: RunDetail, version: AgentVersionRecord | None) -> None:
    run = detail.summary
    if version is not None:
        routes.page_link(
            routes.AGENT,
            f"{run.agent_name or 'Agent'}, version {version.number}",
            icon=":material/smart_toy:",
            params={state.AGENT_PAGE_ID: str(version.agent_id), state.AGENT_VERSION: str(version.number)},
        )
    if run.replay_of is not None:
        routes.here_link(
            "The run that this one repeats",
            {state.RUN_ID: str(run.replay_of)},
            icon=":material/replay:",
            key="run-original",
        )
        routes.here_link(
            "Compare with it",
            {state.RUN_COMPARE: str(run.replay_of)},
            icon=":material/compare_arrows:",
            key="run-compare-original",
        )
    if run.group_id is not None:
        routes.page_link(
            routes.RUNS,
            "The runs started together with it",
            icon=":material/view_column:",
            params={state.RUNS_GROUP: str(run.group_id), state.RANGE: "All"},
        )


def _fact(label: str, value: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.markdown(value)
