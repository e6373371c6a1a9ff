"""Lines of a log, wherever it is kept: what one says, which of them are asked for, and how to follow what comes."""

import json
import re
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, cast

from core.errors import Cancelled, DeadlineExceeded
from core.interruption import Limits
from core.redaction import redact, redact_data

MAX_LINES: Final = 1_000
FOLLOW_SECONDS: Final = 2.0
LATE_SECONDS: Final = 15.0
"""How much later than others a line may come: CloudWatch takes them in from many places."""
MAX_REMEMBERED: Final = 20_000

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_AS: Final[Mapping[str, str]] = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG"}
_IN_TEXT: Final = re.compile(r"(?:^|[\[\t ])(DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)(?:[\]\t :]|$)")
_FAILED: Final = re.compile(r"Task timed out after|Runtime exited|\bStatus: (?:error|timeout)\b")
_REQUEST_IN_TEXT: Final = re.compile(r"\bRequestId: ?([0-9a-f-]{36})|^([0-9a-f-]{36}) Task timed out")
_ID_FIELDS: Final = ("request_id", "requestId", "AWSRequestId")


class LogOrigin(StrEnum):
    """Where a log is kept: the function's in CloudWatch, this installation's in its own file."""

    LAMBDA = "LAMBDA"
    LOCAL = "LOCAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line.

    Attributes:
        at: UTC.
        level: One of logging's names; None if the line says none.
        message: What it says, redacted; of a JSON line its event.
        fields: What else a JSON line has, redacted.
        request_id: The invocation's on Lambda, if the line names one.
        run_id: The run's, likewise.
        key: Tells the line from every other one.
    """

    at: datetime
    origin: LogOrigin
    message: str
    key: str
    level: str | None = None
    request_id: str | None = None
    run_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines are asked for: those that meet all of it.

    Attributes:
        since: The earliest.
        until: Before this; None for all that there are.
        level: The least level; a line without one is then left out.
        text: Stands in the line, in whatever case.
        ids: Any of these stands in it: request ids, run ids.
        limit: The newest so many.
    """

    since: datetime
    until: datetime | None = None
    level: str | None = None
    text: str | None = None
    ids: Sequence[str] = ()
    limit: int = 200

    def takes(self, line: LogLine, raw: str) -> bool:
        """Whether the line is one of those; `raw` is how it stands in the log."""
        if line.at < self.since or (self.until is not None and line.at >= self.until):
            return False
        if self.level is not None and (line.level is None or _rank(line.level) < _rank(self.level)):
            return False
        if self.ids and not any(one in raw for one in self.ids):
            return False
        return self.text is None or self.text.casefold() in raw.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """What was found.

    Attributes:
        lines: Oldest first.
        complete: False if there are more such lines, before these or not looked at yet.
        note: What a person should know of it; "" if nothing.
    """

    lines: Sequence[LogLine]
    complete: bool = True
    note: str = ""


class LogSource(Protocol):
    """A log that can be read."""

    def read(self, query: LogQuery, limits: Limits) -> LogPage:
        """The lines that are there now.

        Raises:
            LogsUnavailable: It cannot be read; the text names the remedy.
            Cancelled, DeadlineExceeded: As `limits` says.
        """
        ...


def follow(source: LogSource, query: LogQuery, limits: Limits, *, pause_seconds: float) -> Generator[LogLine]:
    """The lines that are there, and then each that comes, until `limits` end it. Raises LogsUnavailable."""
    seen: OrderedDict[str, None] = OrderedDict()
    newest = query.since
    with suppress(Cancelled, DeadlineExceeded):
        while True:
            for line in source.read(query, limits).lines:
                newest = max(newest, line.at)
                if line.key not in seen:
                    seen[line.key] = None
                    yield line
            while len(seen) > MAX_REMEMBERED:
                seen.popitem(last=False)
            late = timedelta(seconds=LATE_SECONDS)
            query = replace(query, since=max(query.since, newest - late), limit=MAX_LINES)
            limits.wait(pause_seconds)


def read_line(raw: str, *, at: datetime | None, origin: LogOrigin, key: str) -> LogLine | None:
    """The line that stands there; None if it is empty, or has no time.

    Args:
        raw: As it stands in the log: JSON of ours or of Lambda's, or text.
        at: When it was written; None takes what a JSON line says.
        origin: Whose log.
        key: See `LogLine`.
    """
    text = raw.rstrip()
    if not text:
        return None
    found = _object(text)
    if not found:
        return None if at is None else _of_text(text, at=at, origin=origin, key=key)
    at = at or _time(found)
    if at is None:
        return None
    if str(found.get("type", "")).startswith("platform."):
        return _of_platform(found, text, at=at, origin=origin, key=key)
    message = next((found[name] for name in ("event", "message", "errorMessage") if name in found), text)
    known = {"ts", "timestamp", "time", "level", "event", "message", *_ID_FIELDS, "run_id"}
    return LogLine(
        at=at,
        origin=origin,
        message=redact(message if isinstance(message, str) else json.dumps(message)),
        key=key,
        level=_level(found.get("level")),
        request_id=next((_text(found[name]) for name in _ID_FIELDS if name in found), None),
        run_id=_text(found.get("run_id")),
        fields=_redacted({name: value for name, value in found.items() if name not in known}),
    )


def _of_text(text: str, *, at: datetime, origin: LogOrigin, key: str) -> LogLine:
    named = _IN_TEXT.search(text[:200])
    level = "ERROR" if _FAILED.search(text) else _level(named[1]) if named else None
    if level is None and text.startswith(("START ", "END ", "REPORT ", "INIT_START ", "INIT_REPORT ")):
        level = "INFO"
    request = _REQUEST_IN_TEXT.search(text)
    return LogLine(
        at=at,
        origin=origin,
        message=redact(text),
        key=key,
        level=level,
        request_id=None if request is None else request[1] or request[2],
    )


def _of_platform(
    found: Mapping[str, object], text: str, *, at: datetime, origin: LogOrigin, key: str
) -> LogLine:
    given = found.get("record")
    record = cast(dict[str, object], given) if isinstance(given, dict) else {}
    failed = record.get("status") not in {None, "success"}
    return LogLine(
        at=at,
        origin=origin,
        message=redact(text),
        key=key,
        level="ERROR" if failed else "INFO",
        request_id=_text(record.get("requestId")),
    )


def _object(text: str) -> Mapping[str, object]:
    if not text.startswith("{"):
        return {}
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def _time(found: Mapping[str, object]) -> datetime | None:
    for name in ("ts", "timestamp", "time"):
        value = found.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                at = datetime.fromisoformat(value)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return None


def _level(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    name = _AS.get(value.upper(), value.upper())
    return name if name in _LEVELS else None


def _rank(level: str) -> int:
    return _LEVELS.index(level)


def _text(value: object) -> str | None:
    return redact(value) if isinstance(value, str) and value else None


def _redacted(fields: Mapping[str, object]) -> Mapping[str, object]:
    return cast(Mapping[str, object], redact_data(fields))
