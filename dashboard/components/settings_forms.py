"""What the settings' forms share: a button that acts, the reason when it was refused, the end.

The action happens in the button's callback, before anything is drawn: what was typed stays on a failure, and
a key leaves its field, and this session, on success.
"""

from collections.abc import Callable, Sequence

import streamlit as st

from core.errors import AgentLauncherError
from dashboard import state
from dashboard.components.failure import told


def submit(label: str, act: Callable[[], None], *, said: str, clear: Sequence[str] = ()) -> None:
    """Draws the button of a form, at its right.

    Args:
        label: On the button.
        act: What it does; an AgentLauncherError is shown by `fault`.
        said: The message when it was done.
        clear: The keys of fields to empty then.
    """
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.form_submit_button(label, type="primary", on_click=_act, args=(act, said, tuple(clear)))


def _act(act: Callable[[], None], said: str, clear: Sequence[str]) -> None:
    try:
        act()
    except AgentLauncherError as exc:
        st.session_state[state.SETTINGS_FAULT] = str(exc)
        return
    for key in clear:
        st.session_state[key] = ""
    st.session_state[state.SETTINGS_DONE] = said


def fault() -> None:
    """Draws why the last action was refused, once."""
    if text := st.session_state.pop(state.SETTINGS_FAULT, None):
        st.error(told(text), icon=":material/error:")


def finished() -> None:
    """In a dialog: closes it when its action was done."""
    if state.SETTINGS_DONE in st.session_state:
        st.rerun()


def say_done() -> None:
    """On the page: says once what was done."""
    if said := st.session_state.pop(state.SETTINGS_DONE, None):
        st.toast(said, icon=":material/check_circle:")
