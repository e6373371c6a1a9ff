"""Playground: try an agent or a configuration, alone, side by side or in a chat. Every run is stored."""

from collections.abc import Sequence

import streamlit as st

from core.services.run_view import RunView
from dashboard import state
from dashboard.components import playground_draft as draft
from dashboard.components.failure import literal
from dashboard.components.header import page_header
from dashboard.playground import actions, link, opening
from dashboard.playground.chat_mode import chat_mode
from dashboard.playground.prompt_mode import prompt_mode

_MODES = {opening.PROMPT: "Prompt", opening.CHAT: "Chat"}


def page() -> None:
    """Draws the page."""
    with (
        page_header("Playground", "Try an agent or a configuration; every run is stored with its cost"),
        st.container(horizontal=True, vertical_alignment="center", gap="small"),
    ):
        # In here, so that the page has its title where the database fails.
        problem = link.adopt()
        chat = opening.is_chat()
        under_way = [] if chat else [run for run in actions.views().values() if run.under_way]
        st.segmented_control(
            "Mode",
            list(_MODES),
            required=True,
            format_func=_MODES.__getitem__,
            key=state.PLAYGROUND_MODE,
            persist_state="session",
            label_visibility="collapsed",
        )
        if chat:
            st.button("New chat", icon=":material/add_comment:", on_click=link.new_chat)
        else:
            _add_column()
            _run_or_stop(under_way)
    if notice := st.session_state.pop(state.PLAYGROUND_NOTICE, None):
        st.toast(literal(notice), icon=":material/check:")
    # Always there, so that the columns keep their place: they stood there twice for a moment, when what is said goes.
    with st.container():
        if problem:
            st.warning(literal(problem), icon=":material/link_off:")
        if reason := st.session_state.pop(state.PLAYGROUND_NOT_STOPPED, None):
            st.warning(literal(reason), icon=":material/stop_circle:", title="Not stopped")
    if chat:
        chat_mode()
    else:
        prompt_mode(under_way=bool(under_way))


def _add_column() -> None:
    full = len(draft.slots()) >= draft.MAX_SLOTS
    st.button(
        "Compare",
        icon=":material/add_column_right:",
        on_click=draft.add_slot,
        disabled=full,
        help="Six columns are the most."
        if full
        else "Adds a column beside the others, for another model or prompt.",
    )


def _run_or_stop(under_way: Sequence[RunView]) -> None:
    if under_way:
        ours = [run.run_id for run in under_way if not run.elsewhere]
        st.button(
            "Stop",
            icon=":material/stop:",
            type="primary",
            on_click=actions.stop,
            args=(ours,),
            disabled=not ours,
            help=None if ours else "Another process works on it: stop it there.",
        )
    else:
        st.button(
            "Run",
            icon=":material/play_arrow:",
            type="primary",
            shortcut="Ctrl+Enter",
            on_click=actions.run_all,
        )


page()
