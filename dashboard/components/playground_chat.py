"""A conversation: what was asked and answered, each answer with its facts, and the next question."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.contract import Message, Role
from core.services.conversation import Turn
from dashboard import routes
from dashboard.components.answer_text import answer_text
from dashboard.components.failure import literal
from dashboard.components.playground_result import facts_line, progress, result

HEIGHT_PX: Final = 520
_AVATARS: Final = {"user": ":material/person:", "assistant": ":material/smart_toy:"}


def earlier(prelude: Sequence[Message], turns: Sequence[Turn], *, raw: bool) -> None:
    """Draws what was said before the last turn, or all of it."""
    for message in prelude:
        with _speaks(message.role):
            answer_text(message.content, raw=raw)
    for turn in turns:
        asked(turn.prompt)
        answered(turn, raw=raw)


def asked(text: str) -> None:
    """Draws a question: as it was typed, not as Markdown."""
    with _speaks("user"):
        st.text(text)


def answered(turn: Turn, *, raw: bool) -> None:
    """Draws a finished answer with its facts and the link to its run."""
    with _speaks("assistant"):
        result(turn.run, raw=raw)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(facts_line(turn.run), width="content")
            routes.run_link(turn.run.run_id, "Run", icon=":material/arrow_outward:")
        if not turn.remembered:
            st.caption(":material/visibility_off: Not part of what the model reads from here on.")


def answering(turn: Turn, *, stop: Callable[[Sequence[UUID]], None]) -> None:
    """Draws an answer that is being written."""
    with _speaks("assistant"):
        result(turn.run, raw=False)
        progress(turn.run, stop=stop, key=f"playground.stop.{turn.run.run_id}")


def unsent(text: str, reason: str, *, again: Callable[[], None], drop: Callable[[], None]) -> None:
    """Draws a question that could not be sent, with the reason."""
    asked(text)
    with st.chat_message("assistant", avatar=":material/error:"):
        st.error(literal(reason), title="This was not sent", icon=":material/error:")
        with st.container(horizontal=True):
            st.button("Send again", icon=":material/refresh:", on_click=again)
            st.button("Drop it", type="tertiary", on_click=drop)


def _speaks(role: Role) -> DeltaGenerator:
    return st.chat_message(role, avatar=_AVATARS[role])
