"""The agent that the address names, or a new one."""

import streamlit as st

from dashboard import queries, state
from dashboard.agents import actions
from dashboard.agents.detail_view import detail_view
from dashboard.agents.edit_view import new_view

actions.said()
given = st.query_params.get(state.AGENT_PAGE_ID, state.AGENT_NEW)
if given == state.AGENT_NEW:
    new_view()
else:
    name = next((agent.name for agent in queries.agents() if str(agent.id) == given), "Agent")
    st.set_page_config(page_title=f"{name} · Agent Launcher")
    detail_view(given)
