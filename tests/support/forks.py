"""A process that is forked off while another thread of its parent is in the middle of something."""

import os
import threading
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

PATIENCE_S: Final = 10.0


def in_a_child(work: Callable[[], bool]) -> bool:
    """Whether `work` comes to an end in a forked process, and says that all is well there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: that there are threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    give_up = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    while datetime.now(UTC) < give_up:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def free_in_a_child(lock: Callable[[], AbstractContextManager[object]], use: Callable[[], object]) -> bool:
    """Whether what needs the lock works in a process that is forked while another thread has it, and here after that.

    Args:
        lock: Gives the parent's lock.
        use: Needs it.
    """

    def hold(wait: Callable[[], None]) -> None:
        with lock():
            wait()

    def work() -> bool:
        use()
        return True

    with held(hold):
        free = in_a_child(work)
    return free and work()


@contextmanager
def held(work: Callable[[Callable[[], None]], object]) -> Generator[None]:
    """While another thread is in the middle of `work`, where that calls what it is given."""
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(PATIENCE_S * 2)

    thread = threading.Thread(target=work, args=(wait,))
    thread.start()
    assert inside.wait(PATIENCE_S)
    try:
        yield
    finally:
        go_on.set()
        thread.join()
