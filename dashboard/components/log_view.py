"""Lines of a log as a table, and what keeps a log from being read."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import streamlit as st

from core.errors import AgentLauncherError, LogsUnavailable
from core.services.log_lines import LogLine, LogPage
from dashboard import routes
from dashboard.components.failure import literal, told

_HEIGHT_PX = 520
_FEW_LINES = 12


def log_lines(page: LogPage, *, zone: ZoneInfo, key: str, newest_first: bool = False) -> None:
    """Draws the lines, and what one should know of them; says so where there is none.

    Args:
        page: What was read.
        zone: Of the times.
        key: Unlike any other on the page.
        newest_first: As one follows a log; else in the order in which they were written.
    """
    if page.note:
        st.caption(f":material/info: {literal(page.note)}")
    if not page.lines:
        st.caption("No such line.")
        return
    lines = list(reversed(page.lines)) if newest_first else list(page.lines)
    days = {line.at.astimezone(zone).date() for line in lines}
    dated = len(days) > 1
    st.dataframe(
        [_row(line, zone, dated=dated) for line in lines],
        hide_index=True,
        height="content" if len(lines) <= _FEW_LINES else _HEIGHT_PX,
        # Of these widths, all of them stand side by side at 1280 pixels.
        column_config={
            "time": st.column_config.TextColumn("Time", width=160 if dated else 110),
            "level": st.column_config.TextColumn("Level", width=80),
            "message": st.column_config.TextColumn("Message", width=350 if dated else 400),
            "more": st.column_config.TextColumn("More", width=138),
            "run": st.column_config.LinkColumn("Run", width=85, display_text=r"id=(.{8})"),
            "request": st.column_config.TextColumn("Request id", width=95),
        },
        column_order=_columns(lines),
        placeholder="",
        key=key,
    )
    if not page.complete:
        st.caption("There are more such lines before these. A shorter range, or a filter, shows them.")


def log_failure(error: AgentLauncherError) -> None:
    """Draws why a log cannot be read; with the statement to add where a permission is missing."""
    statement = error.statement if isinstance(error, LogsUnavailable) else None
    if statement is None:
        st.warning(told(str(error)), icon=":material/cloud_off:", title="The log cannot be read")
        return
    text = str(error).partition("\n")[0]
    st.warning(literal(text), icon=":material/lock:", title="The permission is missing")
    st.code(statement, language="json")


def _columns(lines: Sequence[LogLine]) -> list[str]:
    shown = ["time", "level", "message", "more"]
    shown += ["run"] if any(line.run_id for line in lines) else []
    return shown + (["request"] if any(line.request_id for line in lines) else [])


def _row(line: LogLine, zone: ZoneInfo, *, dated: bool) -> dict[str, object]:
    at = line.at.astimezone(zone)
    day = f"{at:%d %b} " if dated else ""
    return {
        "time": f"{day}{at:%H:%M:%S}.{at.microsecond // 1000:03d}",
        "level": line.level or "",
        "message": line.message,
        "more": ", ".join(f"{name}={value}" for name, value in line.fields.items() if name != "logger"),
        "run": routes.run_url(line.run_id) if line.run_id else None,
        "request": line.request_id or "",
    }
