"""What stands around every page: the window, the page, and a clear text when it cannot be shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import AgentLauncherError
from dashboard import state
from dashboard.components.failure import show_failure

_MARK: Final = str(Path(__file__).parents[1] / "assets" / "mark.svg")
_SIDEBAR_PX: Final = 220


def window() -> None:
    """Sets what all pages share. Comes before the navigation is made.

    The tab's icon is a file of ours: for a page's own the browser would ask a font server on the internet.
    """
    st.set_page_config(page_icon=_MARK, layout="wide", initial_sidebar_state=_SIDEBAR_PX)
    st.logo(_MARK, size="large")


def page_frame(page: StreamlitPage, *, notice: Callable[[], str]) -> None:
    """Draws the chosen page, below what every page should say now, if that is anything.

    An error of ours, also of `notice`, becomes its text, which names the remedy.
    A fault of the program goes on to the server's `on_script_error`, as do errors of callbacks and fragments.
    """
    st.set_page_config(page_title=f"{page.title} · Agent Launcher")
    st.session_state[state.ARRIVED] = st.session_state.get(state.FRAME_PAGE) != page.url_path
    st.session_state[state.FRAME_PAGE] = page.url_path
    try:
        if said := notice():
            st.warning(said, icon=":material/database_off:")
        page.run()
    except AgentLauncherError as exc:
        show_failure(exc)
