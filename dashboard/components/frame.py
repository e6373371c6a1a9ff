"""What stands around every page: the tab's title, the page, and a clear text when it cannot be shown."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import AgentLauncherError
from dashboard.components.failure import show_failure


def page_frame(page: StreamlitPage) -> None:
    """Draws the chosen page. An error of ours becomes its text, which names the remedy.

    A fault of the program goes on to the server's `on_script_error`, as do errors of callbacks and fragments.
    """
    title = f"{page.title} · Agent Launcher"
    st.set_page_config(page_title=title, page_icon=":material/rocket_launch:", layout="wide")
    try:
        page.run()
    except AgentLauncherError as exc:
        show_failure(exc)
