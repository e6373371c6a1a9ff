"""Where an invocation runs: one verb, `Executor.invoke`."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from core.contract import AgentRequest, AgentResponse
from core.execution.report_line import LambdaReport
from core.interruption import CancelToken
from core.invocation import OnDelta

run_in_hand: Final[ContextVar[str | None]] = ContextVar("agent_launcher_run_in_hand", default=None)
"""The id of the run that this thread works on, for a backend that writes a log of its own."""


@contextmanager
def working_on(run_id: str) -> Generator[None]:
    """This thread works on that run inside the block."""
    before = run_in_hand.set(run_id)
    try:
        yield
    finally:
        run_in_hand.reset(before)


class Completed(StrEnum):
    """What is known of whether the backend completed an attempt.

    `ANSWERED`: it answered, be it with a provider's own error. `NOTHING`: it is certain that it completed nothing, so
    that another backend may try. `UNKNOWN`: neither; it may have generated, and billed, to the end.
    """

    ANSWERED = "ANSWERED"
    NOTHING = "NOTHING"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a run, on one backend, finished.

    Attributes:
        backend: `LOCAL` or `LAMBDA`.
        latency_us: From handing the request over to having the response, on this process's clock.
        started_at, finished_at: UTC.
        completed: Whether the backend is known to have completed something.
        lambda_report: What AWS said of the execution; None on another backend, or if AWS said nothing.
    """

    backend: str
    response: AgentResponse
    started_at: datetime
    finished_at: datetime
    latency_us: int
    completed: Completed = Completed.ANSWERED
    lambda_report: LambdaReport | None = None


class Executor(Protocol):
    """A backend. Sends the request once; an error is data in the attempt's response."""

    backend: str

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        """Runs the request there. `on_delta` is not called by a backend that cannot stream."""
        ...
