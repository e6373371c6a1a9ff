"""The pages and their groups, nothing else."""

import streamlit as st

from dashboard import backend, routes
from dashboard.components.frame import page_frame, window

window()

pages = {
    "Agent Launcher": [
        st.Page(routes.OVERVIEW, title="Overview", icon=":material/dashboard:", default=True),
        st.Page(routes.PLAYGROUND, title="Playground", icon=":material/play_circle:"),
        st.Page(routes.AGENTS, title="Agents", icon=":material/smart_toy:"),
    ],
    "Observe": [
        st.Page(routes.RUNS, title="Runs", icon=":material/list_alt:"),
        st.Page(routes.USAGE, title="Usage", icon=":material/bar_chart:"),
        st.Page(routes.COSTS, title="Costs", icon=":material/price_check:"),
        st.Page(routes.LOGS, title="Logs", icon=":material/article:"),
    ],
    "Administer": [
        st.Page(routes.SETTINGS, title="Settings", icon=":material/settings:"),
    ],
    "Hidden": [
        st.Page(routes.RUN_DETAIL, title="Run", url_path="run", visibility="hidden"),
        st.Page(routes.AGENT, title="Agent", url_path="agent", visibility="hidden"),
    ],
}

page_frame(st.navigation(pages), notice=backend.notice)
