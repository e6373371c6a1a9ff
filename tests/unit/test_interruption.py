import threading
import time

import pytest

from core.errors import Cancelled, DeadlineExceeded
from core.interruption import CancelToken, Limits


def test_callbacks_run_once_when_stop_is_pressed():
    token, calls = CancelToken(), list[str]()
    token.add(lambda: calls.append("a"))
    take_back = token.add(lambda: calls.append("b"))
    take_back()
    assert not token.cancelled
    token.cancel()
    token.cancel()
    assert calls == ["a"]
    assert token.cancelled
    take_back()  # harmless again


def test_a_callback_added_late_runs_at_once():
    token, calls = CancelToken(), list[str]()
    token.cancel()
    with token.on_cancel(lambda: calls.append("now")):
        assert calls == ["now"]


def test_outside_its_block_a_callback_is_not_run():
    token, calls = CancelToken(), list[str]()
    with token.on_cancel(lambda: calls.append("late")):
        pass
    token.cancel()
    assert calls == []


def test_a_callback_may_use_the_token():
    token, calls = CancelToken(), list[bool]()
    token.add(lambda: calls.append(token.cancelled))
    token.cancel()
    assert calls == [True]


def test_limits_without_a_deadline():
    limits = Limits()
    assert limits.remaining_seconds() is None
    limits.check()
    limits.wait(0)


def test_the_deadline_passes():
    limits = Limits(timeout_seconds=0.02)
    limits.check()
    assert 0 < (limits.remaining_seconds() or 0) <= 0.02
    with pytest.raises(DeadlineExceeded) as caught:
        limits.wait(5)
    assert caught.value.sent
    assert limits.remaining_seconds() == 0
    with pytest.raises(DeadlineExceeded) as caught:
        limits.check(sent=False)
    assert not caught.value.sent


def test_stop_ends_a_wait():
    token = CancelToken()
    started = time.monotonic()
    timer = threading.Timer(0.05, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        Limits(cancel=token, timeout_seconds=20).wait(10)
    assert time.monotonic() - started < 2
    timer.join()
