"""One commit for what several threads want to write at the same moment.

On SQLite a commit copies every changed page to the log, whatever changed in it; runs that start together change the
same pages. So while one thread commits, the others queue their work, and the next one of them does all of it in one
transaction. Nobody waits for company: a lone thread commits at once, and each returns only when its work is committed.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

Work = Callable[[Connection], Any]
Transaction = Callable[[Work], Any]

_MOST_AT_ONCE: Final = 64


class _Job:
    __slots__ = ("error", "finished", "leads", "result", "wake", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.wake = (
            threading.Lock()
        )  # held until somebody wakes this thread; an Event is several times dearer
        self.leads = self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, transaction: Transaction) -> None:
        try:
            self.result = transaction(self.work)
        except BaseException as exc:
            self.error = exc
        self.finished = True


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
        changes nothing but the database.
        """
        job = _Job(work)
        with self._guard:
            if self._led:
                job.wake.acquire()
                self._waiting.append(job)
            else:
                self._led = job.leads = True
        if not job.leads:
            job.wake.acquire()
        if job.leads:
            self._lead(job)
        if job.error is not None:
            raise job.error
        return job.result

    def _lead(self, own: _Job) -> None:
        with self._guard:
            batch = [own, *self._waiting[: _MOST_AT_ONCE - 1]]
            del self._waiting[: _MOST_AT_ONCE - 1]
        try:
            self._settle(batch)
        finally:
            with self._guard:
                heir = self._waiting.pop(0) if self._waiting else None
                self._led = heir is not None
            if heir is not None:
                heir.leads = True
                heir.wake.release()
            for job in batch[1:]:
                job.wake.release()

    def _settle(self, batch: list[_Job]) -> None:
        if len(batch) > 1:
            together = _Job(lambda connection: [job.work(connection) for job in batch])
            together.settle(self._transaction)
            if together.error is None:
                for job, result in zip(batch, together.result, strict=True):
                    job.result, job.finished = result, True
                return
        for job in batch:
            job.settle(self._transaction)
