"""Ids: UUID version 7 (RFC 9562), so that an id sorts by the time at which it was made.

The 12 bits after the millisecond hold the fraction of it (RFC 9562, section 6.2, method 3), so ids of one
process rise even within a millisecond; the other 62 bits are random.
"""

import os
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final
from uuid import UUID

from core.forks import renew_in_children

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FRACTIONS: Final = 4096
_HUNDREDS: Final = Struct("256Q")
_DIGITS: Final = 32
_TOLERATED_STEP_BACK: Final = 1000 * _FRACTIONS
_VERSION_AND_VARIANT: Final = (0x7 << 76) | (0b10 << 62)


class _Ticks:
    """The ticks of this process's ids, each above the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        renew_in_children(self)

    def next(self) -> int:
        """That of now."""
        tick = _tick(time.time_ns())
        with self._lock:
            if 0 <= self._last - tick < _TOLERATED_STEP_BACK:
                tick = self._last + 1
            self._last = tick
        return tick

    def after_fork(self) -> None:
        """See `core.forks`."""
        self._lock = threading.Lock()


class _RandomNumbers:
    """Numbers of 64 bits from the operating system, asked for in hundreds.

    Each question is a system call for which a thread gives the interpreter away; under load it gets it back late.
    """

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()
        renew_in_children(self)

    def next(self) -> int:
        """One that nobody else gets."""
        while True:
            try:
                return self._numbers.popleft()
            except IndexError:
                self._numbers.extend(_HUNDREDS.unpack(os.urandom(_HUNDREDS.size)))

    def after_fork(self) -> None:
        """See `core.forks`. The child would take the numbers that the parent takes."""
        self._numbers.clear()


_ticks: Final = _Ticks()
_random_numbers: Final = _RandomNumbers()


def uuid7(at: datetime | None = None) -> UUID:
    """A new id, of now or of a given moment.

    Ids made without `at` rise within the process, unless the system's clock is set back by over a second.
    """
    tick = _ticks.next() if at is None else _tick(_nanoseconds(at))
    milliseconds, fraction = divmod(tick, _FRACTIONS)
    random_bits = _random_numbers.next() >> 2
    return UUID(int=(milliseconds << 80) | (fraction << 64) | _VERSION_AND_VARIANT | random_bits)


def lowest_at(at: datetime) -> UUID:
    """Not above any id made at that moment or later: the bound of a range of time."""
    milliseconds = max(_nanoseconds(at) // 1_000_000, 0)
    return UUID(int=milliseconds << 80)


def range_of_prefix(prefix: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id that is written with this beginning; None if it is the beginning of none.

    Capitals and hyphens make no difference; a whole id is its own range.
    """
    digits = prefix.strip().replace("-", "").lower()
    if not 0 < len(digits) <= _DIGITS or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(hex=digits.ljust(_DIGITS, "0")), UUID(hex=digits.ljust(_DIGITS, "f"))


def _tick(nanoseconds: int) -> int:
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    return milliseconds * _FRACTIONS + rest * _FRACTIONS // 1_000_000


def _nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000
