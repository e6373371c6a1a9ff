"""Around the table of runs: how many there are, what can be done with them, the way to other pages."""

from typing import Final

import streamlit as st

from core.storage.records import RunPage
from dashboard import formatting, routes
from dashboard.components.empty_state import empty_state
from dashboard.components.run_filters import clear_filters

NEWEST: Final = ""
"""In the place of a cursor: the first page."""


def list_bar(*, shown: int, total: int, under_way: int, ticked: int, filtered: bool) -> bool:
    """Draws the line above the table; True when the two ticked runs are to be compared.

    Args:
        shown: Rows in the table.
        total: Runs that pass the filters.
        under_way: Rows whose run has not ended.
        ticked: Rows that are ticked.
        filtered: Whether there are filters that can be taken away.
    """
    # All on the left: the table's own tools appear above its right end, over whatever is there.
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        parts = [f"{formatting.count(total)} runs" if total != 1 else "1 run"]
        if shown < total:
            parts.append(f"{shown} shown")
        if under_way:
            parts.append(f":blue[:material/progress_activity: {under_way} under way]")
        st.caption(" · ".join(parts), width="content")
        if filtered and st.button(
            "Clear filters",
            icon=":material/filter_alt_off:",
            type="tertiary",
            on_click=clear_filters,
            key="runs-clear",
        ):
            # The list is a fragment: the filters above it are drawn again only with the whole page.
            st.rerun()
        compare = st.button(
            "Compare",
            icon=":material/compare_arrows:",
            disabled=ticked != 2,
            type="primary" if ticked == 2 else "secondary",
            key="runs-compare",
        )
        if ticked != 2:
            st.caption(f"{ticked} ticked" if ticked else "Tick two runs to compare them", width="content")
    return compare


def paging(page: RunPage) -> str | None:
    """Draws the way to newer and older runs; the cursor that was chosen, NEWEST for the first page."""
    if page.previous_cursor is None and page.next_cursor is None:
        return None
    with st.container(horizontal=True, horizontal_alignment="right"):
        newest = st.button(
            "Newest",
            icon=":material/first_page:",
            type="tertiary",
            disabled=page.previous_cursor is None,
            key="runs-newest",
        )
        newer = st.button(
            "Newer", icon=":material/chevron_left:", disabled=page.previous_cursor is None, key="runs-newer"
        )
        older = st.button(
            "Older",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page.next_cursor is None,
            key="runs-older",
        )
    if newest:
        return NEWEST
    if newer:
        return page.previous_cursor
    return page.next_cursor if older else None


def nothing_found(*, filtered: bool) -> None:
    """Draws what stands in the table's place when it is empty.

    Args:
        filtered: Whether filters, and not only the range, may be the reason.
    """
    if filtered:
        with empty_state(
            "No run passes these filters",
            "Take some away, or choose a longer range.",
            icon=":material/filter_alt:",
        ):
            if st.button("Clear the filters", on_click=clear_filters, key="runs-clear-empty"):
                st.rerun()
        return
    with empty_state(
        "No runs in this range",
        "Every run is kept with its request, answer, time and cost. Start one, or choose a longer range.",
        icon=":material/list_alt:",
    ):
        routes.page_link(routes.PLAYGROUND, "Open the playground", icon=":material/play_circle:")
