from hypothesis import given
from hypothesis import strategies as st

from core.services.text_diff import Piece, diff_texts


def test_equal_texts_have_no_changed_piece() -> None:
    diff = diff_texts("one\ntwo", "one\ntwo")

    assert diff.same
    assert diff.old == diff.new == (Piece("one\ntwo", changed=False),)


def test_only_the_words_that_changed_are_marked() -> None:
    diff = diff_texts(
        "Answer in at most five sentences.\nBe kind.", "Answer in at most three sentences.\nBe kind."
    )

    assert [piece.text for piece in diff.old if piece.changed] == ["five"]
    assert [piece.text for piece in diff.new if piece.changed] == ["three"]


def test_a_line_that_was_added_changes_nothing_on_the_other_side() -> None:
    diff = diff_texts("one\nthree\n", "one\ntwo\nthree\n")

    assert not any(piece.changed for piece in diff.old)
    assert [piece.text for piece in diff.new if piece.changed] == ["two\n"]


def test_lines_with_little_in_common_are_marked_whole() -> None:
    diff = diff_texts("The quick brown fox jumps.", "A lazy dog sleeps, the end.")

    assert diff.old == (Piece("The quick brown fox jumps.", changed=True),)
    assert diff.new == (Piece("A lazy dog sleeps, the end.", changed=True),)


def test_nothing_against_something() -> None:
    diff = diff_texts("", "new text")

    assert diff.old == ()
    assert diff.new == (Piece("new text", changed=True),)


def test_a_text_too_large_to_match_is_called_all_different_at_once() -> None:
    old = " ".join(f"a{number}" for number in range(4_000))
    new = " ".join(f"b{number}" for number in range(4_000))

    diff = diff_texts(f"same\n{old}\nsame", f"same\n{new}\nsame")

    assert [(piece.text, piece.changed) for piece in diff.old] == [
        ("same\n", False),
        (old + "\n", True),
        ("same", False),
    ]


@given(old=st.text(max_size=300), new=st.text(max_size=300))
def test_the_pieces_of_a_side_are_its_text(old: str, new: str) -> None:
    diff = diff_texts(old, new)

    assert "".join(piece.text for piece in diff.old) == old
    assert "".join(piece.text for piece in diff.new) == new
    assert diff.same == (old == new)
