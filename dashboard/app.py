"""The pages and their groups, nothing else."""

import streamlit as st

from dashboard.components.frame import page_frame

pages = {
    "": [
        st.Page("app_pages/overview.py", title="Overview", icon=":material/dashboard:", default=True),
        st.Page("app_pages/playground.py", title="Playground", icon=":material/play_circle:"),
        st.Page("app_pages/agents.py", title="Agents", icon=":material/smart_toy:"),
    ],
    "Observe": [
        st.Page("app_pages/runs.py", title="Runs", icon=":material/list_alt:"),
        st.Page("app_pages/usage.py", title="Usage", icon=":material/bar_chart:"),
    ],
    "Administer": [
        st.Page("app_pages/settings.py", title="Settings", icon=":material/settings:"),
    ],
    "Hidden": [
        st.Page("app_pages/run_detail.py", title="Run", url_path="run", visibility="hidden"),
    ],
}

page_frame(st.navigation(pages))
