"""What the logs page shows: which log, how far back, the least level, a text; all in one row and in the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.log_lines import LogOrigin
from dashboard import state

ORIGINS: Final[Mapping[LogOrigin, str]] = {
    LogOrigin.LAMBDA: "AWS Lambda",
    LogOrigin.LOCAL: "This installation",
}
RANGES: Final[Mapping[str, timedelta]] = {
    "5 min": timedelta(minutes=5),
    "1 h": timedelta(hours=1),
    "24 h": timedelta(days=1),
    "7 days": timedelta(days=7),
}
_USUAL: Final = "1 h"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChoice:
    """What is chosen.

    Attributes:
        level: The least; None for all lines, those without a level too.
        live: Whether it is read again and again.
    """

    origin: LogOrigin
    back: timedelta
    level: str | None
    text: str | None
    live: bool


def log_range(zone: ZoneInfo) -> timedelta:
    """Draws the range, where other pages have theirs: how far back from now."""
    back = st.segmented_control(
        f"Range, times in {zone.key}",
        list(RANGES),
        default=_USUAL,
        required=True,
        key=state.LOGS_BACK,
        bind="query-params",
    )
    return RANGES[back or _USUAL]


def log_filters(origins: Sequence[LogOrigin], back: timedelta) -> LogChoice:
    """Draws the row.

    Args:
        origins: The logs that there are, the first one to begin with.
        back: How far back, as it is chosen.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        names = [ORIGINS[origin] for origin in origins]
        chosen = st.segmented_control(
            "Log", names, default=names[0], required=True, key=state.LOGS_ORIGIN, bind="query-params"
        )
        level = st.selectbox(
            "Least level",
            _LEVELS,
            index=None,
            placeholder="Any level",
            key=state.LOGS_LEVEL,
            bind="query-params",
            width=150,
        )
        text = st.text_input(
            "Contains",
            placeholder="A text, a run's id, a request id",
            key=state.LOGS_TEXT,
            bind="query-params",
        )
        live = st.toggle(
            "Live", key=state.LOGS_LIVE, bind="query-params", help="Looks again every two seconds."
        )
    return LogChoice(
        origin=next((o for o in origins if ORIGINS[o] == chosen), origins[0]),
        back=back,
        level=level,
        text=(text or "").strip() or None,
        live=live,
    )


def clear_log_filters() -> None:
    """Takes level and text away."""
    st.session_state[state.LOGS_LEVEL] = None
    st.session_state[state.LOGS_TEXT] = ""
