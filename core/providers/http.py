"""The HTTP under a vendor's SDK: one request, which its deadline or whoever stops it ends at once.

An SDK's own transport waits in `recv` for as long as each wait was allowed: it cannot be told to stop, and a
server that sends a byte now and then keeps it for ever. Here every wait is cut to what is left of the call's
`Limits`, and pressing stop shuts the socket down under the blocked read. It is also cheaper: see
`docs/decisions/2026-11-22-http-transport.md`.

Replies are read by llhttp (`http_parser`). Connections are kept per host and reused. Nothing is retried, no redirect is
followed, no cookie is kept.

Raises, wherever it can fail: `Cancelled`, `DeadlineExceeded`; `ProviderUnavailable` until a status is
received (`sent` is False when it is certain that the vendor received nothing); `BadProviderResponse` for what
comes after.
"""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from core.errors import BadProviderResponse, InvalidRequest, InvocationError, ProviderUnavailable
from core.forks import renew_in_children
from core.interruption import Limits
from core.providers.connections import Channel, Origin, connect, proxy_authorization
from core.providers.http_parser import BrokenReply, ReplyParser

IDLE_SECONDS: Final = 30.0
"""How long an unused connection is kept; a shorter time than a server's or a load balancer's own."""
SWEEP_SECONDS: Final = 1.0
MAX_IDLE_PER_HOST: Final = 128
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BODY_BYTES: Final = 64 * 1024
UNCOMPRESSED: Final = MappingProxyType({"Accept-Encoding": "identity"})
"""A header for every request: compression would save nothing on an answer's few kilobytes, and makes some proxies
hold back a stream."""
DRAIN_SECONDS: Final = 0.05
"""How long the end mark of a body is waited for, after its last useful byte, to reuse the connection."""

_limits: ContextVar[Limits] = ContextVar("agent_launcher_limits")


@contextmanager
def bounded_by(limits: Limits) -> Generator[None]:
    """Requests that this thread starts inside the block end by `limits`, though an SDK stands between."""
    token = _limits.set(limits)
    try:
        yield
    finally:
        _limits.reset(token)


def current_limits() -> Limits:
    """The limits of the block that this thread is in; none at all outside of one."""
    return _limits.get(None) or Limits()


class Transport:
    """A pool of connections to any number of hosts; shared by threads.

    Args:
        ssl_context: Makes the TLS settings, once, on the first https request.
        max_idle: How many unused connections to one host are kept.
        address: What an operator set to name the server, for the texts.
    """

    def __init__(
        self,
        ssl_context: Callable[[], ssl.SSLContext],
        *,
        max_idle: int = MAX_IDLE_PER_HOST,
        address: str = "the base URL",
    ) -> None:
        self._make_ssl_context = ssl_context
        self._max_idle = max_idle
        self.address = address
        self._ssl_context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: dict[Origin, deque[tuple[Channel, float]]] = {}
        self._sweep_at = 0.0
        renew_in_children(self)

    def send(
        self, method: str, origin: Origin, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> "Reply":
        """Sends one request within `current_limits()` and returns when the status and headers are there.

        Args:
            method: Such as POST.
            origin: The server.
            target: Path and query as they go on the wire.
            headers: As they go on the wire, with Host and, if there is a body, Content-Length.
            body: The whole body.
        """
        limits = current_limits()
        limits.check(sent=False)
        block = _header_block(headers)
        channel = self._take(origin) or connect(origin, limits, self._tls, address=self.address)
        if channel.proxy is not None and origin.scheme == "http":
            target = f"http://{origin.authority}".encode() + target
            block += _header_block(proxy_authorization(channel.proxy))
        exchange = _Exchange(self, origin, channel, limits)
        try:
            head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target, block)
            parser = exchange.request(head + body)
        except BaseException:
            exchange.close()
            raise
        return Reply(exchange, parser)

    def _take(self, origin: Origin) -> Channel | None:
        now = time.monotonic()
        while True:
            with self._lock:
                stack = self._idle.get(origin)
                if not stack:
                    return None
                channel, since = stack.pop()
            if now - since < IDLE_SECONDS and channel.is_quiet():
                return channel
            channel.disconnect()

    def give_back(self, origin: Origin, channel: Channel) -> None:
        """Keeps a connection whose last answer was read to its end."""
        channel.end()
        now = time.monotonic()
        with self._lock:
            stack = self._idle.setdefault(origin, deque())
            stack.append((channel, now))
            expired = [stack.popleft()[0]] if len(stack) > self._max_idle else []
            if now >= self._sweep_at:
                expired += self._sweep(now)
        for old in expired:
            old.disconnect()

    def _sweep(self, now: float) -> list[Channel]:
        """Takes out what was unused for too long, also of servers that nobody asks any more."""
        self._sweep_at = now + SWEEP_SECONDS
        expired: list[Channel] = []
        for origin, stack in list(self._idle.items()):
            # The oldest end of the stack is where unused connections gather.
            while stack and now - stack[0][1] >= IDLE_SECONDS:
                expired.append(stack.popleft()[0])
            if not stack:
                del self._idle[origin]
        return expired

    def close(self) -> None:
        """Closes the unused connections."""
        with self._lock:
            stacks = list(self._idle.values())
            self._idle.clear()
        for stack in stacks:
            for channel, _ in stack:
                channel.disconnect()

    def after_fork(self) -> None:
        """See `core.forks`."""
        self._lock = threading.Lock()
        self._idle = {}

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._ssl_context is None:
                self._ssl_context = self._make_ssl_context()
            return self._ssl_context


