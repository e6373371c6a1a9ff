"""What stands around every page: the title in the sidebar, the page itself, and a clear text when it cannot be shown."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import AgentLauncherError


def page_frame(page: StreamlitPage) -> None:
    """Draws the chosen page. An error of ours becomes its text, which names the remedy; all else is a fault."""
    st.set_page_config(page_title=f"{page.title} · Agent Launcher", page_icon=":material/rocket_launch:", layout="wide")
    try:
        page.run()
    except AgentLauncherError as exc:
        st.error(str(exc), icon=":material/error:", title="This page cannot be shown right now")
