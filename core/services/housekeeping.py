"""What a long-lived process does beside its runs.

It stores what could not be stored before, settles orphaned runs, and folds finished attempts into roll-ups.
"""

import threading
from collections.abc import Callable

from core.contract import utc_now
from core.errors import StoreError
from core.loggers import get_logger
from core.services.presence import STALE_AFTER_SECONDS
from core.storage.store import Store

log = get_logger("agent_launcher.housekeeping")

PERIOD_SECONDS = 5.0


class Housekeeping:
    """A daemon thread; any number of processes may have one.

    Folding is guarded by a lease, and reaping is idempotent.

    Args:
        store: What is kept in order.
        settle: Stores outcomes that the store refused before, and returns how many still wait.
        period_seconds: From the end of a round to the next.
    """

    def __init__(
        self, store: Store, *, settle: Callable[[], int], period_seconds: float = PERIOD_SECONDS
    ) -> None:
        self._store = store
        self._settle = settle
        self._period_seconds = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begins; the first round is at once. Again is harmless, until it was stopped."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Ends after the round that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def round(self) -> None:
        """One round. Raises StoreError."""
        # Before the reaping: what waits here is the end of a run that the store still shows as RUNNING.
        self._settle()
        reaped = self._store.runs.reap(now=utc_now(), stale_after_seconds=STALE_AFTER_SECONDS)
        if reaped:
            log.warning("%d orphaned run(s) marked OUTCOME_UNKNOWN", reaped)
        while self._store.usage.fold() and not self._stop.is_set():
            pass

    def _work(self) -> None:
        failing = False
        while True:
            try:
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
