"""A document of the `docs` folder, read where one stands."""

import re
from pathlib import Path
from typing import Final

import streamlit as st

_DOCS: Final = Path(__file__).parents[2] / "docs"
_LINK_WITHIN: Final = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]+\)")


def doc_door(name: str, label: str, *, key: str) -> None:
    """Draws a button that opens the document; where only the program is installed, its name.

    Args:
        name: Of a file in `docs`.
        label: The button's.
        key: Unlike any other on the page.
    """
    path = _DOCS / name
    if not path.is_file():
        st.caption(f"{label}: `docs/{name}`", width="content")
    elif st.button(label, icon=":material/menu_book:", key=key):
        _open(path)


@st.dialog("Documentation", width="large")
def _open(path: Path) -> None:
    # Its links lead to files beside it, which are no pages here.
    text = _LINK_WITHIN.sub(r"\1", path.read_text(encoding="utf-8"))
    st.markdown(text)
    st.caption(f"`docs/{path.name}`")
