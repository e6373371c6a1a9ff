"""A run under way: the answer so far, and how long it takes already."""

import streamlit as st

from core.services.run_view import RunView
from dashboard import formatting
from dashboard.components.answer_text import answer_text
from dashboard.components.failure import literal
from dashboard.components.marks import error_words


def run_live(view: RunView) -> bool:
    """Draws it; True when it is to be stopped."""
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f":material/progress_activity: {literal(_progress(view))}", width="content")
            stop = st.button(
                "Stop", icon=":material/stop:", disabled=view.elsewhere, key="run-stop", help=_stop_help(view)
            )
        if view.text:
            answer_text(view.text, raw=False)
        else:
            st.skeleton(120)
    return stop


def _progress(view: RunView) -> str:
    if view.elsewhere:
        return "Another process works on this run; its answer appears when it has ended"
    if view.waiting:
        return "Waiting for a free thread"
    parts = [f"Under way for {formatting.duration(view.elapsed_us)}" if view.elapsed_us else "Starting"]
    if view.in_one_piece:
        parts.append("on AWS Lambda, which cannot stream: the answer comes whole")
    if view.first_token_us is not None:
        parts.append(f"first token after {formatting.duration(view.first_token_us)}")
    if view.attempt > 1:
        parts.append(f"attempt {view.attempt}, after {error_words(view.retry_reason)}")
    return " · ".join(parts)


def _stop_help(view: RunView) -> str:
    if view.elsewhere:
        return "Another process works on it: stop it there."
    return "What was received until then is kept, and may be billed."
