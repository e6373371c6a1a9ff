"""A small HTTP server on loopback whose every answer, and every way of failing to answer, a test writes down.

    vendor.will(Reply.json({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "2"}))
    vendor.will(Reply.sse([{"choices": [...]}, {"choices": [...]}], pause_s=0.05))
    ...
    assert [r.path for r in vendor.requests] == ["/v1/chat/completions"] * 2

Replies are used once each, in the order in which requests arrive; `otherwise` sets what follows when they are
used up. A request that nothing was written for gets status 500 and is listed in `unexpected`, which the
`vendor` fixture checks at the end of the test.

Connections are kept alive as a real server keeps them, so `connections` shows whether a client reuses one.
"""

import json
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias, assert_never


class Ending(StrEnum):
    """How an exchange ends."""

    COMPLETE = "complete"
    """The whole answer is sent."""
    CUT = "cut"
    """The connection closes before the answer is whole."""
    CUT_WITHIN = "cut-within"
    """The same in the middle of the last chunk: HTTP announced more of it than comes."""
    RESET = "reset"
    """The request is read, then the connection is reset without an answer."""
    RESET_UNREAD = "reset-unread"
    """The connection is reset before the request is read: nothing can have been done."""
    SILENCE = "silence"
    """The request is read, and nothing comes back until the client leaves or the server stops."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. Made by the class methods; `delayed`, `cut` and `with_headers` give variations of it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = (b"",)
    streamed: bool = False
    """Sent with chunked transfer encoding, one piece per entry of `chunks`; else in one with its length."""
    pause_s: float = 0.0
    """Between two chunks."""
    delay_s: float = 0.0
    """Before the first byte."""
    ending: Ending = Ending.COMPLETE

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Answers with a JSON document."""
        return cls.text(json.dumps(value), content_type="application/json", status=status, headers=headers)

    @classmethod
    def text(
        cls,
        body: str | bytes,
        *,
        content_type: str = "text/plain; charset=utf-8",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answers with any body: HTML from a proxy, half a JSON document, nothing."""
        data = body.encode() if isinstance(body, str) else body
        return cls(status=status, headers={"Content-Type": content_type, **(headers or {})}, chunks=(data,))

    @classmethod
    def sse(
        cls,
        events: Iterable[object],
        *,
        pause_s: float = 0.0,
        last: str | None = "[DONE]",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Streams server-sent events, one chunk each.

        Args:
            events: texts go into `data:` as they are, bytes onto the wire as they are, anything else as JSON.
            pause_s: seconds between two events.
            last: the closing event's data; None ends the stream properly but without it, as a vendor's
                proxy does that was restarted.
            status: of the response.
            headers: more of them.
        """
        written = [*events, *([last] if last is not None else [])]
        return cls(
            status=status,
            headers={"Content-Type": "text/event-stream; charset=utf-8", **(headers or {})},
            chunks=tuple(_event(event) for event in written),
            streamed=True,
            pause_s=pause_s,
        )

    @classmethod
    def lines(cls, documents: Iterable[object], *, pause_s: float = 0.0, status: int = 200) -> Self:
        """Streams JSON documents, one a line (as Ollama does)."""
        return cls(
            status=status,
            headers={"Content-Type": "application/x-ndjson"},
            chunks=tuple(json.dumps(document).encode() + b"\n" for document in documents),
            streamed=True,
            pause_s=pause_s,
        )

    @classmethod
    def reset(cls, *, before_reading: bool = False) -> Self:
        """Resets the connection instead of answering, after the request is read or before it."""
        return cls(ending=Ending.RESET_UNREAD if before_reading else Ending.RESET)

    @classmethod
    def silence(cls) -> Self:
        """Reads the request and never answers."""
        return cls(ending=Ending.SILENCE)

    def delayed(self, seconds: float) -> Self:
        """Waits before the first byte."""
        return replace(self, delay_s=seconds)

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Adds headers."""
        return replace(self, headers={**self.headers, **headers})

    def cut_within(self, chunk: int) -> Self:
        """Closes the connection in the middle of this chunk of a stream, counted from 0."""
        assert self.streamed
        return replace(self, chunks=self.chunks[: chunk + 1], ending=Ending.CUT_WITHIN)

    def cut(self, after: int) -> Self:
        """Closes the connection after so many chunks of a stream, or bytes of a plain body."""
        return replace(
            self,
            chunks=self.chunks[:after] if self.streamed else (b"".join(self.chunks)[:after],),
            headers={**self.headers, **({} if self.streamed else {"Content-Length": str(self._length())})},
            ending=Ending.CUT,
        )

    def _length(self) -> int:
        return sum(map(len, self.chunks))


def _event(event: object) -> bytes:
    if isinstance(event, bytes):
        return event
    data = event if isinstance(event, str) else json.dumps(event)
    return "".join(f"data: {line}\n" for line in data.split("\n")).encode() + b"\n"


@dataclass(eq=False)
class ReceivedRequest:
    """A request as it arrived."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    client_left: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed the connection before the answer was whole."""

    @property
    def json(self) -> Any:
        """The body, parsed; ValueError where it is not JSON."""
        return json.loads(self.body)


Answer: TypeAlias = Reply | Callable[[ReceivedRequest], Reply]


class VendorServer:
    """The server; it runs from `start` to `stop`, or in a `with` block. Any thread may use it."""

    def __init__(self) -> None:
        """Nothing listens yet."""
        self._lock = threading.Lock()
        self._script: deque[Answer] = deque()
        self._otherwise: Answer | None = None
        self._requests: list[ReceivedRequest] = []
        self._unexpected: list[ReceivedRequest] = []
        self._connections = 0
        self.stopping = threading.Event()
        # Its other end can be read as soon as this one is closed: whoever waits need not look every so often.
        self._open, self.stopped = socket.socketpair()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_until_stopped, daemon=True)

    # What a test writes down.

    def will(self, *answers: Answer) -> None:
        """Answers the next requests so, one each; a function receives the request and returns the reply."""
        with self._lock:
            self._script.extend(answers)

    def otherwise(self, answer: Answer | None) -> None:
        """Answers every request so for which `will` left nothing; None takes it back."""
        with self._lock:
            self._otherwise = answer

    def reset(self) -> None:
        """Forgets replies and requests."""
        with self._lock:
            self._script.clear()
            self._otherwise = None
            self._requests.clear()
            self._unexpected.clear()
            self._connections = 0

    # What a test reads.

    @property
    def url(self) -> str:
        """The server's address, without a path and without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request that was read, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def last(self) -> ReceivedRequest:
        """The newest request."""
        return self.requests[-1]

    @property
    def unexpected(self) -> list[ReceivedRequest]:
        """Requests for which no reply was written."""
        with self._lock:
            return list(self._unexpected)

    @property
    def connections(self) -> int:
        """Connections accepted, also those that were reset before anything was read."""
        with self._lock:
            return self._connections

    def wait_for_requests(self, count: int, *, timeout_s: float = 5.0) -> list[ReceivedRequest]:
        """Returns the requests as soon as there are so many; TimeoutError when they do not come."""
        deadline = time.monotonic() + timeout_s
        while len(found := self.requests) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} requests arrived within {timeout_s} s")
            time.sleep(0.005)
        return found

    # Its life.

    def start(self) -> Self:
        """Begins to answer, on a free port."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends every exchange, also the silent ones, and frees the port."""
        self.stopping.set()
        self._open.close()
        self._thread.join()
        self._server.server_close()
        self.stopped.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What the handlers ask.

    def accepted(self) -> None:
        """Counts a connection."""
        with self._lock:
            self._connections += 1

    def resets_unread(self) -> bool:
        """Takes the next reply if it is a reset before reading."""
        with self._lock:
            upcoming = self._script[0] if self._script else self._otherwise
            if not isinstance(upcoming, Reply) or upcoming.ending is not Ending.RESET_UNREAD:
                return False
            if self._script:
                self._script.popleft()
            return True

    def answer(self, request: ReceivedRequest) -> Reply:
        """Records a request and returns what was written for it."""
        with self._lock:
            self._requests.append(request)
            answer = self._script.popleft() if self._script else self._otherwise
            if answer is None:
                self._unexpected.append(request)
        if answer is None:
            return Reply.json({"error": {"message": "the test wrote no reply for this request"}}, status=500)
        return answer if isinstance(answer, Reply) else answer(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined when the server closes, so that no test leaves a socket behind
    request_queue_size = 128
    timeout = 0

    def __init__(self, vendor: VendorServer) -> None:
        self.vendor = vendor
        super().__init__(("127.0.0.1", 0), _Handler)

    def serve_until_stopped(self) -> None:
        """Takes connections."""
        while self.vendor.stopped not in _readable_of(self.socket, self.vendor.stopped):
            self.handle_request()

    def shutdown_request(self, request: Any) -> None:
        linger, seconds = struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        if linger and not seconds:
            self.close_request(request)  # the polite half-close before it would hide the reset
        else:
            super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds a client may take to send its body, or to read ours
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        self.server.vendor.accepted()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle_one_request(self) -> None:
        # What happens is chosen when the request's first byte is there, unread.
        while not self._readable(None):
            if self.server.vendor.stopping.is_set():
                self.close_connection = True
                return
        try:
            if self._peek() and self.server.vendor.resets_unread():
                self._reset()
            else:
                super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = ReceivedRequest(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        reply = self.server.vendor.answer(request)
        try:
            self._send(reply, request)
        except (ConnectionError, TimeoutError):
            request.client_left.set()
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _send(self, reply: Reply, request: ReceivedRequest) -> None:
        match reply.ending:
            case Ending.RESET | Ending.RESET_UNREAD:
                self._reset()
                return
            case Ending.SILENCE:
                self._wait(None, request)
                self.close_connection = True
                return
            case Ending.COMPLETE | Ending.CUT | Ending.CUT_WITHIN:
                pass
            case _:
                assert_never(reply.ending)
        self._wait(reply.delay_s, request)
        self.send_response(reply.status)
        headers = (
            {"Transfer-Encoding": "chunked"} if reply.streamed else {"Content-Length": str(reply._length())}
        )
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for number, chunk in enumerate(reply.chunks):
            if number:
                self._wait(reply.pause_s, request)
            sent = b"%x\r\n%b\r\n" % (len(chunk), chunk) if reply.streamed else chunk
            if reply.ending is Ending.CUT_WITHIN and number == len(reply.chunks) - 1:
                sent = sent[: len(sent) - 2 - len(chunk) // 2]
            self.wfile.write(sent)
        if reply.ending in {Ending.CUT, Ending.CUT_WITHIN}:
            self.close_connection = True
        elif reply.streamed:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, seconds: float | None, request: ReceivedRequest) -> None:
        """Lets time pass (None: without end), but notices that the client left or the server stops."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.server.vendor.stopping.is_set():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            if self._readable(left):
                if not self._peek():
                    raise ConnectionResetError("the client left")
                time.sleep(0.02 if left is None else min(left, 0.02))  # its next request has its turn later

    def _readable(self, seconds: float | None) -> bool:
        """Waits until there is something to read, or that is not worth while: the server stops."""
        return self.connection in _readable_of(self.connection, self.server.vendor.stopped, seconds=seconds)

    def _peek(self) -> bytes:
        return self.connection.recv(1, socket.MSG_PEEK)

    def _reset(self) -> None:
        # Lingering for zero seconds turns the close into a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded, not printed."""


def _readable_of(*sockets: socket.socket, seconds: float | None = None) -> list[object]:
    # Not select.select: clients of earlier tests keep connections, and it takes no number above 1,023.
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]


@contextmanager
def refused_url() -> Generator[str]:
    """Gives a loopback address at which every connection is refused, as long as the block lasts."""
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))  # bound, so that nothing else gets the port, and never listening
        yield f"http://127.0.0.1:{occupied.getsockname()[1]}"
