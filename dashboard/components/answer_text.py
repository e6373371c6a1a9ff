"""A model's answer on screen: Markdown as models write it, without what a stranger's text should not do."""

import re
from typing import Final

import streamlit as st

_CODE: Final = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`)", re.DOTALL)


def answer_text(text: str, *, raw: bool) -> None:
    """Draws an answer.

    Args:
        text: As the model wrote it.
        raw: Show it as it is, with a button that copies it, instead of as Markdown.
    """
    if raw:
        st.code(text, language=None, wrap_lines=True)
    else:
        st.markdown(without_images(text))


def without_images(text: str) -> str:
    """The Markdown with its images made links, outside of code.

    A picture is fetched as soon as it is shown, so an answer (or a text that the model was given) could carry
    what it read to any server, in the picture's address. A link needs a click.
    """
    pieces = _CODE.split(text)
    # Every second piece is code.
    pieces[::2] = [piece.replace("![", "\\![") for piece in pieces[::2]]
    return "".join(pieces)
