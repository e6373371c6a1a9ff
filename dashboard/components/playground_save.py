"""The dialogs that keep a column's configuration: as an agent's new version, or as a new agent."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.services.request_diff import RequestDiff
from core.storage.records import AgentRecord
from dashboard import state
from dashboard.components.diff_view import request_diff_view
from dashboard.components.failure import literal

Saver = Callable[[], None]
"""Reads what the dialog asked for from its keys, and leaves its result under `state.PLAYGROUND_SAVED`."""


@st.dialog("Save as new version", width="medium", icon=":material/save:")
def version_dialog(
    agent: AgentRecord, diffs: Mapping[bool, RequestDiff], *, values: Sequence[str], save: Saver
) -> None:
    """Shows what changes against the current version, and asks for a note.

    Args:
        agent: As it is stored now.
        diffs: From the current version to what would be saved, without the values of now and with them.
        values: The variables whose value of now is not their standing one.
        save: Called by the button.
    """
    _close_after_saving()
    current = agent.version.number
    diff = diffs[_with_values(values)]
    if diff.same:
        st.info(f"Nothing differs from version {current} of {literal(agent.name)}.", icon=":material/info:")
    else:
        st.caption(f"What version {current + 1} of **{literal(agent.name)}** changes:")
        long = any(not text.diff.same for text in diff.texts)
        with st.container(height=320 if long else "content", border=False):
            request_diff_view(diff, old_title=f"Version {current}", new_title=f"Version {current + 1}")
    st.text_input(
        "Note", placeholder="What is different, and why", max_chars=200, key=state.PLAYGROUND_SAVE_NOTE
    )
    _finish("Save version", save, disabled=diff.same)


@st.dialog("Save as new agent", width="medium", icon=":material/smart_toy:")
def agent_dialog(suggested: str, *, values: Sequence[str], save: Saver) -> None:
    """Asks for a name.

    Args:
        suggested: A name to start from.
        values: The variables whose value of now is not their standing one.
        save: Called by the button.
    """
    _close_after_saving()
    st.text_input("Name", value=suggested, max_chars=100, key=state.PLAYGROUND_SAVE_NAME)
    st.text_input(
        "Description",
        max_chars=500,
        placeholder="What it is for",
        key=state.PLAYGROUND_SAVE_DESCRIPTION,
    )
    _with_values(values)
    _finish("Save agent", save, disabled=False)


def _with_values(names: Sequence[str]) -> bool:
    """Draws the choice to keep the variables' values of now, if they are other than the standing ones."""
    if not names:
        return False
    return st.checkbox(
        f"Keep the present {'value' if len(names) == 1 else 'values'} of {literal(', '.join(names))}",
        key=state.PLAYGROUND_SAVE_VALUES,
        help="As what the variable is where a run gives it no value. Otherwise what the agent has stays.",
    )


def _finish(label: str, save: Saver, *, disabled: bool) -> None:
    if message := st.session_state.pop(state.PLAYGROUND_SAVED, None):
        st.error(literal(message), icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel"):
            st.rerun()
        st.button(label, type="primary", on_click=save, disabled=disabled)


def _close_after_saving() -> None:
    if st.session_state.get(state.PLAYGROUND_SAVED) == "":
        del st.session_state[state.PLAYGROUND_SAVED]
        st.rerun()
