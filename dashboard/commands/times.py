"""Times on the command line: a date, a time, or an age."""

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str | None, option: str, now: datetime) -> datetime | None:
    """`7d`, `24h`, `30m` before now; `2026-11-01` or `2026-11-01T12:00`, UTC unless it names an offset."""
    if text is None:
        return None
    try:
        if age := re.fullmatch(r"(\d{1,6})([mhdw])", text.strip()):
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        parsed = datetime.fromisoformat(text.strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{option} takes a date (2026-11-01), a time (2026-11-01T12:00) or an age (30m, 24h, 7d, 2w)"
        ) from None
