"""Beside an agent's form: what would change, the note, the buttons; and what if somebody else was faster."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.request_diff import RequestDiff
from core.storage.records import AgentRecord
from dashboard import formatting
from dashboard.components.diff_view import request_diff_view
from dashboard.components.failure import literal, told
from dashboard.components.marks import by_whom

MAX_NOTE_CHARS: Final = 200


def save_bar(
    key: Callable[[str], str],
    *,
    version: int | None,
    changes: Sequence[str],
    fault: str | None,
    failure: str | None,
) -> Literal["save", "drop"] | None:
    """Draws the bar at the bottom of the window; the button that was pressed.

    Args:
        key: The key of a widget, by its name.
        version: The number that saving makes, if the configuration changed; None for a new agent.
        changes: What differs from what is stored, in words.
        fault: Why it cannot be saved as it is.
        failure: Why the last attempt to save it failed.
    """
    new = version is None
    with st.bottom, st.container(gap="xsmall"):
        if failure:
            st.error(told(failure), icon=":material/error:", title="It was not saved")
        bar = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        bar.markdown(_standing(new=new, changes=changes, fault=fault), width="content")
        with bar.container(
            horizontal=True, horizontal_alignment="right", vertical_alignment="center", width="content"
        ):
            st.text_input(
                "Note",
                key=key("note"),
                persist_state="session",
                max_chars=MAX_NOTE_CHARS,
                placeholder="Note: why, in a few words",
                label_visibility="collapsed",
                width=320,
            )
            dropped = st.button("Discard", type="tertiary", key=key("drop"))
            saved = st.button(
                "Create agent" if new else f"Save version {version}",
                type="primary",
                icon=":material/save:",
                disabled=fault is not None,
                key=key("save"),
            )
    return "save" if saved else "drop" if dropped else None


def _standing(*, new: bool, changes: Sequence[str], fault: str | None) -> str:
    if fault and new and not changes:
        return f":gray[{literal(fault)}]"
    if fault:
        return f":red[:material/error: {literal(fault)}]"
    if new:
        return ":gray[It is stored as version 1; every later change makes the next one.]"
    return f":material/edit: **Unsaved changes** :gray[{literal(', '.join(changes))}]"


def conflict_panel(
    theirs: AgentRecord, diff: RequestDiff, *, zone: ZoneInfo, now: datetime
) -> Literal["mine", "theirs"] | None:
    """Draws what somebody else saved since the form began, beside what is typed; the choice.

    Args:
        theirs: As it is stored now.
        diff: From theirs to what is typed.
        zone: Of the times.
        now: For relative times.
    """
    version = theirs.version
    with st.container(border=True):
        st.warning(
            literal(
                f"Version {version.number} was saved {formatting.ago(version.created_at, now)} "
                f"({formatting.exact_time(version.created_at, zone)}){by_whom(version.created_by)}: "
                f"{version.note or 'no note'}. Nothing that you typed is lost."
            ),
            icon=":material/call_split:",
            title="Somebody else has changed this agent since you began",
        )
        if diff.same:
            st.caption("Theirs and yours are the same.")
        request_diff_view(diff, old_title=f"Stored: version {version.number}", new_title="Yours, not saved")
        with st.container(horizontal=True):
            mine = st.button(
                f"Save mine as version {version.number + 1}",
                type=("primary"),
                icon=":material/save:",
                key="conflict-mine",
            )
            other = st.button("Take theirs and drop mine", icon=":material/undo:", key="conflict-theirs")
        st.caption(f"Version {version.number} stays in the history either way.")
    return "mine" if mine else "theirs" if other else None
