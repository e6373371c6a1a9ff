"""The import of agents from a file: what it holds, what it would do, what it did."""

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from core.errors import AgentLauncherError
from core.services.agent_import import ImportAction, ImportReport, PlannedImport
from core.services.request_diff import RequestDiff, diff_requests
from dashboard.components.diff_view import request_diff_view
from dashboard.components.failure import literal

_MAX_FILE_BYTES: Final = 10_000_000
_WORDS: Final = {
    ImportAction.CREATE: ":green[:material/add_circle: New agent]",
    ImportAction.UPDATE: ":blue[:material/edit: New version]",
    ImportAction.UNCHANGED: ":gray[:material/check: Already so]",
}


def import_form(*, plan: Callable[[str], Sequence[PlannedImport]]) -> str | None:
    """Draws the file's choice and what it would do; its text once that is to be done.

    Args:
        plan: What a text would do; raises InvalidInput, naming what is wrong with it.
    """
    text = _chosen_text()
    if not text.strip():
        return None
    try:
        planned = plan(text)
    except AgentLauncherError as exc:
        st.error(literal(str(exc)), icon=":material/error:", title="This file cannot be imported")
        return None
    _preview(planned)
    changing = sum(item.action is not ImportAction.UNCHANGED for item in planned)
    label = f"Import {changing} agents" if changing != 1 else "Import 1 agent"
    pressed = st.button(
        label if changing else "Nothing to import",
        type="primary",
        icon=":material/upload:",
        disabled=not changing,
        key="agents-import-start",
    )
    return text if pressed else None


def import_summary(report: ImportReport) -> str:
    """What an import did, in one sentence."""
    parts = [
        f"{len(names)} {word}"
        for names, word in (
            (report.created, "created"),
            (report.updated, "updated"),
            (report.unchanged, "already so"),
            (report.failed, "not imported"),
        )
        if names
    ]
    return ", ".join(parts)


def _chosen_text() -> str:
    way = st.segmented_control(
        "Source",
        ["File", "Text"],
        default="File",
        required=True,
        key="agents-import-way",
        label_visibility="collapsed",
    )
    if way == "Text":
        return st.text_area(
            "YAML",
            height=220,
            key="agents-import-text",
            placeholder="format: agent-launcher/agents/v1\nagents: ...",
        )
    file = st.file_uploader("A YAML file that was exported here or elsewhere", type=["yaml", "yml"])
    if file is None:
        return ""
    if file.size > _MAX_FILE_BYTES:
        st.error("A file of agents has at most 10 MB.", icon=":material/error:")
        return ""
    return file.getvalue().decode("utf-8", errors="replace")


def _preview(planned: Sequence[PlannedImport]) -> None:
    for item in planned:
        with st.container(border=True, gap="xsmall"):
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
            ):
                st.markdown(f"**{literal(item.entry.name)}**", width="content")
                st.markdown(_what(item), width="content")
            st.caption(f"{item.entry.config.provider} · {item.entry.config.model_name}")
            diff = _difference(item)
            if diff is not None and not diff.same:
                with st.expander("What changes"):
                    request_diff_view(diff, old_title="Now", new_title="In the file")


def _what(item: PlannedImport) -> str:
    words = _WORDS[item.action]
    if item.action is ImportAction.UPDATE and item.current is not None:
        same = item.current.version.config == item.entry.config.to_json()
        words = (
            ":blue[:material/edit: New description]"
            if same
            else f"{words[:-1]} {item.current.version.number + 1}]"
        )
    return f"{words} :orange[back from the archive]" if item.unarchives else words


def _difference(item: PlannedImport) -> RequestDiff | None:
    if item.current is None:
        return None
    return diff_requests(item.current.version.config, item.entry.config.to_json())
