"""Figures as text, the same on every page: unknown is said, never shown as 0."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from core.services.money import usd as exact_usd

UNKNOWN = "unknown"
NO_VALUE = "\N{EN DASH}"

_CENT = Decimal("0.01")


def money(nanousd: int | None) -> str:
    """`$12.34`; below a cent the first two significant digits (`$0.00042`); `unknown` for None."""
    if nanousd is None:
        return UNKNOWN
    usd = abs(exact_usd(nanousd))
    sign = "-" if nanousd < 0 else ""
    if usd == 0:
        return "$0.00"
    if usd < _CENT:
        usd = usd.quantize(Decimal(1).scaleb(usd.adjusted() - 1), rounding=ROUND_HALF_UP)
        if usd < _CENT:
            return f"{sign}${usd:f}"
    cents = usd.quantize(_CENT, rounding=ROUND_HALF_UP)
    if cents < 1_000:
        return f"{sign}${cents:f}"
    return f"{sign}${usd.quantize(Decimal(1), rounding=ROUND_HALF_UP):,f}"


def fine_money(nanousd: int | None) -> str:
    """As `money`, with two significant digits up to ten cents (`$0.013`): for prices that stand side by side."""
    if nanousd is None or not _CENT <= (usd := abs(exact_usd(nanousd))) < 10 * _CENT:
        return money(nanousd)
    return f"{'-' if nanousd < 0 else ''}${usd.quantize(_CENT / 10, rounding=ROUND_HALF_UP):f}"


def money_known(nanousd: int, unpriced: int) -> str:
    """A sum that may leave something out: `unknown` when nothing in it has a price, else what is known."""
    return UNKNOWN if unpriced and not nanousd else money(nanousd)


def count(number: float | None) -> str:
    """`987`, `9,876`, `12.3 k`, `4.56 M`: three digits from ten thousand on."""
    if number is None:
        return UNKNOWN
    if abs(round(number)) < 10_000:
        return f"{round(number):,}"
    value, unit = abs(number) / 1_000, "k"
    for larger in ("M", "G", "T"):
        if value < 999.5:
            break
        value, unit = value / 1_000, larger
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'-' if number < 0 else ''}{text} {unit}"


def tokens(number: int | None, *, of: tuple[int | None, int | None]) -> str:
    """As `count`; a dash where no token was used at all, as when nothing was sent.

    Args:
        number: How many, or one of their parts; None is unknown.
        of: The tokens of the whole run or attempt, in and out.
    """
    return NO_VALUE if of == (0, 0) else count(number)


def duration(microseconds: float | None) -> str:
    """`340 ms`, `1.62 s`, `2 min 5 s`; a dash for None."""
    if microseconds is None:
        return NO_VALUE
    if microseconds < 1_000:
        return "<1 ms"
    if microseconds < 999_500:
        return f"{microseconds / 1_000:.0f} ms"
    seconds = microseconds / 1_000_000
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def percent(part: int, whole: int) -> str:
    """`98.7 %`; a dash for a share of nothing. Rounded so that 100 % means all and 0 % means none."""
    if not whole:
        return NO_VALUE
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    text = f"{share:.1f}"
    return f"{text.removesuffix('.0')} %"


def change(now: float | None, before: float | None) -> str | None:
    """How much more or less than before: `+12 %`, `-3.4 %`, `0 %`, `12 times`.

    None when there is nothing to compare: either is unknown, or it was zero before.
    """
    if now is None or not before:
        return None
    ratio = now / before
    if ratio >= 10:
        return f"{count(ratio)} times"
    share = 100 * (ratio - 1)
    if abs(share) < 0.05:
        return "0 %"
    return f"{share:+.0f} %" if abs(share) >= 9.95 else f"{share:+.1f} %".replace(".0 %", " %")


def points(now: tuple[int, int], before: tuple[int, int]) -> str | None:
    """How two shares, each (part, whole), differ: `+1.2 points` of a hundred; None if either has no whole."""
    if not now[1] or not before[1]:
        return None
    difference = 100 * (now[0] / now[1] - before[0] / before[1])
    if abs(difference) < 0.05:
        return "0 points"
    return f"{difference:+.1f} points"


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `5 min ago`, `3 h ago`, `yesterday`, `4 days ago`, then the date."""
    age = now - moment
    if age < timedelta(seconds=45):
        return "just now"
    if age < timedelta(minutes=59, seconds=30):
        return f"{max(1, round(age.total_seconds() / 60))} min ago"
    if age < timedelta(hours=23, minutes=30):
        return f"{round(age.total_seconds() / 3600)} h ago"
    days = max(1, round(age.total_seconds() / 86400))
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 30 else f"{moment:%Y-%m-%d}"


def exact_time(moment: datetime, zone: ZoneInfo) -> str:
    """`2026-11-22 14:05:09 CET`."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def day(moment: datetime, zone: ZoneInfo) -> str:
    """`22 Nov`, the day in that zone."""
    local = moment.astimezone(zone)
    return f"{local.day} {local:%b}"


def shortened(name: str, chars: int) -> str:
    """A name of at most so many characters. A long one keeps both ends, where models differ."""
    return (
        name if len(name) <= chars else f"{name[: chars - chars // 2]}…{name[len(name) - chars // 2 + 1 :]}"
    )


def listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
