"""The top of every page: title and one line of caption, with the page's actions or its range on the right."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.usage import Period
from dashboard import state
from dashboard.components.address import carry_over

_PERIOD_LABELS = {
    Period.TODAY: "Today",
    Period.DAYS_7: "7 days",
    Period.DAYS_30: "30 days",
    Period.DAYS_90: "90 days",
}


@contextmanager
def page_header(title: str, caption: str) -> Iterator[None]:
    """Draws title and caption; what the `with` block draws stands to their right (buttons, the range)."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(gap=None, width="content"):
            st.title(title, anchor=False)
            st.caption(caption)
        beside = st.container(horizontal=True, vertical_alignment="bottom", width="content")
        with beside:
            yield


def choose_period(
    page: str,
    *,
    zone: ZoneInfo,
    options: Sequence[Period] = (Period.TODAY, Period.DAYS_7, Period.DAYS_30),
    default: Period = Period.DAYS_7,
    carried: Sequence[str] = (),
) -> Period:
    """The range, kept in the URL and from page to page; the zone in which its days begin is said above it.

    Args:
        page: The page's name.
        zone: Where days begin at midnight.
        options: The ranges that this page offers.
        default: The one that a visit begins with.
        carried: Keys of filters that this page shares with others, and that come along likewise.
    """
    offered = {state.RANGE: options, **dict.fromkeys(carried)}
    carry_over(page, offered, default={state.RANGE: default})
    chosen = st.segmented_control(
        f"Range, days in {zone.key}",
        options,
        default=default,
        required=True,
        format_func=_PERIOD_LABELS.__getitem__,
        key=state.RANGE,
        bind="query-params",
    )
    return chosen or default
