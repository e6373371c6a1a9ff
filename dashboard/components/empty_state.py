"""What stands where there is nothing yet: what this place shows, and what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st


@contextmanager
def empty_state(title: str, text: str, *, icon: str) -> Iterator[None]:
    """Draws a block with icon, title and text; the `with` block draws the next step (a link, a button)."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.markdown(f"#### {icon} {title}", text_alignment="center")
        st.caption(text, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            yield
        st.space("small")
