"""What the runtime says of one invocation, read so that nothing it leaves out or gets wrong can raise."""

from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, cast, runtime_checkable

MAX_RUN_ID_CHARS: Final = 64
MARGIN_SECONDS: Final = 0.75
"""Kept back from the function's time-out: for ending the request, writing the answer as JSON and handing it over. With
the smallest memory sizes a function has a small part of a processor."""


@runtime_checkable
class _Clock(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation.

    Attributes:
        request_id: AWS's, which stands in its log and in the REPORT line; None outside of Lambda.
        run_id: Of the caller's run, which it sends as `{"custom": {"run_id": ...}}` in the invocation's ClientContext:
            there it reaches an older function, too, and no model.
        seconds: Until the function must have answered, the margin taken off; None without a time-out, 0 or less when
            there is no time at all.
    """

    request_id: str | None
    run_id: str | None
    seconds: float | None

    @classmethod
    def of(cls, context: object) -> Self:
        """What this context says; an absent one says nothing."""
        request_id = getattr(context, "aws_request_id", None)
        return cls(
            request_id=request_id if isinstance(request_id, str) and request_id else None,
            run_id=_run_id(getattr(context, "client_context", None)),
            seconds=_seconds(context),
        )


def _seconds(context: object) -> float | None:
    if not isinstance(context, _Clock):
        return None
    return context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS


def _run_id(client_context: Any) -> str | None:
    custom: object = getattr(client_context, "custom", None)
    found = cast("dict[str, object]", custom).get("run_id") if isinstance(custom, dict) else None
    if isinstance(found, str) and 0 < len(found) <= MAX_RUN_ID_CHARS and found.isprintable():
        return found
    return None
