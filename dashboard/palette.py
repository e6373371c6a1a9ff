"""Which colour stands for what, on every page; each is readable on the light and on the dark background."""

import hashlib
from collections.abc import Mapping, Sequence, Set
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
    "#cfa116",
    "#2fa8cc",
    "#a0644a",
    "#6fae3d",
    "#c3a5f2",
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


def series_colors(dimension: Dimension, ranked: Sequence[str], shown: Sequence[str]) -> dict[str, str]:
    """A colour for each key of a split that is shown.

    A provider has its own. Any other key's follows from its name; where two would get the same, the one that
    ranks higher keeps it. The ranking covers more than what is shown, so that a colour does not change with
    the filter.

    Args:
        dimension: What is split by.
        ranked: All keys that may be shown, the most important first.
        shown: Those that are, in the order of the legend; all of them get colours of their own, up to ten.
    """
    if dimension is Dimension.PROVIDER:
        specs = registry.specs()
        own = {key: specs[key].color for key in shown if key in specs}
    else:
        own = {}
    wanted: dict[str, str] = {}
    for key in dict.fromkeys([*ranked, *shown]):
        wanted[key] = own.get(key) or _free(key, set(wanted.values()))
    colors = dict(own)
    for key in shown:
        taken = set(colors.values())
        if key not in colors:
            colors[key] = wanted[key] if wanted[key] not in taken else _free(key, taken)
    return colors


def _free(key: str, taken: Set[str]) -> str:
    """The key's own colour, or the next that is not taken; its own all the same if all are."""
    first = hashlib.sha256(key.encode()).digest()[0]
    turns = [_SERIES[(first + turn) % len(_SERIES)] for turn in range(len(_SERIES))]
    return next((color for color in turns if color not in taken), turns[0])
