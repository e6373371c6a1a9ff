"""What a long-lived process does beside its runs: settles orphaned runs and folds finished attempts into roll-ups."""

import logging
import threading

from core.contract import utc_now
from core.errors import StoreError
from core.services.presence import STALE_AFTER_SECONDS
from core.storage.store import Store

log = logging.getLogger("agent_launcher.housekeeping")

PERIOD_SECONDS = 5.0


class Housekeeping:
    """A daemon thread; any number of processes may have one (folding is guarded by a lease, reaping is idempotent)."""

    def __init__(self, store: Store, *, period_seconds: float = PERIOD_SECONDS) -> None:
        self._store = store
        self._period_seconds = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begins; the first round is at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def round(self) -> None:
        """One round. Raises StoreError."""
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
            except StoreError as exc:
                # Said once, not every five seconds: pages show the same trouble, and the next round tries again.
                log.log(logging.DEBUG if failing else logging.WARNING, "housekeeping put off: %s", exc)
                failing = True
            if self._stop.wait(self._period_seconds):
                return
