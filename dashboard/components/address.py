"""What goes along in the address from page to page."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import state


def carry_over(page: str, keys: Mapping[str, Sequence[Any] | None], *, default: Mapping[str, Any]) -> None:
    """Takes what was chosen on the page before over to this one. Comes before the widgets are made.

    Streamlit keeps a bound widget's value when another page has one with the same key; but not one that came
    with the address, and what this page does not offer stays in its address.

    Args:
        page: This page's name.
        keys: The bound widgets that pages share, each with what this page offers (None: anything).
        default: What stands for a value that is not offered here.
    """
    arrived = st.session_state.get(state.PAGE) != page
    st.session_state[state.PAGE] = page
    if not arrived:
        return
    for key, offered in keys.items():
        value = st.session_state.get(key)
        if value is not None and key not in st.query_params:
            st.session_state[key] = value if offered is None or value in offered else default[key]