class _Exchange:
    """One request on one connection, up to the end of its answer."""

    def __init__(self, transport: Transport, origin: Origin, channel: Channel, limits: Limits) -> None:
        self._transport = transport
        self._channel = channel
        self.limits = limits
        self.over = False
        self.origin = origin
        channel.begin(limits)
        self._forget = limits.cancel.add(self._interrupt)

    def _interrupt(self) -> None:
        self._channel.interrupt(self.limits)

    def request(self, data: bytes) -> ReplyParser:
        """Sends the bytes and reads the answer's head."""
        self.limits.check(sent=False)
        parser = ReplyParser()
        try:
            delivered = self._channel.send_all(data)
            while not parser.has_head:
                parser.feed(self.receive())
        except BrokenReply as exc:
            if parser.nothing_came:
                raise ProviderUnavailable(
                    f"{self.origin} closed the connection without an answer. Try again."
                ) from exc
            raise BadProviderResponse(
                f"{self.origin} did not answer in HTTP. Check {self._transport.address} and the port.",
                detail=repr(exc),
            ) from exc
        except (OSError, ValueError) as exc:
            raise ProviderUnavailable(
                f"The connection to {self.origin} was lost before an answer came. Try again.",
                detail=repr(exc),
            ) from exc
        if not delivered:
            # It refused early (413, 401): the answer is good, the connection is not.
            parser.will_close = True
        return parser

    def receive(self) -> bytes:
        """Waits for bytes; none at the end."""
        return self._channel.receive()

    def hurry(self, seconds: float) -> None:
        """Leaves so much time for the rest."""
        self._channel.begin(Limits(timeout_seconds=seconds))

    def close(self) -> None:
        """Drops the connection."""
        if not self.over:
            self.over = True
            self._forget()
            self._channel.disconnect()

    def finish(self) -> None:
        """Keeps the connection for the next call."""
        if not self.over:
            self.over = True
            self._forget()
            self._transport.give_back(self.origin, self._channel)


class Reply:
    """A status, headers and a body to read once."""

    def __init__(self, exchange: _Exchange, parser: ReplyParser) -> None:
        self._exchange = exchange
        self._parser = parser
        self.status = parser.status
        self.headers = parser.headers

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces, as they arrive; the connection is kept or dropped at the end.

        Raises:
            BadProviderResponse: It was cut, is larger than `MAX_BODY_BYTES`, or breaks HTTP. The body of an
                error status ends quietly instead: what was received of it says enough.
        """
        is_error = self.status >= 400
        limit = MAX_ERROR_BODY_BYTES if is_error else MAX_BODY_BYTES
        received = 0
        try:
            while piece := self._read():
                received += len(piece)
                if received > limit:
                    self._exchange.close()
                    if is_error:
                        return
                    raise BadProviderResponse(
                        f"{self._exchange.origin} answered with more than {MAX_BODY_BYTES} bytes.",
                        provider_status=self.status,
                    )
                yield piece
            self._end()
        except (OSError, ValueError) as exc:
            self._exchange.close()
            if is_error:
                return
            raise BadProviderResponse(
                f"The connection to {self._exchange.origin} was lost in the middle of the answer.",
                detail=repr(exc),
                provider_status=self.status,
            ) from exc
        except InvocationError:
            self._exchange.close()
            raise
        finally:
            self.close()

    def _read(self) -> bytes:
        parser = self._parser
        while not (piece := parser.take()) and not parser.complete:
            parser.feed(self._exchange.receive())
        return piece

    def close(self) -> None:
        """Ends it; harmless again.

        The last useful byte often comes before the body's end mark; when the mark is there too, or follows
        within `DRAIN_SECONDS`, the connection is kept.
        """
        if self._exchange.over:
            return
        if self._parser.will_close or self._exchange.limits.cancel.cancelled:
            self._exchange.close()
            return
        self._exchange.hurry(DRAIN_SECONDS)
        try:
            while self._read():
                pass
        except (InvocationError, OSError, ValueError):
            self._exchange.close()
        else:
            self._end()

    def _end(self) -> None:
        if self._parser.will_close:
            self._exchange.close()
        else:
            self._exchange.finish()


def _header_block(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
        raise InvalidRequest("A header of the request contains a line break.")
    return block
