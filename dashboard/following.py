"""A part of a page that follows what is under way, and the whole page when that has ended."""

from collections.abc import Callable

import streamlit as st


def follow(draw: Callable[[], bool], *, every_s: float | None) -> None:
    """Draws a part of the page as a fragment, and while something is under way again and again.

    The whole page is drawn when that has ended. What Streamlit sends of that drawing can be lost: a browser that is
    slow asks for the fragment several times at once, and a request that comes in right after the drawing takes the
    place of what drew it, with all that is still to be sent. The browser then keeps the old page, and asks on for its
    fragment. So a fragment that is asked for again although its page follows nothing draws the whole page once more,
    until it has arrived.

    Args:
        draw: Draws the part, and says whether something is still under way.
        every_s: How long the browser waits before it asks again, in seconds; None where nothing is under way. A page
            calls this either way, at the same place: the fragment is found by its place.
    """
    drawn = False

    def part() -> None:
        nonlocal drawn
        if drawn and every_s is None:
            st.rerun()
        drawn = True
        under_way = draw()
        if every_s is not None and not under_way:
            # The page's own buttons change now, and nobody needs to look again and again any more.
            st.rerun()

    st.fragment(part, run_every=every_s)()
