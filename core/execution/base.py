"""Where an invocation runs: one verb, `Executor.invoke`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.contract import AgentRequest, AgentResponse
from core.interruption import CancelToken
from core.invocation import OnDelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a run, on one backend, finished.

    Attributes:
        backend: `LOCAL` or `LAMBDA`.
        latency_us: From handing the request over to having the response, on this process's clock.
        started_at, finished_at: UTC.
    """

    backend: str
    response: AgentResponse
    started_at: datetime
    finished_at: datetime
    latency_us: int


class Executor(Protocol):
    """A backend. Sends the request once; an error is data in the attempt's response."""

    backend: str

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        """Runs the request there. `on_delta` is not called by a backend that cannot stream."""
        ...
