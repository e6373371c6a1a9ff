"""Logging of the processes that this project starts: redacted lines on stderr and in a bounded file.

A program that uses the core as a library configures its own logging instead; `core.loggers` covers it.
"""

import fcntl
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import UUID

from core import redaction, secret_shapes
from core.loggers import ROOT, ConsoleFormatter, JsonFormatter, get_logger, redact_text
from core.settings import Settings

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
FILES: Final = 5

_HEADER_VARIABLES: Final = ("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS")
_VENDOR_LOGGERS: Final = ("anthropic", "openai", "httpx", "httpx2", "httpcore2")
_COMPLAIN_EVERY_SECONDS: Final = 60.0

_log = get_logger("agent_launcher.logs")
_runs = get_logger("agent_launcher.runs")
_handlers: list[logging.Handler] = []
_replaced_factory: Callable[..., logging.LogRecord] | None = None


def configure_logging(
    settings: Settings,
    *,
    stream: TextIO | None = None,
    stream_level: str | None = None,
    to_file: bool = True,
) -> None:
    """Sends what every logger of this process says to `stream` and to the log file.

    Called again, it replaces what the first call did. Lines are JSON, or for a person where `stream` is a
    terminal. At DEBUG the vendors' SDKs and their HTTP libraries talk too, maybe with prompts; else they
    report warnings only. Every record of the process is redacted when it is made, also for handlers that
    other libraries put on loggers of their own. If the file cannot be opened, a warning on `stream` says so.

    Args:
        settings: The level, the file's place and the secrets to look for.
        stream: Instead of stderr.
        stream_level: The least level on `stream`, if that should be quieter than the file.
        to_file: False for what must leave nothing behind.
    """
    release_logging()
    for secret in (*settings.secrets(), *_secrets_in_the_environment()):
        redaction.remember(secret)
    target = sys.stderr if stream is None else stream
    on_stream = _StreamHandler(target)
    on_stream.setFormatter(ConsoleFormatter() if target.isatty() else JsonFormatter())
    if stream_level is not None:
        on_stream.setLevel(stream_level)
    _handlers.append(on_stream)
    problem: OSError | None = None
    try:
        if to_file:
            _handlers.append(_LogFile(settings.log_file))
    except OSError as exc:
        problem = exc
    for handler in _handlers:
        logging.getLogger().addHandler(handler)
    logging.getLogger(ROOT).setLevel(settings.log_level)
    for name in _VENDOR_LOGGERS:
        logging.getLogger(name).setLevel("DEBUG" if settings.log_level == "DEBUG" else "WARNING")
    _redact_at_the_source()
    if problem is not None:
        _log.warning(
            "The log file %s cannot be written: %s. Logs go to stderr only.",
            settings.log_file,
            problem.strerror,
        )


def release_logging() -> None:
    """Takes back what `configure_logging` did, except the levels; without it, nothing."""
    global _replaced_factory
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    if _replaced_factory is not None and logging.getLogRecordFactory() is _redacted_record:
        logging.setLogRecordFactory(_replaced_factory)
        _replaced_factory = None


def log_run(
    *,
    run_id: UUID,
    provider: str,
    model: str,
    backend: str,
    status: str,
    duration_seconds: float | None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost_usd: Decimal | None = None,
    attempts: int = 1,
    error_code: str | None = None,
    agent: str | None = None,
    trigger: str | None = None,
) -> None:
    """The one line of a finished run, on `agent_launcher.runs`: INFO, or WARNING if it failed.

    Unknown tokens and an unknown price are null. The cost is a number with exactly its decimal digits, as in every JSON
    of ours.
    """
    level = logging.INFO if error_code is None else logging.WARNING
    if not _runs.isEnabledFor(level):
        return
    _runs.log(
        level,
        "run finished",
        extra={
            "run_id": str(run_id),
            "provider": provider,
            "model": model,
            "backend": backend,
            "status": status,
            "duration_seconds": duration_seconds,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            # Not for reckoning: whatever handler gets it can write a float, and its text has all digits of the cost,
            # which is in nano-dollars, up to a million dollars.
            "cost_usd": None if cost_usd is None else float(cost_usd),
            "attempts": attempts,
            "error_code": error_code,
            "agent": agent,
            "trigger": trigger,
        },
    )


def _secrets_in_the_environment() -> list[str]:
    found = [value for name, value in os.environ.items() if secret_shapes.is_secret_name(name)]
    for name in _HEADER_VARIABLES:
        # One `name: value` a line; any of them may be what a gateway asks for.
        found += [line.partition(":")[2].strip() for line in os.environ.get(name, "").split("\n")]
    return [secret for secret in found if secret]


def _redact_at_the_source() -> None:
    global _replaced_factory
    if logging.getLogRecordFactory() is not _redacted_record:
        _replaced_factory = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_redacted_record)


def _redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = (_replaced_factory or logging.LogRecord)(*args, **kwargs)
    redact_text(record)
    return record


class _StreamHandler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        # The default prints the record, unredacted, to the very stream that does not work.
        del record


class _LogFile(RotatingFileHandler):
    """Rotated, mode 0600, shared by processes: each notices that another rotated; one rotates at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(path, maxBytes=MAX_FILE_BYTES, backupCount=FILES - 1, encoding="utf-8")
        self._lock_path = path.with_name(path.name + ".lock")
        self._complained_at = -math.inf
        self.setFormatter(JsonFormatter())

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        # The base class formats the record here to know its length, which would redact everything twice; so a
        # file may be longer by its last line.
        del record
        self._follow()
        return self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.maxBytes

    def doRollover(self) -> None:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Another process may have rotated while this one waited.
            if self.shouldRollover(logging.makeLogRecord({})):
                super().doRollover()
        finally:
            os.close(descriptor)

    def handleError(self, record: logging.LogRecord) -> None:
        # Not the default, which prints the record unredacted, and once for every record on a full disk.
        del record
        if time.monotonic() - self._complained_at >= _COMPLAIN_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            with suppress(OSError, ValueError):
                sys.stderr.write(f"agent-launcher: cannot write {self.baseFilename}: {sys.exc_info()[1]}\n")

    def _open(self) -> TextIOWrapper:
        # One by one: with parents=True, only the last would get this mode, and the other is the data directory.
        self._path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)

    def _follow(self) -> None:
        """Opens the file anew if the open one is not the one at the path any more."""
        if self.stream is not None:
            try:
                moved = not os.path.samestat(self._path.stat(), os.fstat(self.stream.fileno()))
            except FileNotFoundError:
                moved = True
            if moved:
                self.stream.close()
                self.stream = None
        if self.stream is None:
            self.stream = self._open()
