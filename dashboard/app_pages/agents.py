"""Agents: the list, or the one that the address names."""

import streamlit as st

from dashboard import state
from dashboard.agents import actions
from dashboard.agents.detail_view import detail_view
from dashboard.agents.edit_view import new_view
from dashboard.agents.list_view import list_view

actions.said()
match st.query_params.get(state.AGENT_ID):
    case None | "":
        list_view()
    case state.AGENT_NEW:
        new_view()
    case agent_id:
        detail_view(agent_id)
