"""An agent's history: every version with its note, and what differs between any two."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.request_diff import RequestDiff
from core.storage.records import AgentVersionRecord
from dashboard import formatting
from dashboard.components.diff_view import request_diff_view
from dashboard.components.failure import literal
from dashboard.components.marks import by_whom


def version_table(
    versions: Sequence[AgentVersionRecord], *, shown: int | None, zone: ZoneInfo, now: datetime
) -> int | None:
    """Draws the versions, newest first; the number of the one to be restored, if its button was pressed.

    Args:
        versions: All of them; the first one is current.
        shown: The number of the version that a link asks for.
        zone: Of the times.
        now: For relative times.
    """
    restore: int | None = None
    current = versions[0].number
    for version in versions:
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
        ):
            with st.container(gap=None):
                marks = " :green-badge[current]" if version.number == current else ""
                marks += " :blue-badge[the one you came for]" if version.number == shown else ""
                st.markdown(f"**Version {version.number}**{marks}  \n{_note(version)}")
                exact = formatting.exact_time(version.created_at, zone)
                st.caption(
                    f"{version.config.get('model_name', '')} · {exact} "
                    f"({formatting.ago(version.created_at, now)}){by_whom(version.created_by)}"
                )
            if version.number != current and st.button(
                "Restore", icon=":material/history:", key=f"restore-{version.number}"
            ):
                restore = version.number
    return restore


def choose_versions(
    versions: Sequence[AgentVersionRecord], *, shown: int | None, key: str
) -> tuple[AgentVersionRecord, AgentVersionRecord]:
    """Draws two choices; the version on the left and the one on the right.

    Args:
        versions: At least two, newest first.
        shown: The number of the version that a link asks for: it is compared with the current one.
        key: Of the agent.
    """
    by_number = {version.number: version for version in versions}
    numbers = list(by_number)
    before = shown if shown in by_number and shown != numbers[0] else numbers[1]
    left, right = st.columns(2, gap="small")
    old = left.selectbox(
        "From",
        numbers,
        index=numbers.index(before),
        format_func=lambda number: _label(by_number[number]),
        key=f"{key}-old",
    )
    new = right.selectbox(
        "To", numbers, index=0, format_func=lambda number: _label(by_number[number]), key=f"{key}-new"
    )
    return by_number[old], by_number[new]


def version_diff(diff: RequestDiff, old: AgentVersionRecord, new: AgentVersionRecord) -> None:
    """Draws what differs between two versions."""
    if diff.same:
        st.info("These two configurations are the same.", icon=":material/check:")
        return
    request_diff_view(diff, old_title=f"Version {old.number}", new_title=f"Version {new.number}")


def _note(version: AgentVersionRecord) -> str:
    return literal(version.note) or ":gray[No note]"


def _label(version: AgentVersionRecord) -> str:
    return f"Version {version.number} · {version.note}" if version.note else f"Version {version.number}"
