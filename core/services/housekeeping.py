"""What a long-lived process does beside its runs.

It stores what could not be stored before, settles orphaned runs, and folds finished attempts into roll-ups.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from core.errors import StoreError
from core.loggers import get_logger
from core.services.presence import Presence
from core.storage.store import Store

log = get_logger("agent_launcher.housekeeping")

KEEPER: Final = "up"
"""The kind of process that always keeps house; another leaves it to one that lives."""

PERIOD_SECONDS: Final = 5.0
LONG_TAIL: Final = 2000
"""So many unfolded attempts make a short command fold: reading them takes each query a few milliseconds."""

_FOLDED_ONCE = 20_000
_FORGOTTEN_AFTER = timedelta(days=1)


class Housekeeping:
    """A daemon thread; any number of processes may have one.

    Folding is guarded by a lease, and reaping is idempotent.

    Args:
        store: What is kept in order.
        settle: Stores outcomes that the store refused before, and returns how many still wait.
        presence: This process's sign of life: what it works on itself is never reaped.
        period_seconds: From the end of a round to the next.
    """

    def __init__(
        self,
        store: Store,
        *,
        settle: Callable[[], int],
        presence: Presence,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        self._store = store
        self._settle = settle
        self._presence = presence
        self._period_seconds = period_seconds
        self._stand_by = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)

    def start(self, *, stand_by: bool = False) -> None:
        """Begins, and shows the process among those that live; the first round is at once.

        Again is harmless, until it was stopped.

        Args:
            stand_by: Reap and fold only while no process of the kind `KEEPER` lives.
        """
        if not self._thread.is_alive():
            self._stand_by = stand_by
            self._thread.start()

    def stop(self) -> bool:
        """Ends after the round that is under way; returns whether it had been started."""
        self._stop.set()
        started = self._thread.is_alive()
        if started:
            self._thread.join(timeout=10)
        return started

    def round(self) -> None:
        """One round. Each of its parts is tried, whatever the ones before it met with.

        Raises:
            StoreError: The first thing that went wrong, as anything else that did.
        """
        # The beat before the reaping: after a full disk or a suspended laptop it may be long ago. Settling too: what
        # waits there is the end of a run that the store still shows as RUNNING.
        errors = _tried(self._presence.beat, self._settle)
        if not self._left_to_another():
            errors += _tried(self._reap, self._fold)
        if errors:
            raise errors[0]

    def _left_to_another(self) -> bool:
        return self._stand_by and any(worker.kind == KEEPER for worker in self._store.workers.live())

    def once(self, *, long_tail: int = LONG_TAIL) -> None:
        """What a short process does for others: reaps, and folds if much waits. Errors are only logged."""
        try:
            self._reap_runs()
            if self._store.usage.waits_to_be_folded(long_tail):
                self._store.usage.fold(limit=_FOLDED_ONCE)
        except Exception as exc:
            trace = None if isinstance(exc, StoreError) else exc
            log.warning("housekeeping left to the next process: %s", exc, exc_info=trace)

    def _reap(self) -> None:
        self._reap_runs()
        self._store.workers.forget_dead(silent_for=_FORGOTTEN_AFTER)

    def _reap_runs(self) -> None:
        reaped = self._store.runs.reap(except_worker=self._presence.worker_id)
        if reaped:
            log.warning("%d orphaned run(s) marked OUTCOME_UNKNOWN", reaped)

    def _fold(self) -> None:
        while self._store.usage.fold() and not self._stop.is_set():
            pass

    def _work(self) -> None:
        failing = False
        while True:
            try:
                self._presence.appear()
                self.round()
                failing = False
            except Exception as exc:
                # Whatever it is, runs must not stay unsettled for as long as this process lives. Said once,
                # not every five seconds: pages show the same trouble, and the next round tries again.
                if not failing:
                    trace = None if isinstance(exc, StoreError) else exc
                    log.warning("housekeeping put off: %s", exc, exc_info=trace)
                failing = True
            if self._stop.wait(self._period_seconds):
                return


def _tried(*parts: Callable[[], object]) -> list[Exception]:
    """What went wrong with them; each is tried, whatever the ones before it met with."""
    errors: list[Exception] = []
    for part in parts:
        try:
            part()
        except Exception as exc:
            errors.append(exc)
    return errors
