"""Runs that wait for a free thread. Their time passes while they wait: a run's deadline counts from when it was asked.

A thread of its own watches them while there are any, so that one that is stopped, or whose deadline passes, ends then
and not only when a thread is free.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from core.services.run_work import Job

if TYPE_CHECKING:
    from uuid import UUID

Work = Callable[[Job], object]


class RunQueue:
    """Works jobs in threads, so many at a time, in the order in which they came.

    Args:
        places: How many at a time.
        work: Works one, in a thread of the queue.
        give_up: Ends one that was stopped, or ran out of time, before `work` was called with it.
    """

    def __init__(self, *, places: int, work: Work, give_up: Work) -> None:
        self.places = places
        self._work = work
        self._give_up = give_up
        self._threads = ThreadPoolExecutor(max_workers=places, thread_name_prefix="run")
        self._changed = threading.Condition()
        self._waiting: dict[UUID, Job] = {}
        self._taken = 0
        self._watched = False

    def put(self, jobs: list[Job]) -> None:
        """Takes them in; returns at once."""
        with self._changed:
            for job in jobs:
                self._waiting[job.live.run_id] = job
            crowded = self._taken + len(self._waiting) > self.places
        for job in jobs:
            self._threads.submit(self._take, job)
        if crowded:
            for job in jobs:
                job.live.cancel.add(self._look)
            self._watch()

    def close(self) -> None:
        """Takes no more; what waits or is under way goes on."""
        self._threads.shutdown(wait=False)

    def _take(self, job: Job) -> None:
        with self._changed:
            if self._waiting.pop(job.live.run_id, None) is None:
                return
            self._taken += 1
        try:
            if job.limits.remaining_seconds() == 0:
                self._give_up(job)
            else:
                self._work(job)
        finally:
            with self._changed:
                self._taken -= 1

    def _look(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            if self._watched:
                self._changed.notify_all()
                return
            self._watched = True
        threading.Thread(target=self._give_up_in_time, name="run-queue", daemon=True).start()

    def _give_up_in_time(self) -> None:
        while (ended := self._next_ended()) is not None:
            for job in ended:
                self._give_up(job)

    def _next_ended(self) -> list[Job] | None:
        """Those that are over, taken off the queue, as soon as there are any; None when nobody waits."""
        with self._changed:
            while self._waiting:
                left = {job.live.run_id: job.limits.remaining_seconds() for job in self._waiting.values()}
                over = [
                    run_id
                    for run_id, job in self._waiting.items()
                    if job.live.cancel.cancelled or left[run_id] == 0
                ]
                if over:
                    return [self._waiting.pop(run_id) for run_id in over]
                self._changed.wait(min((s for s in left.values() if s is not None), default=None))
            self._watched = False
            return None
