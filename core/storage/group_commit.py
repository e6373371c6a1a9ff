"""One commit for what several threads want to write at the same moment.

On SQLite a commit copies every changed page to the log, whatever changed in it; runs that start together change the
same pages. So while one thread commits, the others queue their work, and the next one of them does all of it in one
transaction. Nobody waits for company: a lone thread commits at once, and each returns only when its work is committed.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

Work = Callable[[Connection], Any]
Transaction = Callable[[Work], Any]

_MOST_AT_ONCE: Final = 64


class NotTogether(Exception):
    """Raised by work for several: they have to be done each by itself."""


class Shared:
    """Work of which several are done in fewer statements than one after another.

    Args:
        do: Does it for several items, in the order given; returns as many results.
        item: What it is to be done for.
    """

    __slots__ = ("do", "item")

    def __init__(self, do: Callable[[Connection, Sequence[Any]], Sequence[Any]], item: Any) -> None:
        self.do, self.item = do, item

    def __call__(self, connection: Connection) -> Any:
        """Does it for this item alone."""
        return self.do(connection, [self.item])[0]


class _Job:
    """A thread's work.

    Attributes:
        wake: Held until somebody wakes this thread; an Event is several times dearer.
        followers: Whose work this thread does with its own, while it leads.
        to_wake: Who is to be woken by this thread, now that it is awake.
        gone: Whether its thread waits no more.
    """

    __slots__ = ("error", "finished", "followers", "gone", "leads", "result", "to_wake", "wake", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.wake = threading.Lock()
        self.leads = self.finished = self.gone = False
        self.followers: list[_Job] = []
        self.to_wake: deque[_Job] | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, transaction: Transaction) -> None:
        try:
            self.result, self.error = transaction(self.work), None
        except BaseException as exc:
            self.error = exc
        self.finished = True

    @property
    def interrupted(self) -> bool:
        """Whether the thread that did it was interrupted (Ctrl+C), which says nothing about the work."""
        return self.error is not None and not isinstance(self.error, Exception)


class GroupCommit:
    """Runs work in transactions that threads share.

    Args:
        transaction: Runs one work in one transaction, and returns what it returned after the commit.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._guard = threading.Lock()
        self._waiting: list[_Job] = []
        self._led = False

    def run(self, work: Work) -> Any:
        """Returns what the work returned, once it is committed; raises what it raised, with nothing of it stored.

        The work may be called twice (if other work in the same transaction fails, each is done again by itself), so it
        changes nothing but the database. Interrupted (KeyboardInterrupt), it may be stored or not.
        """
        job = _Job(work)
        try:
            while not job.finished:
                with self._guard:
                    if self._led:
                        job.wake.acquire(blocking=False)
                        self._waiting.append(job)
                    else:
                        self._led = job.leads = True
                if not job.leads:
                    job.wake.acquire()
                    if job.to_wake:
                        with self._guard:
                            _wake_next(job)
                if job.leads:
                    self._lead(job)
        except BaseException:
            # Whoever goes without leaving the queue becomes an heir that never leads, and all others wait for ever.
            self._leave(job)
            raise
        if job.error is not None:
            raise job.error
        return job.result

    def _lead(self, own: _Job) -> None:
        try:
            with self._guard:
                own.followers = self._waiting[: _MOST_AT_ONCE - 1]
                del self._waiting[: _MOST_AT_ONCE - 1]
            self._settle(own)
        finally:
            self._leave(own)

    def _leave(self, job: _Job) -> None:
        with self._guard:
            job.gone = True
            if job in self._waiting:
                self._waiting.remove(job)
            if job.leads:
                job.leads = False
                heir = self._waiting.pop(0) if self._waiting else None
                self._led = heir is not None
                if heir is not None:
                    heir.leads = True
                    heir.wake.release()
            if job.followers:
                job.to_wake = deque(job.followers)
                job.followers.clear()
            _wake_next(job)

    def _settle(self, own: _Job) -> None:
        batch = [own, *own.followers]
        interruption: BaseException | None = None
        if len(batch) > 1:
            together = _Job(lambda connection: _all(batch, connection))
            together.settle(self._transaction)
            if together.error is None:
                for job, result in together.result:
                    job.result, job.finished = result, True
                return
            if together.interrupted:
                interruption = together.error
        for job in batch:
            job.settle(self._transaction)
            if job.interrupted and job is not own:
                # It was this thread that was to stop, not the one whose work it did.
                interruption = job.error
                job.settle(self._transaction)
        if interruption is not None:
            raise interruption


def _wake_next(awake: _Job) -> None:
    """Wakes one of those whose work is done, who wakes the next: all at once they would fight for the interpreter."""
    to_wake = awake.to_wake
    while to_wake:
        job = to_wake[0]
        wakes = job is not awake and not job.gone
        if wakes:
            job.to_wake = to_wake
            job.wake.release()
        # Only now: whoever is interrupted before leaves nobody asleep.
        to_wake.popleft()
        if wakes:
            return


def _all(batch: Sequence[_Job], connection: Connection) -> list[tuple[_Job, Any]]:
    """Does the jobs of threads that wait, so none needs another's: those of a kind together."""
    shared: dict[Callable[..., Any], tuple[list[_Job], list[Any]]] = {}
    done: list[tuple[_Job, Any]] = []
    for job in batch:
        if isinstance(job.work, Shared):
            jobs, items = shared.setdefault(job.work.do, ([], []))
            jobs.append(job)
            items.append(job.work.item)
        else:
            done.append((job, job.work(connection)))
    for do, (jobs, items) in shared.items():
        done += zip(jobs, do(connection, items), strict=True)
    return done
