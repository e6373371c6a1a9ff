"""A call ends when its deadline passes or somebody presses stop, at once, wherever it waits."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from core.interruption import CancelToken
from tests.contract.conftest import Caller
from tests.contract.dialects.base import Answer, Dialect, Failure
from tests.support.vendor_server import Reply, VendorServer

MakeRequest = Callable[..., dict[str, Any]]

DEADLINE_S = 0.4
GRACE_S = 1.0


def slow_replies(dialect: Dialect, *, stream: bool) -> dict[str, Reply]:
    events = dialect.events(Answer())
    body = b"".join(dialect.whole(Answer()).chunks)
    wire = b"".join(events)
    one_by_one = [wire[at : at + 1] for at in range(len(wire))]
    json_drip = Reply(
        headers={"Content-Type": "application/json"},
        chunks=tuple(body[at : at + 1] for at in range(len(body))),
        pause_s=0.05,
    )
    return {
        "never answers": Reply.silence(),
        "late first byte": (dialect.streamed(events) if stream else dialect.whole(Answer())).delayed(30),
        "drips bytes": dialect.streamed(one_by_one, pause_s=0.05) if stream else json_drip,
        "drips events": dialect.streamed(events[:4] * 20, pause_s=0.05) if stream else json_drip,
        "error body drips": Reply(
            status=500,
            headers={"Content-Type": "application/json"},
            chunks=(b"{",) + (b" ",) * 1_000,
            pause_s=0.05,
        ),
        "error body never ends": dialect.failure(Failure.RATE_LIMIT).with_headers(
            {"Content-Length": "100000"}
        ),
    }


WAITS = [
    "never answers",
    "late first byte",
    "drips bytes",
    "drips events",
    "error body drips",
    "error body never ends",
]


@pytest.mark.parametrize("wait", WAITS)
def test_deadline(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, wait: str
):
    vendor.otherwise(slow_replies(dialect, stream=stream)[wait])
    started = time.monotonic()
    response = call(request_to(timeout_seconds=DEADLINE_S), stream=stream)
    assert time.monotonic() - started < DEADLINE_S + GRACE_S
    assert response.error is not None
    assert response.error.code == "DEADLINE_EXCEEDED"
    assert response.execution_time_seconds >= DEADLINE_S
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("wait", WAITS)
def test_stop(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, wait: str
):
    vendor.otherwise(slow_replies(dialect, stream=stream)[wait])
    cancel = CancelToken()
    pressed: list[float] = []

    def press() -> None:
        vendor.wait_for_requests(1)
        time.sleep(0.2)
        pressed.append(time.monotonic())
        cancel.cancel()

    finger = threading.Thread(target=press)
    finger.start()
    response = call(request_to(), stream=stream, cancel=cancel)
    ended = time.monotonic()
    finger.join()
    assert ended - pressed[0] < GRACE_S
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    assert (response.response or "") == "".join(call.deltas)
    if wait != "error body never ends":  # there the vendor believes that it said all
        assert vendor.requests[0].client_left.wait(5)


def test_stop_keeps_the_text_so_far(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    vendor.will(dialect.streamed(dialect.events(Answer(pieces=["word "] * 200)), pause_s=0.02))
    cancel = CancelToken()

    def watch() -> None:
        while len(call.deltas) < 3:
            time.sleep(0.005)
        cancel.cancel()

    watcher = threading.Thread(target=watch)
    watcher.start()
    response = call(request_to(), stream=True, cancel=cancel)
    watcher.join()
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    assert response.response == "word " * len(call.deltas)
    assert 3 <= len(call.deltas) < 100


def test_stopped_before_it_began(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    cancel = CancelToken()
    cancel.cancel()
    response = call(request_to(), stream=stream, cancel=cancel)
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    assert response.error.may_be_billed is False
    assert vendor.requests == []


def test_a_stop_pressed_late_hits_no_other_call(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    """The connection of a finished call serves the next one."""
    first = CancelToken()
    vendor.will(dialect.whole(Answer()), dialect.whole(Answer()).delayed(0.3))
    assert call(request_to(), cancel=first).error is None
    threading.Timer(0.1, first.cancel).start()
    assert call(request_to()).error is None
    assert vendor.connections == 1


@pytest.fixture
def deaf_url() -> Generator[str]:
    """An address that takes no further connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting: list[socket.socket] = []
        try:
            while True:
                client = socket.socket()
                client.settimeout(0.2)
                waiting.append(client)
                client.connect(listener.getsockname())
        except TimeoutError:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for client in waiting:
                client.close()


def test_deadline_while_connecting(deaf_url: str, dialect: Dialect, request_to: MakeRequest, call: Caller):
    started = time.monotonic()
    response = call(request_to(timeout_seconds=DEADLINE_S, **dialect.connection(deaf_url)))
    assert time.monotonic() - started < DEADLINE_S + GRACE_S
    assert response.error is not None
    assert response.error.code == "DEADLINE_EXCEEDED"
    assert response.error.may_be_billed is False


def test_stop_while_connecting(deaf_url: str, dialect: Dialect, request_to: MakeRequest, call: Caller):
    cancel = CancelToken()
    threading.Timer(0.3, cancel.cancel).start()
    started = time.monotonic()
    response = call(request_to(**dialect.connection(deaf_url)), cancel=cancel)
    assert time.monotonic() - started < 0.3 + GRACE_S
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    assert response.error.may_be_billed is False


def test_deadline_while_sending(
    deaf_reader_url: str, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    """A large request to a server that accepts it and never reads."""
    started = time.monotonic()
    request = request_to(timeout_seconds=DEADLINE_S, **dialect.connection(deaf_reader_url))
    response = call(request | {"prompt": "x" * 1_999_999, "system_prompt": "y" * 499_999, "messages": None})
    assert time.monotonic() - started < DEADLINE_S + GRACE_S
    assert response.error is not None
    assert response.error.code == "DEADLINE_EXCEEDED"


@pytest.fixture
def deaf_reader_url() -> Generator[str]:
    """Accepts connections with a tiny buffer and reads nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("at_ms", range(0, 30, 3))
def test_stop_at_any_moment(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, at_ms: int
):
    answer = Answer(pieces=["word "] * 20)
    vendor.otherwise(
        dialect.streamed(dialect.events(answer), pause_s=0.001)
        if stream
        else dialect.whole(answer).delayed(0.02)
    )
    cancel = CancelToken()
    timer = threading.Timer(at_ms / 1000, cancel.cancel)
    timer.start()
    response = call(request_to(), stream=stream, cancel=cancel)
    timer.join()
    if response.error is None:
        assert response.response == answer.text
    else:
        assert response.error.code == "CANCELLED"
        assert answer.text.startswith(response.response or "")
    assert call(request_to(), stream=stream).error is None
