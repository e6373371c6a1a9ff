"""Axes that can be read: round ticks with units, from nano-dollars to thousands; days or hours of a zone."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from core.services.usage import Span
from dashboard import formatting

_MAX_NAMED_BUCKETS = 7


class Unit(StrEnum):
    """What a chart's figures are; each is drawn from the unit in which services give it."""

    MONEY = "nanousd"
    DURATION = "microseconds"
    COUNT = "count"


def figure_text(unit: Unit, value: float | None) -> str:
    """A figure as it is written beside a chart."""
    if value is None:
        return formatting.NO_VALUE
    match unit:
        case Unit.MONEY:
            return formatting.money(round(value))
        case Unit.DURATION:
            return formatting.duration(value)
        case Unit.COUNT:
            return formatting.count(value)
        case _:
            assert_never(unit)


@dataclass(frozen=True, slots=True)
class Ticks:
    """An axis from 0: where its ticks are, what they say, and where it ends."""

    values: tuple[float, ...]
    texts: tuple[str, ...]
    top: float


def ticks(unit: Unit, maximum: float, *, about: int = 4) -> Ticks:
    """Round ticks up to a maximum, all in one unit, with as many digits as they need to differ."""
    match unit:
        case Unit.MONEY:
            scale, floor = 1e9, 0.0
        case Unit.DURATION:
            scale, floor = (1e6 if maximum >= 1e6 else 1e3), 0.0
        case Unit.COUNT:
            scale, floor = 1.0, 1.0
        case _:
            assert_never(unit)
    highest = maximum / scale
    # Below a tenth of a nano-dollar there is nothing to tell apart.
    step = max(_round_step(max(highest / about, 1e-10) if highest else 0.25), floor)
    number = max(1, math.ceil(highest / step - 1e-9))
    values = [step * index for index in range(number + 1)]
    texts = [_tick_text(unit, value, step, scale) for value in values]
    return Ticks(tuple(value * scale for value in values), tuple(texts), number * step * scale * 1.02)


def _round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(size * magnitude for size in (1, 2, 2.5, 5, 10) if size * magnitude >= rough * (1 - 1e-9))


def _tick_text(unit: Unit, value: float, step: float, scale: float) -> str:
    if unit is Unit.COUNT:
        return formatting.count(value)
    # The shortest decimals that say the step exactly: 0.0025 has four.
    exponent = Decimal(f"{step:.3g}").normalize().as_tuple().exponent
    digits = max(0, -int(exponent))
    if unit is Unit.MONEY:
        return "$0" if not value else f"${value:,.{max(digits, 2) if digits else 0}f}"
    return "0" if not value else f"{value:,.{digits}f} {'s' if scale == 1e6 else 'ms'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The buckets of a range, empty ones too.

    Attributes:
        starts: When each begins; UTC.
        names: A name that no other has: `Sun 22 Nov 2026`, `22 Nov, 14:00`.
        labels: The same for tables and files: `2026-11-22`, `2026-11-22 14:00+01:00`.
        ticks: Which of them the axis names, and how.
    """

    starts: tuple[datetime, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    ticks: tuple[tuple[str, str], ...]

    def label(self, start: datetime) -> str:
        """The label of the bucket in which a moment lies."""
        return self.labels[self.index(start)]

    def index(self, start: datetime) -> int:
        """The bucket in which a moment lies."""
        return max(0, bisect_right(self.starts, start) - 1)


def buckets_of(span: Span) -> Buckets:
    """Days of the zone, or steps of the grain until its day ends, so that a young day fills no chart."""
    if isinstance(span.grain, timedelta):
        return _steps(span, span.grain)
    return _days(span)


def _days(span: Span) -> Buckets:
    day = span.since.astimezone(span.zone).date()
    last = span.until.astimezone(span.zone).date()
    starts: list[datetime] = []
    while day <= last:
        starts.append(datetime(day.year, day.month, day.day, tzinfo=span.zone).astimezone(UTC))
        day += timedelta(days=1)
    local = [start.astimezone(span.zone) for start in starts]
    names = [f"{at:%a} {at.day} {at:%b %Y}" for at in local]
    every = math.ceil(len(starts) / _MAX_NAMED_BUCKETS)
    short = [f"{at:%a} {at.day}" if len(starts) <= 7 else f"{at.day} {at:%b}" for at in local]
    named = [index for index in range(len(starts)) if (len(starts) - 1 - index) % every == 0]
    return Buckets(
        starts=tuple(starts),
        names=tuple(names),
        labels=tuple(f"{at:%Y-%m-%d}" for at in local),
        ticks=tuple((names[index], short[index]) for index in named),
    )


def _steps(span: Span, grain: timedelta) -> Buckets:
    last = span.until.astimezone(span.zone).date() + timedelta(days=1)
    end = datetime(last.year, last.month, last.day, tzinfo=span.zone).astimezone(UTC)
    starts = [span.since]
    while starts[-1] + grain < end:
        starts.append(starts[-1] + grain)
    local = [start.astimezone(span.zone) for start in starts]
    names = [f"{at.day} {at:%b, %H:%M}" for at in local]
    # The hour that comes twice when the clock is set back is told apart by its zone's other name.
    names = [
        f"{name} {at:%Z}" if names.count(name) > 1 else name for name, at in zip(names, local, strict=True)
    ]
    every = max(1, math.ceil(len(starts) / 8))
    return Buckets(
        starts=tuple(starts),
        names=tuple(names),
        labels=tuple(at.isoformat(sep=" ", timespec="minutes") for at in local),
        ticks=tuple((names[index], f"{local[index]:%H:%M}") for index in range(0, len(starts), every)),
    )


def spread(heights: Sequence[float], *, gap: float) -> list[float]:
    """How far each label must move so that no two are nearer than `gap`, and none moves below the axis.

    The order of the heights is kept; of equal ones the first comes to stand highest.

    Args:
        heights: Where each label would stand above the axis, in pixels; any order.
        gap: The least distance, in pixels.
    """
    # Labels that would be too near form a group, which stands with its middle where its members' middle is.
    order = sorted(range(len(heights)), key=lambda index: (heights[index], -index))
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while (
            len(groups) > 1 and _lowest(groups[-1], heights, gap) - _highest(groups[-2], heights, gap) < gap
        ):
            last = groups.pop()
            groups[-1] += last
    moves = [0.0] * len(heights)
    for group in groups:
        for place, index in enumerate(group):
            moves[index] = _lowest(group, heights, gap) + place * gap - heights[index]
    return moves


def _lowest(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    middle = sum(heights[index] for index in group) / len(group)
    return max(middle - (len(group) - 1) * gap / 2, 0.0)


def _highest(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return _lowest(group, heights, gap) + (len(group) - 1) * gap
