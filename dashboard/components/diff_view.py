"""Two texts or two requests side by side, with what differs in colour, and each side under its name."""

import re
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.services.request_diff import FieldDiff, RequestDiff, TextField
from core.services.text_diff import Piece
from dashboard import formatting

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#$~|:!()+\-.&^=])")
_LOOKED_FOR_LATER = re.compile(
    r":(?=(material|streamlit)/|//)|(?<=www)\\(?=\.)|(?<=\S)(?=@\S)", re.IGNORECASE
)
"""Icons, addresses and mails are found in the text after its escapes are gone."""

_MAX_CHARS = 60_000
"""Of one side; beyond that a page would take seconds to draw."""

NOTHING = formatting.NO_VALUE


def request_diff_view(diff: RequestDiff, *, old_title: str, new_title: str, show_same: bool = False) -> None:
    """Draws what differs between two requests or configurations.

    Args:
        diff: From `diff_requests`.
        old_title: Of the left side.
        new_title: Of the right side.
        show_same: Also what is equal on both sides.
    """
    fields = [f for f in diff.fields if f.changed or show_same]
    texts = [text for text in diff.texts if not text.diff.same or show_same]
    if fields:
        _field_table(fields, old_title, new_title)
    for text in texts:
        text_diff_view(text, old_title=old_title, new_title=new_title)


def text_diff_view(text: TextField, *, old_title: str, new_title: str) -> None:
    """Draws both sides of a long field in two columns."""
    if text.diff.same:
        st.markdown(f"**{text.label}** :gray[is the same on both sides]")
    else:
        st.markdown(f"**{text.label}**")
    left, right = st.columns(2, gap="small")
    _side(left, text.diff.old, title=old_title, color="red")
    _side(right, text.diff.new, title=new_title, color="green")


def _side(column: DeltaGenerator, pieces: Sequence[Piece], *, title: str, color: str) -> None:
    with column.container(border=True, height="stretch", gap="xsmall"):
        st.caption(title)
        if not pieces:
            st.caption("Empty")
            return
        kept, cut = _first_chars(pieces, _MAX_CHARS)
        st.markdown(pieces_markdown(kept, color=color))
        if cut:
            st.caption(f"The rest of {sum(len(piece.text) for piece in pieces):,} characters is not shown.")


def _field_table(fields: Sequence[FieldDiff], old_title: str, new_title: str) -> None:
    def cell(value: str | None, *, color: str | None) -> str:
        if value is None:
            return f":gray[{NOTHING}]"
        return f":{color}-background[{escaped(value)}]" if color else escaped(value)

    st.table(
        {
            "Field": [escaped(f.label) for f in fields],
            escaped(old_title): [cell(f.old, color="red" if f.changed else None) for f in fields],
            escaped(new_title): [cell(f.new, color="green" if f.changed else None) for f in fields],
        },
        border="horizontal",
        hide_index=True,
        hide_header=False,
    )


def pieces_markdown(pieces: Sequence[Piece], *, color: str) -> str:
    """The pieces as Markdown that shows the text itself: every sign literal, every line a line.

    Args:
        pieces: Of one side.
        color: The background of what changed, a colour that Streamlit's Markdown names.
    """
    parts: list[str] = []
    for piece in pieces:
        for number, line in enumerate(piece.text.split("\n")):
            if number:
                parts.append("  \n" if parts and parts[-1] != "  \n" else "&nbsp;  \n")
            if line:
                marked = piece.changed and line.strip()
                parts.append(f":{color}-background[{escaped(line)}]" if marked else escaped(line))
    return "".join(parts)


def escaped(text: str) -> str:
    """The text with every sign of Markdown, and of Streamlit's additions to it, made literal."""
    text = text.replace("\r", "").replace("\t", "    ")
    literal = _MARKDOWN.sub(r"\\\1", text)
    # A zero-width space keeps them apart.
    literal = _LOOKED_FOR_LATER.sub(
        lambda found: f"{found[0]}\u200b" if found[0] != ("\\") else "\u200b\\", literal
    )
    return re.sub(r"^ +| {2,}", lambda found: "&nbsp;" * len(found[0]), literal)


def _first_chars(pieces: Sequence[Piece], limit: int) -> tuple[list[Piece], bool]:
    kept: list[Piece] = []
    left = limit
    for piece in pieces:
        if len(piece.text) > left:
            return [*kept, Piece(piece.text[:left], piece.changed)], True
        kept.append(piece)
        left -= len(piece.text)
    return kept, False
