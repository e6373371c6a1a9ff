"""Figures as text, the same on every page: unknown is said, never shown as 0."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

UNKNOWN = "unknown"
NO_VALUE = "\N{EN DASH}"

_NANOUSD_PER_USD = 1_000_000_000


def money(nanousd: int | None) -> str:
    """`$12.34`; below a cent the first two significant digits (`$0.00042`); `unknown` for None."""
    if nanousd is None:
        return UNKNOWN
    usd = Decimal(nanousd) / _NANOUSD_PER_USD
    if usd == 0:
        return "$0.00"
    size = abs(usd)
    sign = "-" if usd < 0 else ""
    if size >= 1_000:
        return f"{sign}${size:,.0f}"
    if size >= Decimal("0.01"):
        return f"{sign}${size:,.2f}"
    step = Decimal(1).scaleb(size.adjusted() - 1)
    return f"{sign}${size.quantize(step, rounding=ROUND_HALF_UP):f}"


def count(number: int | None) -> str:
    """`987`, `12.3 k`, `4.56 M`."""
    if number is None:
        return UNKNOWN
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if abs(number) >= limit:
            value = number / (1_000 if unit == "k" else limit)
            return f"{value:.3g} {unit}" if value < 1_000 else f"{value:,.0f} {unit}"
    return f"{number:,}"


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
    return f"{share:.1f} %" if share % 1 else f"{share:.0f} %"


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
