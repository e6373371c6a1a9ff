"""This process's sign of life in the store.

While its heart beats, its runs are under way; when it stops, their outcome is unknown and the reaper says so.
"""

import os
import socket
import threading
from typing import Final

from core import ids
from core.contract import utc_now
from core.errors import StoreError
from core.loggers import get_logger
from core.storage.store import Store

log = get_logger("agent_launcher.presence")

BEAT_SECONDS: Final = 5.0


class Presence:
    """The heart-beat: starts with the first run or with the housekeeping, ends with `leave`."""

    def __init__(self, store: Store, *, kind: str, period_seconds: float = BEAT_SECONDS) -> None:
        self.worker_id = ids.uuid7()
        self._store = store
        self._kind = kind
        self._period_seconds = period_seconds
        self._started_at = utc_now()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def appear(self) -> None:
        """Registers the process, and keeps the heart beating. Again is free.

        Raises:
            StoreError: The store does not take it.
        """
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._beat()
                thread = threading.Thread(target=self._keep_beating, name="presence", daemon=True)
                thread.start()
                self._thread = thread

    def leave(self) -> None:
        """Stops the heart-beat and removes the row; runs still RUNNING under it are orphans from now on."""
        self._stop.set()
        if self._thread is None:
            return
        self._thread.join(timeout=2)
        try:
            self._store.workers.retire(self.worker_id)
        except StoreError as exc:
            log.warning("could not sign off: %s", exc)

    def beat(self) -> None:
        """One more sign of life, if the process has appeared. Raises StoreError."""
        if self._thread is not None and not self._stop.is_set():
            self._beat()

    def _beat(self) -> None:
        self._store.workers.beat(
            self.worker_id,
            kind=self._kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
        )

    def _keep_beating(self) -> None:
        failing = False
        while not self._stop.wait(self._period_seconds):
            try:
                self._beat()
                failing = False
            except Exception as exc:
                # Whatever it is, the heart must not stop for good: others would take the runs for lost.
                if not failing:
                    trace = None if isinstance(exc, StoreError) else exc
                    log.warning("heart-beat not stored: %s", exc, exc_info=trace)
                failing = True
