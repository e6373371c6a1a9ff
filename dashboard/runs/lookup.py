"""Which run a page is about, and which others belong to it."""

from uuid import UUID

import streamlit as st

from core.contract import utc_now
from core.errors import NotFound
from core.storage.records import AgentVersionRecord, RunDetail, RunFilter, RunSummary
from dashboard import formatting
from dashboard.backend import application, principal


def asked_for(parameter: str) -> UUID | None:
    """The run id in the address, if it is one."""
    try:
        return UUID(st.query_params.get(parameter, ""))
    except ValueError:
        return None


def find(run_id: UUID | None) -> RunDetail | None:
    """The run, or None where there is none of that id."""
    try:
        return None if run_id is None else application().runs.get(principal(), run_id)
    except NotFound:
        return None


def others_of(run: RunSummary) -> dict[UUID, str]:
    """Runs worth a comparison: the one it repeats, those started with it, those of its agent before it."""
    runs = application().runs
    found: dict[UUID, str] = {}
    if run.replay_of is not None:
        found[run.replay_of] = "The run that this one repeats"
    now = utc_now()
    if run.group_id is not None:
        for other in runs.page(principal(), RunFilter(group_id=run.group_id), limit=7).runs:
            found.setdefault(other.id, f"Started together: {other.model}")
    if run.agent_id is not None:
        recent = RunFilter(agent_ids=(run.agent_id,), until=run.created_at)
        for other in runs.page(principal(), recent, limit=4).runs:
            found.setdefault(other.id, f"{other.model}, {formatting.ago(other.created_at, now)}")
    found.pop(run.id, None)
    return found


def version_of(run: RunSummary) -> AgentVersionRecord | None:
    """The agent's version that ran, if it was an agent."""
    if run.agent_version_id is None:
        return None
    try:
        return application().agents.version(principal(), run.agent_version_id)
    except NotFound:
        return None
