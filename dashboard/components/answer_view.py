"""An answer with a choice of views: Markdown, plain, or JSON where it is JSON."""

import json
from typing import Any, Final, Literal

import streamlit as st

from dashboard.components.answer_text import answer_text

View = Literal["Markdown", "Plain", "JSON"]

_MAX_DRAWN_CHARS: Final = 200_000
"""A browser needs seconds for a longer Markdown text; it is shown plain."""


def answer_view(text: str, *, key: str) -> None:
    """Draws the answer; JSON is offered where the whole text is JSON, and is then what is seen first.

    Args:
        text: The answer, or what was received of it.
        key: Unlike any other on the page.
    """
    value = as_json(text)
    views: list[View] = ["Markdown", "Plain"] if value is None else ["JSON", "Plain"]
    view = st.segmented_control(
        "View", views, default=views[0], required=True, key=f"{key}-view", label_visibility="collapsed"
    )
    if view == "JSON" and value is not None:
        st.json(value, expanded=3)
    else:
        answer_text(text, raw=view == "Plain" or len(text) > _MAX_DRAWN_CHARS)


def as_json(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or array that the whole text is, if it is one."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
