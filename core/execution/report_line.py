"""What AWS Lambda says of one execution in the REPORT line of its log: time, memory, what is billed.

The line comes with the answer, in the last 4 KB of the log (`X-Amz-Log-Result`), as text or as JSON, whichever the
function's log format is. It is read without trust: the log holds what the function printed, too.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, cast

from core.redaction import redact

MAX_TAIL_BYTES: Final = 4 * 1024
"""What AWS sends at most; of more, the end is read."""
MAX_PLAUSIBLE: Final = 10_000_000
"""Milliseconds or megabytes; Lambda's own limits are 900,000 and 10,240. More is no figure of AWS's."""

_TEXT_LINE: Final = re.compile(r"REPORT RequestId: ?(\S{1,100})(.*)")
_FIGURE: Final = re.compile(
    r"(Billed Restore Duration|Billed Duration|Init Duration|Restore Duration|Duration|Memory Size|Max Memory Used)"
    r": (\d{1,10}(?:\.\d{1,10})?) (?:ms|MB)"
)
_STATUS: Final = re.compile(r"\bStatus: ([A-Za-z]{1,30})")
_ERROR_TYPE: Final = re.compile(r"\bError Type: ([\w.]{1,100})")
_WORD: Final = re.compile(r"[A-Za-z]{1,30}")
_TYPE: Final = re.compile(r"[\w.]{1,100}")

_TEXT_NAMES: Final[Mapping[str, str]] = {
    "Duration": "durationMs",
    "Billed Duration": "billedDurationMs",
    "Memory Size": "memorySizeMB",
    "Max Memory Used": "maxMemoryUsedMB",
    "Init Duration": "initDurationMs",
    "Restore Duration": "restoreDurationMs",
    "Billed Restore Duration": "billedRestoreDurationMs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaReport:
    """One execution on AWS Lambda. Whatever AWS did not say is None, never 0.

    Attributes:
        request_id: The invocation's, as in the function's log.
        duration_ms: The handler's own time.
        billed_ms: What AWS bills; initialisation (since 2025-08-01) and `billed_restore_ms` are parts of it.
        memory_mb: The function's memory size.
        max_memory_mb: The most that it used since this environment began.
        init_ms: The initialisation's time; None on a warm environment, and where a snapshot was restored.
        restore_ms: The time to restore a snapshot (SnapStart).
        billed_restore_ms: What AWS bills of it.
        status: AWS's own word: "success", "timeout", "error", "failure"; None if it gave none.
        error_type: Such as `Runtime.ExitError` or `Runtime.OutOfMemory`.
        log_tail: The last 4 KB of the execution's log, decoded and redacted.
        region: Such as "us-east-1".
        architecture: "arm64" or "x86_64", as in the function's configuration.
    """

    request_id: str | None = None
    duration_ms: Decimal | None = None
    billed_ms: int | None = None
    memory_mb: int | None = None
    max_memory_mb: int | None = None
    init_ms: Decimal | None = None
    restore_ms: Decimal | None = None
    billed_restore_ms: int | None = None
    status: str | None = None
    error_type: str | None = None
    log_tail: str | None = field(default=None, repr=False)
    region: str | None = None
    architecture: str | None = None

    @property
    def cold_start(self) -> bool | None:
        """Whether an environment was made for it; None if AWS reported no duration."""
        if self.duration_ms is None:
            return None
        return self.init_ms is not None or self.restore_ms is not None

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed because it used all its memory."""
        if self.error_type == "Runtime.OutOfMemory":
            return True
        return (
            self.error_type in {"Runtime.ExitError", "Extension.Crash"}
            and self.memory_mb is not None
            and self.max_memory_mb is not None
            and self.max_memory_mb >= self.memory_mb
        )


def read_report(
    log_result: str | None,
    *,
    request_id: str | None = None,
    region: str | None = None,
    architecture: str | None = None,
    secrets: tuple[str, ...] = (),
) -> LambdaReport:
    """Reads the log tail that came with an answer. Never raises; what cannot be read is None.

    Args:
        log_result: The header's base64; None if there was none.
        request_id: The invocation's. With it, another one's REPORT line is not taken for this one's.
        region: Taken into the report.
        architecture: Likewise.
        secrets: More values to redact in the tail.
    """
    tail = _decoded(log_result)
    found: _Figures = {}
    for one in _reports_in(tail or ""):
        if request_id is None or one.get("requestId") == request_id:
            found = one  # the last: AWS writes it when all that the function printed is there
    return LambdaReport(
        request_id=request_id if request_id is not None else _text(found.get("requestId"), _ANYTHING),
        duration_ms=_decimal(found.get("durationMs")),
        billed_ms=_whole(found.get("billedDurationMs")),
        memory_mb=_whole(found.get("memorySizeMB")),
        max_memory_mb=_whole(found.get("maxMemoryUsedMB")),
        init_ms=_decimal(found.get("initDurationMs")),
        restore_ms=_decimal(found.get("restoreDurationMs")),
        billed_restore_ms=_whole(found.get("billedRestoreDurationMs")),
        status=_text(found.get("status"), _WORD),
        error_type=_text(found.get("errorType"), _TYPE),
        log_tail=redact(tail, secrets) if tail else None,
        region=region,
        architecture=architecture,
    )


_Figures = dict[str, object]
_ANYTHING: Final = re.compile(r"\S{1,100}")


def _decoded(log_result: str | None) -> str | None:
    if not log_result:
        return None
    try:
        data = base64.b64decode(log_result, validate=False)
    except (binascii.Error, ValueError):
        return None
    return data[-MAX_TAIL_BYTES:].decode("utf-8", "replace")


def _reports_in(tail: str) -> Iterator[_Figures]:
    for line in tail.splitlines():
        if line.startswith("REPORT RequestId:"):
            if (matched := _TEXT_LINE.match(line)) is not None:
                yield _from_text(matched[1], matched[2])
        elif line.startswith("{") and '"platform.report"' in line and (figures := _from_json(line)):
            yield figures


def _from_text(request_id: str, rest: str) -> _Figures:
    figures: _Figures = {"requestId": request_id}
    for name, number in _FIGURE.findall(rest):
        figures.setdefault(_TEXT_NAMES[name], Decimal(number))
    for name, pattern in (("status", _STATUS), ("errorType", _ERROR_TYPE)):
        if (matched := pattern.search(rest)) is not None:
            figures[name] = matched[1]
    return figures


def _from_json(line: str) -> _Figures:
    try:
        event: Any = json.loads(line, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, ArithmeticError):
        return {}
    record = _object(_object(event).get("record")) if _object(event).get("type") == "platform.report" else {}
    if not record:
        return {}
    named = {name: record.get(name) for name in ("requestId", "status", "errorType")}
    return {**_object(record.get("metrics")), **named}


def _object(value: object) -> _Figures:
    return cast(_Figures, value) if isinstance(value, dict) else {}


_no_number: Final[Callable[[str], object]] = lambda _: None  # noqa: E731 - NaN and Infinity are no figures


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value) if 0 <= value <= MAX_PLAUSIBLE else None


def _whole(value: object) -> int | None:
    number = _decimal(value)
    return None if number is None else int(number)


def _text(value: object, pattern: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
