"""In which order a provider's models are offered: those that a person probably looks for come first."""

import re
from collections.abc import Collection, Iterable
from typing import Final

_NOT_A_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{3,}|\d+(?:\.\d+)?b\b", re.IGNORECASE)
"""Dates, and the sizes of open models (`70b`)."""

_FAMILY: Final = re.compile(r"(?:[a-z]+\.)*[a-z]*", re.IGNORECASE)
"""The first word, with what Bedrock puts before it: `claude`, `global.anthropic.claude`."""

_LONGEST_VERSION: Final = 4


def in_order_of_choice(
    names: Iterable[str], *, default: str, deprecated: Collection[str] = frozenset()
) -> list[str]:
    """The names: the default's family first, in each family the newest version first; what ends is last.

    Args:
        names: As the vendor or the catalogue has them.
        default: The model that the provider begins with.
        deprecated: Those whose end is announced.
    """
    family = _family(default)

    def place(name: str) -> tuple[bool, bool, str, tuple[int, ...], int, str]:
        return (
            name in deprecated,
            _family(name) != family,
            _family(name),
            _version(name),
            len(name),
            name,
        )

    return sorted(names, key=place)


def _family(name: str) -> str:
    found = _FAMILY.match(name)
    return found.group() if found else name


def _version(name: str) -> tuple[int, ...]:
    numbers = [-int(number) for number in re.findall(r"\d+", _NOT_A_VERSION.sub("", name))][:_LONGEST_VERSION]
    # Of one length, since 5 is older than 5.4.
    return (*numbers, *[0] * (_LONGEST_VERSION - len(numbers)))
