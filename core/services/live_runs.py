"""The runs that this process works on: what a page, or a second tab, can see before a run is stored whole."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from core.contract import AgentResponse
from core.interruption import CancelToken
from core.services.run_spec import RunSpec
from core.storage.records import AttemptRecord, Backend, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A finished run, as its caller gets it.

    Attributes:
        response: The deciding attempt's response, in the contract's form.
        latency_us: From asking for it to its end, waits between attempts included.
        first_token_us: Likewise, until its first text; None without any, or if it was not streamed.
        cost_nanousd: Over all attempts; None if unknown.
        records: The attempts, oldest first.
        stored: Whether the outcome reached the store; if not, `store_error` says why.
        fell_back_from: The backend that was to run it first, where another one did in the end.
        backend_note: Why it ran where it did, where its attempts do not tell.
    """

    run_id: UUID
    status: RunStatus
    response: AgentResponse
    attempts: int
    latency_us: int
    cost_nanousd: int | None
    first_token_us: int | None = None
    records: Sequence[AttemptRecord] = ()
    stored: bool = True
    store_error: str | None = None
    fell_back_from: Backend | None = None
    backend_note: str | None = None


class LiveRun:
    """One run under way. Written by the thread that runs it, read by any.

    Attributes:
        spec: What was asked, with templates and values that the stored request no longer shows; no key. Without
            the attachments once it has finished: they are megabytes, and the store has them.
        without_attachments: Whether `spec` had some that are not in it any more.
        begun: Whether a thread works on it; before that it waits for a free one.
        attempt: From 1.
        retry_reason: The error code of the attempt before this one; None on the first.
        backend: Where its attempt is made, or the first one will be. What runs on AWS Lambda comes in one piece.
        fell_back_from, backend_note: As in `RunOutcome`, as soon as it is so.
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
        backend: Backend = Backend.LOCAL,
        backend_note: str | None = None,
    ) -> None:
        self.run_id = run_id
        self.project_id = project_id
        self.provider = provider
        self.model = model
        self.timeout_seconds = timeout_seconds
        self.spec = spec
        self.without_attachments = False
        self.cancel = CancelToken()
        self.outcome: RunOutcome | None = None
        self.begun = False
        self.attempt = 1
        self.retry_reason: str | None = None
        self.backend = backend
        self.fell_back_from: Backend | None = None
        self.backend_note = backend_note
        self.first_token_seconds: float | None = None
        self._started = time.monotonic()
        self._finished: float | None = None
        self._pieces: list[str] = []
        self._text = ""
        self._changed = threading.Condition()
        self._on_finish: Callable[[LiveRun], None] | None = None

    @property
    def elapsed_seconds(self) -> float:
        """Since it was asked for, until it finished."""
        return (self._finished or time.monotonic()) - self._started

    @property
    def text(self) -> str:
        """The answer so far."""
        with self._changed:
            return self._text or "".join(self._pieces)

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

    def note_fallback(self, from_backend: Backend, note: str | None) -> None:
        """Says that another backend takes over, and why, where no attempt tells."""
        with self._changed:
            self.fell_back_from, self.backend_note = from_backend, note
            self._changed.notify_all()

    def finish(self, outcome: RunOutcome) -> None:
        """Ends it; nothing is added after this, and what only a run under way needs is let go."""
        with self._changed:
            text, answer = "".join(self._pieces), outcome.response.response
            self._text = answer if answer is not None and answer == text else text
            self._pieces.clear()
            if self.spec.attachments:
                self.without_attachments = True
                self.spec = replace(self.spec, attachments=())
            self._finished = time.monotonic()
            self.outcome = outcome
            self._changed.notify_all()
            told = self._on_finish
        if told is not None:
            told(self)

    def kept_bytes(self) -> int:
        """What a finished run's texts take, about."""
        answer = self.outcome.response.response if self.outcome is not None else None
        return _size(self._text, None if answer is self._text else answer, self.spec)

    def tell_finish(self, told: Callable[["LiveRun"], None]) -> None:
        """Has `told` called once when it finishes, at once if it has."""
        with self._changed:
            self._on_finish = told
            finished = self.outcome is not None
        if finished:
            told(self)

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
        """The answer's pieces as they arrive, from the first; ends with the run. The last may hold several of them."""
        position = length = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda at=position: len(self._pieces) > at or self.outcome is not None)
                done = self.outcome is not None
                pieces = [self._text[length:]] if done else self._pieces[position:]
            position += len(pieces)
            for piece in pieces:
                length += len(piece)
                if piece:
                    yield piece
            if done:
                return


class LiveRuns:
    """The register of them, by id. Finished ones stay for a while, for their pages.

    Args:
        keep_finished: About so many of them.
        keep_bytes: No more of them than have texts of this size together; the newest one stays in any case.
    """

    def __init__(self, *, keep_finished: int = 200, keep_bytes: int = 64 * 1024 * 1024) -> None:
        self._keep = keep_finished
        self._keep_bytes = keep_bytes
        self._sizes: dict[UUID, int] = {}
        self._bytes = 0
        self._look_at = keep_finished
        self._lock = threading.Lock()
        self._runs: dict[UUID, LiveRun] = {}

    def add(self, run: LiveRun, *, keep: bool = True) -> None:
        """Registers a run; forgets the oldest finished ones beyond the limit, some at a time.

        Args:
            run: One under way.
            keep: Whether it stays when it has finished, also where the store has it then.
        """
        with self._lock:
            self._runs[run.run_id] = run
            if len(self._runs) > self._look_at:
                finished = [key for key, other in self._runs.items() if other.outcome]
                for run_id in finished[: len(self._runs) - self._keep]:
                    self._forget(run_id)
                # Looking through all of them at each run would cost more than storing one.
                self._look_at = len(self._runs) + self._keep // 4
        run.tell_finish(self._note_finished if keep else self._note_told)

    def _note_told(self, run: LiveRun) -> None:
        if run.outcome is None or not run.outcome.stored:
            self._note_finished(run)
            return
        with self._lock:
            if run.run_id in self._runs:
                self._forget(run.run_id)

    def _note_finished(self, run: LiveRun) -> None:
        with self._lock:
            if run.run_id not in self._runs:
                return
            size = self._sizes[run.run_id] = run.kept_bytes()
            self._bytes += size
            if self._bytes > self._keep_bytes:
                for run_id in [
                    key for key, other in self._runs.items() if other.outcome and other is not run
                ]:
                    self._forget(run_id)
                    if self._bytes <= self._keep_bytes:
                        return

    def _forget(self, run_id: UUID) -> None:
        del self._runs[run_id]
        self._bytes -= self._sizes.pop(run_id, 0)

    def get(self, run_id: UUID, *, project_id: str) -> LiveRun | None:
        """The run, if this process works or lately worked on it for that project."""
        run = self._runs.get(run_id)
        return run if run is not None and run.project_id == project_id else None

    def under_way(self) -> list[LiveRun]:
        """Those that have not finished."""
        with self._lock:
            return [run for run in self._runs.values() if run.outcome is None]


def _size(text: str, answer: str | None, spec: RunSpec) -> int:
    texts = [text, answer or "", spec.prompt, spec.config.system_prompt, spec.config.prompt]
    texts += [message.content for message in spec.messages] + list(spec.variables.values())
    # A context is JSON of which only the size of its text is of interest.
    texts.append(repr(spec.context) if spec.context else "")
    return sum(sys.getsizeof(each) for each in texts)
