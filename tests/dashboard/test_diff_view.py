"""Texts of strangers as Markdown: what is shown is the text, sign by sign."""

import pytest

from core.services.text_diff import Piece
from dashboard.components.diff_view import escaped, pieces_markdown


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("*a* _b_ `c` # d", r"\*a\* \_b\_ \`c\` \# d"),
        ("<script>", r"\<script\>"),
        ("$5 and $6", r"\$5 and \$6"),
        (":red[x]", r"\:red\[x\]"),
        ("1. one", r"1\. one"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("a  b", "a&nbsp;&nbsp;b"),
        ("  a", "&nbsp;&nbsp;a"),
        ("a\tb", "a&nbsp;&nbsp;&nbsp;&nbsp;b"),
        (":material/add:", "\\:\u200bmaterial/add\\:"),
        ("https://a", "https\\:\u200b//a"),
        ("www.a", "www\u200b\\.a"),
        ("me@b", "me\u200b@b"),
    ],
)
def test_every_sign_is_literal(text: str, markdown: str) -> None:
    assert escaped(text) == markdown


def test_changed_words_are_marked_line_by_line() -> None:
    pieces = [Piece("Keep ", changed=False), Piece("one\ntwo", changed=True), Piece("\nend", changed=False)]

    assert pieces_markdown(pieces, color="red") == "Keep :red-background[one]  \n:red-background[two]  \nend"


def test_an_empty_line_stays_a_line() -> None:
    assert pieces_markdown([Piece("a\n\nb", changed=False)], color="red") == "a  \n&nbsp;  \nb"
