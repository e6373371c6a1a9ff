"""What differs between two texts: by line first, and within the lines that changed by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_MAX_WORD_PAIRS: Final = 1_000_000
"""Matching words takes time by the product of their numbers: this many pairs take a tenth of a second."""

_MAX_LINE_PAIRS: Final = 4_000_000
_LEAST_ALIKE: Final = 0.35
"""Below this share of common words, single equal words in between only make the picture restless."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters of one side that is equal on the other side (`changed` is False), or is not."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDiff:
    """Both sides in pieces; joined, the pieces of a side are its text."""

    old: tuple[Piece, ...]
    new: tuple[Piece, ...]

    @property
    def same(self) -> bool:
        """Whether the two texts are equal."""
        return not any(piece.changed for piece in (*self.old, *self.new))


def diff_texts(old: str, new: str) -> TextDiff:
    """Compares two texts."""
    if old == new:
        equal = (Piece(old, changed=False),) if old else ()
        return TextDiff(old=equal, new=equal)
    left, right = _Side(), _Side()
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for tag, i1, i2, j1, j2 in _opcodes(old_lines, new_lines, limit=_MAX_LINE_PAIRS):
        before, after = "".join(old_lines[i1:i2]), "".join(new_lines[j1:j2])
        if tag == "equal":
            left.add(before, changed=False)
            right.add(after, changed=False)
        else:
            _diff_words(before, after, left, right)
    return TextDiff(old=left.pieces(), new=right.pieces())


class _Side:
    """Collects pieces, joining neighbours of the same kind."""

    def __init__(self) -> None:
        self._pieces: list[tuple[list[str], bool]] = []

    def add(self, text: str, *, changed: bool) -> None:
        if not text:
            return
        if self._pieces and self._pieces[-1][1] is changed:
            self._pieces[-1][0].append(text)
        else:
            self._pieces.append(([text], changed))

    def pieces(self) -> tuple[Piece, ...]:
        return tuple(Piece("".join(texts), changed) for texts, changed in self._pieces)


def _diff_words(before: str, after: str, left: _Side, right: _Side) -> None:
    old_words, new_words = _WORDS.findall(before), _WORDS.findall(after)
    opcodes = _opcodes(old_words, new_words, limit=_MAX_WORD_PAIRS)
    common = sum(len("".join(old_words[i1:i2]).strip()) for tag, i1, i2, _, _ in opcodes if tag == "equal")
    if common < _LEAST_ALIKE * min(len(before), len(after)):
        left.add(before, changed=True)
        right.add(after, changed=True)
        return
    for tag, i1, i2, j1, j2 in opcodes:
        left.add("".join(old_words[i1:i2]), changed=tag != "equal")
        right.add("".join(new_words[j1:j2]), changed=tag != "equal")


def _opcodes(old: Sequence[str], new: Sequence[str], *, limit: int) -> list[tuple[str, int, int, int, int]]:
    # What the sides have in common at both ends needs no matching; of what is left, too much is called all
    # different.
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if len(old_middle) * len(new_middle) > limit:
        middle = [("replace", 0, len(old_middle), 0, len(new_middle))]
    else:
        middle = list(SequenceMatcher(None, old_middle, new_middle, autojunk=False).get_opcodes())
    opcodes = [("equal", 0, start, 0, start)] if start else []
    opcodes += [(tag, i1 + start, i2 + start, j1 + start, j2 + start) for tag, i1, i2, j1, j2 in middle]
    if end:
        opcodes.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return opcodes
