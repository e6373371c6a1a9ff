"""A circuit breaker: a backend that is down costs a time-out or three, not one for every run.

It opens after some faults in a row, and lets no call through while it is open. Then it lets one through, the probe: if
the backend lives it closes, else it stays open for twice as long. It is this process's own; another process finds out
for itself.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from core.contract import utc_now
from core.errors import ErrorCode
from core.execution.base import Attempt, Completed
from core.forks import renew_in_children

FAULTS: Final = 3
PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 300.0
SLOW_SECONDS: Final = 3.0
"""A backend that takes longer than this to be out of reach costs every run a time-out: one is enough."""


class BreakerState(StrEnum):
    """`CLOSED`: calls go through. `OPEN`: none does. `HALF_OPEN`: one is under way, to see whether it lives again."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Verdict(StrEnum):
    """What a call shows of its backend."""

    ALIVE = "ALIVE"
    FAULT = "FAULT"
    SLOW_FAULT = "SLOW_FAULT"
    NEITHER = "NEITHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """How it stands, for people.

    Attributes:
        target: What it stands before.
        faults: In a row, until now.
        reason: The last of them, as `CODE: text`.
        opened_at: When it was last closed to calls; None while it lets them through.
        probe_at: From when on it lets the next one through, to see; None while it lets them through.
    """

    target: str
    state: BreakerState
    faults: int
    reason: str | None
    opened_at: datetime | None
    probe_at: datetime | None


class Ticket(NamedTuple):
    """Leave to call once. `generation` changes whenever the breaker does, so that late news change nothing."""

    generation: int
    probe: bool


class CircuitBreaker:
    """See the module. Shared by threads.

    Args:
        target: What it stands before, for its texts.
        faults: How many in a row open it.
        pause_seconds: How long it stays open the first time; then twice as long each time.
        longest_pause_seconds: At most.
        clock: Seconds that only rise.
        now: The time of day, UTC.
    """

    def __init__(
        self,
        target: str,
        *,
        faults: int = FAULTS,
        pause_seconds: float = PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.target = target
        self._opens_after = faults
        self._first_pause = pause_seconds
        self._longest_pause = longest_pause_seconds
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._generation = 0
        self._close()
        self._faults = 0
        self._reason: str | None = None
        renew_in_children(self)

    def admit(self) -> Ticket | None:
        """Leave to call, to be given back with `settle`; None while it is open."""
        with self._lock:
            if self._open_until is None:
                return Ticket(self._generation, probe=False)
            if self._probing or self._clock() < self._open_until:
                return None
            self._probing = True
            return Ticket(self._generation, probe=True)

    def settle(self, ticket: Ticket, verdict: Verdict, reason: str = "") -> None:
        """What came of the call. Of one that began before the breaker last changed, nothing is learnt."""
        with self._lock:
            if ticket.generation != self._generation:
                return
            match verdict:
                case Verdict.ALIVE:
                    self._faults, self._reason = 0, None
                    if self._open_until is not None:
                        self._close()
                case Verdict.FAULT | Verdict.SLOW_FAULT:
                    self._faults += 1
                    self._reason = reason or None
                    if ticket.probe or verdict is Verdict.SLOW_FAULT or self._faults >= self._opens_after:
                        self._open()
                case Verdict.NEITHER:
                    # A probe that shows nothing: the next call is one.
                    self._probing = False
                case _:
                    assert_never(verdict)

    def reset(self) -> None:
        """Closes it, as an operator who has mended the backend does."""
        with self._lock:
            self._close()
            self._faults, self._reason = 0, None

    def status(self) -> BreakerStatus:
        """How it stands now."""
        with self._lock:
            if self._open_until is None:
                state, probe_at = BreakerState.CLOSED, None
            else:
                left = timedelta(seconds=max(0.0, self._open_until - self._clock()))
                state = BreakerState.HALF_OPEN if self._probing else BreakerState.OPEN
                probe_at = self._now() + left
            return BreakerStatus(
                target=self.target,
                state=state,
                faults=self._faults,
                reason=self._reason,
                opened_at=self._opened_at,
                probe_at=probe_at,
            )

    def refusal(self) -> str:
        """Why it lets no call through, in a sentence or two."""
        status = self.status()
        since = (
            "" if status.opened_at is None else f", and is left alone since {status.opened_at:%H:%M:%S} UTC"
        )
        after = "" if status.reason is None else f" ({status.reason.rstrip('.')})"
        how_often = "in time" if status.faults == 1 else f"{status.faults} times in a row"
        return (
            f"No run is sent to {self.target} at present: it did not answer {how_often}{since}{after}. It is "
            f"tried again by itself within {self._longest_pause / 60:g} minutes, or at once when its breaker is reset."
        )

    def after_fork(self) -> None:
        """See `core.forks`. What is known of the backend holds; a probe that is under way is the parent's."""
        self._lock = threading.Lock()
        self._probing = False

    def _open(self) -> None:
        pause = self._next_pause
        self._next_pause = min(pause * 2, self._longest_pause)
        self._open_until = self._clock() + pause
        self._opened_at = self._opened_at or self._now()
        self._probing = False
        self._generation += 1

    def _close(self) -> None:
        self._open_until: float | None = None
        self._opened_at: datetime | None = None
        self._next_pause = self._first_pause
        self._probing = False
        self._generation += 1


def verdict_of(attempt: Attempt) -> tuple[Verdict, str]:
    """What an attempt on AWS Lambda shows of it, and the fault as `CODE: text`."""
    error = attempt.response.error
    if attempt.completed is Completed.ANSWERED or error is None:
        return Verdict.ALIVE, ""
    reason = f"{error.code.value}: {error.message}"
    match error.code:
        case ErrorCode.LAMBDA_UNREACHABLE if attempt.completed is Completed.NOTHING:
            # What AWS answered, it answered: it is this process that was slow, with its first call perhaps.
            slow = error.provider_status is None and attempt.latency_us >= SLOW_SECONDS * 1_000_000
            return (Verdict.SLOW_FAULT if slow else Verdict.FAULT), reason
        case ErrorCode.LAMBDA_TIMEOUT if attempt.completed is Completed.NOTHING:
            return Verdict.FAULT, reason
        case ErrorCode.OUTCOME_UNKNOWN if attempt.latency_us >= SLOW_SECONDS * 1_000_000:
            # Waited for in vain: of one that hangs, each run costs a time-out. Several in a row, as one may be a model.
            return Verdict.FAULT, reason
        case ErrorCode.LAMBDA_THROTTLED | ErrorCode.LAMBDA_FUNCTION_ERROR:
            return Verdict.ALIVE, ""
        case _:
            # Stopped, too large, lost on the way: it says something of the call, and not of the backend.
            return Verdict.NEITHER, reason
