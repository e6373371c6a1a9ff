"""How a call that is under way is ended from outside: by its deadline, or by somebody who stops it.

A blocking read cannot look at a flag. So whoever blocks registers a callback that unblocks it (`on_cancel`),
and asks `remaining_seconds` before each wait, so that many short waits do not add up to more than the
deadline.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from core.errors import Cancelled, DeadlineExceeded


class CancelToken:
    """A stop button that is pressed at most once, from any thread."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], None]] = {}

    @property
    def cancelled(self) -> bool:
        """Whether it was pressed."""
        return self.event.is_set()

    def cancel(self) -> None:
        """Presses it: runs the registered callbacks in this thread. Again is harmless."""
        with self._lock:
            if self.event.is_set():
                return
            self.event.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Has `callback` called when the token is pressed, at once if it already was.

        Returns what takes it back.

        The callback must not raise and must be safe to call from another thread, also shortly after it was
        taken back.
        """
        key = object()
        with self._lock:
            pressed = self.event.is_set()
            if not pressed:
                self._callbacks[key] = callback
        if pressed:
            callback()

        def take_back() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return take_back

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Generator[None]:
        """`add` for the length of a block."""
        take_back = self.add(callback)
        try:
            yield
        finally:
            take_back()


class Limits:
    """What one call may use: time until a deadline, and a cancel token.

    Args:
        timeout_seconds: From now; None for no limit.
        cancel: The token to watch; a fresh one, which nobody presses, if None.
    """

    def __init__(self, *, timeout_seconds: float | None = None, cancel: CancelToken | None = None) -> None:
        self.deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self.cancel = cancel or CancelToken()

    def remaining_seconds(self) -> float | None:
        """Seconds to the deadline, never negative; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self, *, sent: bool = True) -> None:
        """Returns if there is time left and nobody pressed stop.

        Args:
            sent: False as long as it is certain that the vendor received nothing; the error says so.

        Raises:
            Cancelled: Somebody stopped it.
            DeadlineExceeded: The time is up.
        """
        if self.cancel.cancelled:
            raise Cancelled("The run was stopped.", sent=sent)
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded(
                "The deadline passed before the answer was complete. Allow more time, or ask for less.",
                sent=sent,
            )

    def wait(self, seconds: float) -> None:
        """Sleeps, but wakes for stop and deadline.

        Raises:
            Cancelled: Somebody stopped it.
            DeadlineExceeded: The deadline came first.
        """
        remaining = self.remaining_seconds()
        self.cancel.event.wait(seconds if remaining is None else min(seconds, remaining))
        self.check()
