"""The runs that this process works on: what a page, or a second tab, can see before a run is stored whole."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from core.contract import AgentResponse
from core.interruption import CancelToken
from core.services.run_spec import RunSpec
from core.storage.records import AttemptRecord, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A finished run, as its caller gets it.

    Attributes:
        response: The deciding attempt's response, in the contract's form.
        latency_us: From asking for it to its end, waits between attempts included.
        cost_nanousd: Over all attempts; None if unknown.
        records: The attempts, oldest first.
        stored: Whether the outcome reached the store; if not, `store_error` says why.
    """

    run_id: UUID
    status: RunStatus
    response: AgentResponse
    attempts: int
    latency_us: int
    cost_nanousd: int | None
    records: Sequence[AttemptRecord] = ()
    stored: bool = True
    store_error: str | None = None


class LiveRun:
    """One run under way. Written by the thread that runs it, read by any.

    Attributes:
        spec: What was asked, with templates and values that the stored request no longer shows; no key.
        begun: Whether a thread works on it; before that it waits for a free one.
        attempt: From 1.
        retry_reason: The error code of the attempt before this one; None on the first.
    """

    def __init__(
        self,
        run_id: UUID,
        *,
        project_id: str,
        provider: str,
        model: str,
        timeout_seconds: float,
        spec: RunSpec,
    ) -> None:
        self.run_id = run_id
        self.project_id = project_id
        self.provider = provider
        self.model = model
        self.timeout_seconds = timeout_seconds
        self.spec = spec
        self.cancel = CancelToken()
        self.outcome: RunOutcome | None = None
        self.begun = False
        self.attempt = 1
        self.retry_reason: str | None = None
        self.first_token_seconds: float | None = None
        self._started = time.monotonic()
        self._finished: float | None = None
        self._pieces: list[str] = []
        self._changed = threading.Condition()

    @property
    def elapsed_seconds(self) -> float:
        """Since it was asked for, until it finished."""
        return (self._finished or time.monotonic()) - self._started

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._pieces)

    def begin(self) -> None:
        """A thread takes it up."""
        with self._changed:
            self.begun = True

    def add_text(self, piece: str) -> None:
        """Appends a piece of the answer."""
        with self._changed:
            if self.first_token_seconds is None:
                self.first_token_seconds = time.monotonic() - self._started
            self._pieces.append(piece)
            self._changed.notify_all()

    def note_retry(self, reason: str) -> None:
        """Says that the next attempt begins, and why."""
        with self._changed:
            self.attempt += 1
            self.retry_reason = reason
            self._changed.notify_all()

    def finish(self, outcome: RunOutcome) -> None:
        """Ends it; nothing is added after this."""
        with self._changed:
            self._finished = time.monotonic()
            self.outcome = outcome
            self._changed.notify_all()

    def note_stored(self, store_error: str | None = None) -> None:
        """Says that the store has the outcome after all, or why it never will."""
        with self._changed:
            if self.outcome is not None:
                self.outcome = replace(self.outcome, stored=store_error is None, store_error=store_error)
            self._changed.notify_all()

    def wait(self, timeout_seconds: float | None = None) -> RunOutcome | None:
        """The outcome, or None if it is still under way after `timeout_seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.outcome is not None, timeout_seconds)
            return self.outcome

    def stream(self) -> Iterator[str]:
        """The answer's pieces as they arrive, from the first; ends with the run."""
        position = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda at=position: len(self._pieces) > at or self.outcome is not None)
                pieces = self._pieces[position:]
                done = self.outcome is not None
            position += len(pieces)
            yield from pieces
            if done:
                return


class LiveRuns:
    """The register of them, by id. Finished ones stay for a while, for their pages."""

    def __init__(self, *, keep_finished: int = 200) -> None:
        self._keep = keep_finished
        self._look_at = keep_finished
        self._lock = threading.Lock()
        self._runs: dict[UUID, LiveRun] = {}

    def add(self, run: LiveRun) -> None:
        """Registers a run; forgets the oldest finished ones beyond the limit, some at a time."""
        with self._lock:
            self._runs[run.run_id] = run
            if len(self._runs) > self._look_at:
                finished = [key for key, other in self._runs.items() if other.outcome]
                for run_id in finished[: len(self._runs) - self._keep]:
                    del self._runs[run_id]
                # Looking through all of them at each run would cost more than storing one.
                self._look_at = len(self._runs) + self._keep // 4

    def get(self, run_id: UUID, *, project_id: str) -> LiveRun | None:
        """The run, if this process works or lately worked on it for that project."""
        run = self._runs.get(run_id)
        return run if run is not None and run.project_id == project_id else None

    def under_way(self) -> list[LiveRun]:
        """Those that have not finished."""
        with self._lock:
            return [run for run in self._runs.values() if run.outcome is None]
