"""The agents as cards: what each asks, what it did lately, and the two things that are done with it most."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import streamlit as st

from core.services.agents import AgentActivity
from core.storage.records import AgentRecord
from dashboard import formatting
from dashboard.components.failure import literal
from dashboard.components.marks import provider_mark, status_mark

Click = tuple[Literal["open", "try", "unarchive"], UUID]
_DESCRIPTION_CHARS = 150


def agent_cards(
    agents: Sequence[AgentRecord], activity: Mapping[UUID, AgentActivity], *, now: datetime
) -> Click | None:
    """Draws them side by side; what was clicked.

    Args:
        agents: In the order to be shown.
        activity: Of the last seven days, by agent.
        now: For relative times.
    """
    clicked: Click | None = None
    with st.grid(3, min_column_width=360, key="agent-cards"):
        for agent in agents:
            with st.container(border=True, height="stretch", gap="small"):
                clicked = _card(agent, activity.get(agent.id), now=now) or clicked
    return clicked


def _card(agent: AgentRecord, activity: AgentActivity | None, *, now: datetime) -> Click | None:
    config = agent.version.config
    with st.container(gap="xxsmall"):
        st.markdown(f"#### {literal(agent.name)}")
        st.caption(
            f"{provider_mark(str(config.get('provider', '')))} · {literal(str(config.get('model_name', '')))}"
            f" · v{agent.version.number}"
        )
    with st.container(height="stretch"):
        st.markdown(literal(_shortened(agent.description)) or ":gray[No description]")
    if activity is not None:
        _figures(activity, now)
    with st.container(horizontal=True):
        if agent.archived_at is not None:
            back = st.button("Bring back", icon=":material/unarchive:", key=f"unarchive-{agent.id}")
            opened = st.button("Open", key=f"open-{agent.id}")
            return ("unarchive", agent.id) if back else ("open", agent.id) if opened else None
        opened = st.button("Edit", icon=":material/edit:", key=f"open-{agent.id}")
        tried = st.button("Playground", icon=":material/play_circle:", key=f"try-{agent.id}")
    return ("open", agent.id) if opened else ("try", agent.id) if tried else None


def _figures(activity: AgentActivity, now: datetime) -> None:
    figures = activity.figures
    cost = (
        formatting.money_known(figures.cost_nanousd, figures.unpriced_runs)
        if figures.runs
        else formatting.NO_VALUE
    )
    runs = formatting.count(figures.runs)
    with st.container(horizontal=True, gap="medium"):
        _figure("Runs, 7 days", runs)
        unpriced = f" :orange[unpriced: {figures.unpriced_runs}]" if figures.unpriced_runs else ""
        _figure("Cost, 7 days", cost.replace("$", "\\$") + unpriced)
        last = activity.last_run
        _figure(
            "Last run",
            f"{status_mark(last.status)}, {formatting.ago(last.created_at, now)}" if last else "never",
        )


def _figure(label: str, value: str) -> None:
    st.markdown(f":small[:gray[{label}]]  \n{value}", width="content")


def _shortened(text: str) -> str:
    if len(text) <= _DESCRIPTION_CHARS:
        return text
    return text[:_DESCRIPTION_CHARS].rsplit(" ", maxsplit=1)[0] + " …"
