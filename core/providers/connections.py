"""One connection to a server, whose every wait ends with the call's deadline, or as soon as it is stopped."""

import http.client
import math
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from core.errors import InvalidRequest, ProviderTimeout, ProviderUnavailable
from core.interruption import Limits

CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port, as in an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Channel:
    """A connected socket whose every wait is bounded.

    One call at a time uses it. `interrupt` may come from any thread, at any moment, even after the call is
    over and the connection serves another one; so it only acts for the call that `begin` named.
    """

    def __init__(self, sock: socket.socket, *, proxy: str | None) -> None:
        self.proxy = proxy
        self._sock = sock
        # Once: a time-out set for each wait is a system call, for which the thread gives the interpreter away.
        sock.settimeout(0)
        self._encrypted = isinstance(sock, ssl.SSLSocket)
        self._lock = threading.Lock()
        self._limits: Limits | None = None

    def begin(self, limits: Limits) -> None:
        """A call takes the connection."""
        with self._lock:
            self._limits = limits

    def end(self) -> None:
        """The call is over; a stop that comes late finds nothing to stop."""
        with self._lock:
            self._limits = None

    def interrupt(self, limits: Limits) -> None:
        """Ends the waiting of the call with these limits, if it still has the connection."""
        with self._lock:
            if self._limits is limits:
                # Not SSLSocket.shutdown: that drops the TLS state under a read that is going on.
                try:
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
                except OSError:
                    return  # the other side was faster

    def _grant(self) -> Limits:
        limits = self._limits
        if limits is None:
            raise OSError("the connection is not in use")
        limits.check()
        return limits

    def _wait(self, *, to_write: bool = False) -> None:
        """Until the socket is ready, was shut down, or the call's time is up."""
        _wait_for_socket(self._sock, self._grant().remaining_seconds(), to_write=to_write)

    def receive(self) -> bytes:
        """Waits for bytes; none at the end."""
        if not self._encrypted:
            # An answer is rarely there when it is asked for. (What TLS has decrypted already, a wait would not see.)
            self._wait()
        while True:
            limits = self._grant()
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait()
                continue
            except ssl.SSLWantWriteError:
                self._wait(to_write=True)
                continue
            except OSError:
                limits.check()  # it was us who ended it
                raise
            if not data:
                limits.check()
            return data

    def send_all(self, data: bytes) -> bool:
        """Sends it all; False if the other side stopped listening, which may still have answered."""
        view = memoryview(data)
        while view:
            limits = self._grant()
            try:
                view = view[self._sock.send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(to_write=True)
            except ssl.SSLWantReadError:
                self._wait()
            except (BrokenPipeError, ConnectionResetError):
                limits.check()
                return False
            except OSError:
                limits.check()
                raise
        return True

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: on an unused connection anything, even the end, is bad news."""
        try:
            socket.socket.recv(self._sock, 1, socket.MSG_PEEK)  # below TLS
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def disconnect(self) -> None:
        """Closes it."""
        self.end()
        self._sock.close()


def _wait_for_socket(sock: socket.socket, seconds: float | None, *, to_write: bool = False) -> None:
    """Returns when the socket can be read (or written), has ended, or so many seconds have passed; None is for ever."""
    if not hasattr(select, "poll"):  # Windows
        reading, writing = ([], [sock]) if to_write else ([sock], [])
        select.select(reading, writing, [], seconds)
        return
    poll = select.poll()
    poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
    poll.poll(None if seconds is None else math.ceil(seconds * 1_000))


def connect(
    origin: Origin, limits: Limits, tls: Callable[[], ssl.SSLContext], *, address: str = "the base URL"
) -> Channel:
    """A new connection, through the environment's proxy if it names one.

    Args:
        origin: The server.
        limits: When to give up; stop is obeyed at once, though the attempt may go on unseen for a while.
        tls: Gives the settings for https.
        address: What an operator set to name the server, for the texts.

    Raises:
        Cancelled, DeadlineExceeded, ProviderTimeout, ProviderUnavailable: Nothing was sent.
        InvalidRequest: The proxy cannot be used.
    """
    proxy = _proxy_for(origin)
    dial = _Dial()
    connection = _connection(origin, proxy, tls)
    worker = threading.Thread(target=dial.run, args=(connection,), name=f"connect {origin.host}", daemon=True)
    remaining = limits.remaining_seconds()
    with limits.cancel.on_cancel(dial.done.set):
        worker.start()
        dial.done.wait(
            CONNECT_TIMEOUT_SECONDS if remaining is None else min(remaining, CONNECT_TIMEOUT_SECONDS)
        )
    with dial.lock:
        if (dial.sock is None and dial.error is None) or limits.cancel.cancelled:
            dial.abandoned = True
            if dial.sock is not None:
                dial.sock.close()
    if dial.abandoned:
        limits.check(sent=False)
        raise ProviderTimeout(
            f"{origin} accepted no connection within {CONNECT_TIMEOUT_SECONDS:.0f} s. "
            f"Check {address}, the network and the proxy settings.",
            sent=False,
        )
    if dial.error is not None:
        raise _cannot_connect(origin, dial.error, address) from dial.error
    assert dial.sock is not None
    _keep_alive(dial.sock)
    return Channel(dial.sock, proxy=proxy)


def _connection(
    origin: Origin, proxy: str | None, tls: Callable[[], ssl.SSLContext]
) -> http.client.HTTPConnection:
    host, port = origin.host, origin.port
    tunnel: tuple[str, int] | None = None
    if proxy is not None:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port or 80
        tunnel = (origin.host, origin.port) if origin.scheme == "https" else None
    if origin.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=CONNECT_TIMEOUT_SECONDS, context=tls()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_SECONDS)
    if tunnel is not None and proxy is not None:
        connection.set_tunnel(
            *tunnel, headers={k.decode(): v.decode() for k, v in proxy_authorization(proxy)}
        )
    return connection


@dataclass(slots=True)
class _Dial:
    """A connection being made, in a thread of its own: a name look-up cannot be interrupted."""

    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    abandoned: bool = False
    sock: socket.socket | None = None
    error: Exception | None = None

    def run(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except Exception as exc:
            connection.close()
            self.error = exc
        with self.lock:
            self.sock = connection.sock
            if self.abandoned:
                connection.close()
        self.done.set()


def _proxy_for(origin: Origin) -> str | None:
    """The proxy that the environment names for this server (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)."""
    proxies = getproxies()
    if not proxies:
        return None
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(f"{origin.host}:{origin.port}") or proxy_bypass(origin.host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme != "http":
        raise InvalidRequest(
            "The environment names a proxy that is not an http:// one. Only http:// proxies are supported."
        )
    return proxy


def proxy_authorization(proxy: str) -> list[tuple[bytes, bytes]]:
    """The header that a proxy's user name and password make."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [(b"Proxy-Authorization", b"Basic " + b64encode(pair.encode()))]


def _cannot_connect(origin: Origin, error: Exception, address: str) -> ProviderUnavailable | ProviderTimeout:
    match error:
        case ssl.SSLError():
            reason = "no secure connection could be made"
        case socket.gaierror():
            reason = "its name could not be resolved"
        case ConnectionRefusedError():
            reason = "the connection was refused"
        case TimeoutError():
            return ProviderTimeout(
                f"{origin} accepted no connection in time. Check {address} and the network.",
                detail=repr(error),
                sent=False,
            )
        case _:
            reason = "no connection could be made"
    return ProviderUnavailable(
        f"{origin} cannot be reached: {reason}. Check {address}, that the server runs, and the network.",
        detail=repr(error),
        sent=False,
    )


def _keep_alive(sock: socket.socket) -> None:
    # A model that thinks for minutes sends nothing; without this a NAT on the way forgets the connection.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60)
