"""Runs an invocation in this process."""

import time

from core.contract import AgentRequest, utc_now
from core.execution.base import Attempt
from core.interruption import CancelToken
from core.invocation import OnDelta, invoke


class LocalExecutor:
    """This process; streams through `on_delta`."""

    backend = "LOCAL"

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        """See `Executor.invoke`."""
        started_at = utc_now()
        started = time.perf_counter()
        response = invoke(request, on_delta, cancel, backend=self.backend)
        latency_us = int((time.perf_counter() - started) * 1_000_000)
        return Attempt(
            backend=self.backend,
            response=response,
            started_at=started_at,
            finished_at=utc_now(),
            latency_us=latency_us,
        )
