"""The loggers `agent_launcher.*`, and how a record becomes text without the secrets in it.

A filter on a logger does not see the records of its children, and a handler belongs to whoever made it. So
every logger of ours carries the filter itself: whatever handler a program puts on `agent_launcher`, or above,
gets records whose message, arguments, traceback and extra fields have been redacted already.
"""

import json
import logging
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from core import redaction, secret_shapes

ROOT: Final = "agent_launcher"

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_TEXT_DONE: Final = "_agent_launcher_text_redacted"
_EXTRAS_DONE: Final = "_agent_launcher_extras_redacted"
# ASCII, so that no stream's encoding can refuse a line, and no separator of Unicode's can end one.
_encode: Final = json.JSONEncoder().encode
_CONTROL_CODES: Final = (*range(32), *range(127, 160), 0x2028, 0x2029)
_CONTROL: Final = {code: json.dumps(chr(code))[1:-1] for code in _CONTROL_CODES}


def get_logger(name: str) -> logging.Logger:
    """The logger of this name, which begins with `agent_launcher.`, with the filter on it."""
    if name != ROOT and not name.startswith(f"{ROOT}."):
        raise ValueError(f"a logger of this project is named {ROOT}.*, not {name!r}")
    logger = logging.getLogger(name)
    if not any(isinstance(item, RedactingFilter) for item in logger.filters):
        logger.addFilter(RedactingFilter())
    return logger


class RedactingFilter(logging.Filter):
    """Lets every record pass, redacted in place; of an exception only the redacted traceback is left."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True, always."""
        redact_text(record)
        if not hasattr(record, _EXTRAS_DONE):
            record.__dict__.update(extras_of(record))
            setattr(record, _EXTRAS_DONE, True)
        return True


def redact_text(record: logging.LogRecord) -> None:
    """Redacts the record's message, arguments and traceback in place, but not its extra fields."""
    if hasattr(record, _TEXT_DONE):
        return
    text = _text_of(record)
    plain = _formatted(record)
    if plain is None:
        record.msg, record.args = text.message, None
    elif plain != text.message:
        _redact_message(record, text.message)
    # Other people's handlers format the exception by themselves, with its unredacted message, if it is there.
    record.exc_info, record.exc_text, record.stack_info = None, text.exception, text.stack
    setattr(record, _TEXT_DONE, True)


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that the caller gave as `extra`, as JSON data, redacted."""
    found = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    found.pop(_TEXT_DONE, None)
    if found.pop(_EXTRAS_DONE, False):
        return found
    return {
        name: redaction.MASK if value and secret_shapes.is_secret_name(name) else redaction.redact_data(value)
        for name, value in found.items()
    }


class JsonFormatter(logging.Formatter):
    """A JSON object a line: `ts` (UTC), `level`, `logger`, `event`, the extras, `exception`, `stack`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; the record stays as it is."""
        text = _text_of(record)
        fields: dict[str, Any] = {
            "ts": _time_of(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": text.message,
        }
        for name, value in extras_of(record).items():
            fields[f"extra_{name}" if name in fields else name] = value
        if text.exception:
            fields["exception"] = text.exception
        if text.stack:
            fields["stack"] = text.stack
        return _encode(fields)


class ConsoleFormatter(logging.Formatter):
    """For a person at a terminal: local time, level, logger, event, `name=value`; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines; the record stays as it is."""
        text = _text_of(record)
        clock = _time_of(record).astimezone().strftime("%H:%M:%S")
        pairs = [f"{name}={_short(value)}" for name, value in extras_of(record).items() if value is not None]
        name = record.name.removeprefix(f"{ROOT}.")
        # Control characters could move the cursor, or forge a line.
        line = " ".join([text.message, *pairs]).translate(_CONTROL)
        below = "\n".join(part.rstrip("\n") for part in (text.exception, text.stack) if part)
        return _encodable(f"{clock} {record.levelname:<8} {name}: {line}" + (f"\n{below}" if below else ""))


@dataclass(frozen=True, slots=True)
class _Text:
    message: str
    exception: str | None
    stack: str | None


def _text_of(record: logging.LogRecord) -> _Text:
    exception, stack = record.exc_text, record.stack_info
    if hasattr(record, _TEXT_DONE):
        return _Text(_message_of(record), exception, stack)
    if record.exc_info and record.exc_info[0] is not None:
        exception = "".join(traceback.format_exception(*record.exc_info))
    return _Text(
        redaction.redact(_message_of(record)),
        redaction.redact(exception) if exception else None,
        redaction.redact(stack) if stack else None,
    )


def _redact_message(record: logging.LogRecord, message: str) -> None:
    # Some formatters read the arguments (uvicorn's access log), so they are kept if redacting them is enough.
    if isinstance(record.args, tuple):
        args = tuple(redaction.redact(item) if isinstance(item, str) else item for item in record.args)
        trial = logging.makeLogRecord({"msg": redaction.redact(str(record.msg)), "args": args})
        retold = _formatted(trial)
        if retold is not None and retold == redaction.redact(retold):
            record.msg, record.args = trial.msg, trial.args
            return
    record.msg, record.args = message, None


def _message_of(record: logging.LogRecord) -> str:
    message = _formatted(record)
    return f"{record.msg} {record.args!r} [the arguments do not fit the text]" if message is None else message


def _formatted(record: logging.LogRecord) -> str | None:
    """The message; None if it cannot be made, which must not make a log call fail."""
    try:
        return record.getMessage()
    except Exception:
        return None


def _time_of(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _short(value: object) -> str:
    return value if isinstance(value, str) else _encode(value)


def _encodable(line: str) -> str:
    # A lone surrogate would make the stream fail, and the line be lost.
    return line if line.isascii() else line.encode("utf-8", "backslashreplace").decode()
