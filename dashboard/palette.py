"""Which colour stands for what, on every page; each is readable on the light and on the dark background."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from core.errors import ErrorCode
from core.providers import registry
from core.storage.records import Dimension, RunStatus

STATUS: Final[Mapping[RunStatus, str]] = {
    RunStatus.SUCCEEDED: "#6f93d8",
    RunStatus.FAILED: "#e5484d",
    RunStatus.OUTCOME_UNKNOWN: "#e0a526",
    RunStatus.CANCELLED: "#98a1b0",
    RunStatus.RUNNING: "#35a5c9",
}

INPUT: Final = "#3f76f0"
OUTPUT: Final = "#a16ae8"
LAMBDA: Final = "#e8853a"

P50: Final = "#14a38b"
P95: Final = "#e8853a"
P99: Final = "#d6409f"

OTHER: Final = "#98a1b0"

_SERIES: Final = (
    "#3f76f0",
    "#e8853a",
    "#14a38b",
    "#d6409f",
    "#8e6cef",
    "#c09b14",
    "#2fa8cc",
    "#a8684a",
    "#57a639",
    "#e57a9f",
    "#5b6bb5",
    "#7d8f2f",
)


def error_color(code: str) -> str:
    """The colour of the status that a run with this error has."""
    match code:
        case ErrorCode.CANCELLED:
            return STATUS[RunStatus.CANCELLED]
        case ErrorCode.OUTCOME_UNKNOWN:
            return STATUS[RunStatus.OUTCOME_UNKNOWN]
        case _:
            return STATUS[RunStatus.FAILED]


def series_colors(dimension: Dimension, keys: Sequence[str]) -> dict[str, str]:
    """A colour for each key of a split.

    A provider has its own; so does every other key, as far as possible: its colour follows from its name, so
    that it stays the same whatever else is shown. Two that would get the same are told apart in the order of
    their names.
    """
    if dimension is Dimension.PROVIDER:
        specs = registry.specs()
        known = {key: specs[key].color for key in keys if key in specs}
    else:
        known = {}
    taken = set(known.values())
    for key in sorted(set(keys) - set(known)):
        first = hashlib.sha256(key.encode()).digest()[0]
        turns = [_SERIES[(first + turn) % len(_SERIES)] for turn in range(len(_SERIES))]
        known[key] = next((color for color in turns if color not in taken), turns[0])
        taken.add(known[key])
    return known
