"""From a range of time to rows of the roll-ups: which buckets a chart has, and the fewest rows that cover each.

Time is counted in quarter hours since 1970 UTC. A roll-up has a row for each quarter hour, hour and day (UTC), so a
chart of thirty days in Berlin reads hours, one in Kolkata hours and the quarters around midnight, and a sum over both
mostly days.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo

from core.errors import InvalidInput
from core.storage.columns import EPOCH

QUARTER: Final = timedelta(minutes=15)
LEVELS: Final = (1, 4, 96)
"""A row spans so many quarter hours."""

TAIL: Final = 0
"""The level of segments that say to which bucket a quarter hour belongs, for what is not folded yet."""

MAX_BUCKETS: Final = 20_000

Grain = timedelta | Literal["day"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A range [low, high) of one level; `step` quarter hours each make a bucket, the first of which is `first`."""

    first: int
    step: int
    level: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A chart's buckets.

    Attributes:
        starts: When each begins, UTC; the first may begin before the range, of which it then holds a part.
        segments: What to read.
    """

    starts: Sequence[datetime]
    segments: Sequence[Segment]


def whole(since: datetime, until: datetime) -> Timeline:
    """One bucket for the whole range, which is widened to quarter hours."""
    low, high = _floor(since), max(_ceil(until), _floor(since))
    return Timeline(starts=[since], segments=_segments([low, high]))


def buckets(since: datetime, until: datetime, *, grain: Grain, zone: ZoneInfo) -> Timeline:
    """A bucket for each day of the zone, or each `grain` counted from the zone's midnight before `since`.

    Raises:
        InvalidInput: The grain is not a multiple of 15 minutes, or there would be too many buckets.
    """
    low, high = _floor(since), _ceil(until)
    if low >= high:
        return Timeline(starts=[], segments=[])
    edges: list[int] = []
    for edge in _days(since, zone) if grain == "day" else _steps(since, grain, zone):
        edges.append(edge)
        if edge >= high:
            break
        if len(edges) > MAX_BUCKETS:
            raise InvalidInput(
                "This range has too many points at this grain: choose a shorter one or a coarser grain."
            )
    starts = [EPOCH + edge * QUARTER for edge in edges[:-1]]
    return Timeline(starts=starts, segments=_segments([low, *edges[1:-1], high]))


def _floor(at: datetime) -> int:
    return (at - EPOCH) // QUARTER


def _ceil(at: datetime) -> int:
    return -((EPOCH - at) // QUARTER)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return _floor(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def _days(since: datetime, zone: ZoneInfo) -> Iterator[int]:
    day = since.astimezone(zone).date()
    while True:
        yield _midnight(day, zone)
        day += timedelta(days=1)


def _steps(since: datetime, grain: timedelta, zone: ZoneInfo) -> Iterator[int]:
    step, rest = divmod(grain, QUARTER)
    if rest or step < 1:
        raise InvalidInput(f"The grain must be a multiple of 15 minutes, not {grain}.")
    anchor = _midnight(since.astimezone(zone).date(), zone)
    edge = anchor + (_floor(since) - anchor) // step * step
    while True:
        yield edge
        edge += step


def _segments(edges: Sequence[int]) -> list[Segment]:
    spans = list(enumerate(pairwise(edges)))
    found: list[Segment] = []
    for length, group in groupby(spans, key=lambda span: span[1][1] - span[1][0]):
        members = list(group)
        first, low, high = members[0][0], members[0][1][0], members[-1][1][1]
        if length == 0:
            continue
        found.append(Segment(first, length, TAIL, low, high))
        level = max(level for level in LEVELS if low % level == 0 and length % level == 0)
        if length < 2 * level * 24 or level == LEVELS[-1]:
            found.append(Segment(first, length, level, low, high))
        else:
            for number, (start, end) in members:
                found += [Segment(number, length, *part) for part in _cover(start, end)]
    return found


def _cover(low: int, high: int, levels: Sequence[int] = LEVELS) -> Iterator[tuple[int, int, int]]:
    """The fewest rows, as (level, low, high): days in the middle, hours around them, quarters at the edges."""
    level = levels[-1]
    inner_low, inner_high = -(-low // level) * level, high // level * level
    if len(levels) == 1 or inner_low < inner_high:
        yield level, max(low, inner_low), min(high, inner_high)
        if len(levels) > 1:
            if low < inner_low:
                yield from _cover(low, inner_low, levels[:-1])
            if inner_high < high:
                yield from _cover(inner_high, high, levels[:-1])
    else:
        yield from _cover(low, high, levels[:-1])
