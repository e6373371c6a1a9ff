"""The transport below the SDKs, against real sockets: reuse, TLS, proxies, threads, what must not be sent."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import (
    BadProviderResponse,
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    ProviderTimeout,
    ProviderUnavailable,
)
from core.interruption import CancelToken, Limits
from core.providers import connections, http
from core.providers.connections import Origin
from core.providers.http import Transport, bounded_by
from tests.support.forks import in_a_child
from tests.support.vendor_server import Reply, VendorServer

HEADERS = [(b"Host", b"test"), (b"Content-Length", b"2")]


def origin_of(url: str) -> Origin:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    return Origin(scheme, host, int(port))


@pytest.fixture
def transport() -> Generator[Transport]:
    transport = Transport(ssl.create_default_context)
    yield transport
    transport.close()


def post(transport: Transport, origin: Origin, *, limits: Limits | None = None, body: bytes = b"{}") -> bytes:
    headers = [(b"Host", b"test"), (b"Content-Length", str(len(body)).encode())]
    with bounded_by(limits or Limits(timeout_seconds=10)):
        reply = transport.send("POST", origin, b"/x?y=1", headers, body)
    return b"".join(reply)


def test_one_connection_serves_call_after_call(vendor: VendorServer, transport: Transport):
    vendor.otherwise(Reply.json({"a": 1}))
    for _ in range(10):
        assert post(transport, origin_of(vendor.url)) == b'{"a": 1}'
    assert vendor.connections == 1
    assert vendor.last.path == "/x?y=1"


def test_an_answer_left_unread_costs_its_connection_and_nothing_else(
    vendor: VendorServer, transport: Transport
):
    vendor.otherwise(Reply.text("x" * 5_000_000))
    for _ in range(3):
        with bounded_by(Limits(timeout_seconds=10)):
            transport.send("POST", origin_of(vendor.url), b"/", HEADERS, b"{}").close()
    vendor.otherwise(Reply.json([]))
    assert post(transport, origin_of(vendor.url)) == b"[]"


def test_the_end_mark_of_a_stream_may_come_a_little_later(transport: Transport, raw: "RawServer"):
    """As servers do: the last event, then, in another packet, the end of the chunks."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlast\r\n")
        connection.sendall(b"0\r\n\r\n")

    url = raw(answer)
    for _ in range(3):
        with bounded_by(Limits(timeout_seconds=10)):
            reply = transport.send("POST", origin_of(url), b"/", HEADERS, b"{}")
        assert next(iter(reply)) == b"last"
        reply.close()
    assert raw.connections == 1


def test_a_connection_that_the_server_closed_is_not_used_again(transport: Transport, raw: "RawServer"):
    def answer_and_leave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.shutdown(socket.SHUT_RDWR)

    url = raw(answer_and_leave)
    for _ in range(5):
        assert post(transport, origin_of(url)) == b"ok"
        time.sleep(0.02)
    assert raw.connections == 5


def test_an_unused_connection_is_closed_in_time(
    vendor: VendorServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    vendor.otherwise(Reply.json([]))
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.05)
    post(transport, origin_of(vendor.url))
    time.sleep(0.1)
    post(transport, origin_of(vendor.url))
    assert vendor.connections == 2


def test_unused_connections_to_servers_that_nobody_asks_any_more_are_closed(
    vendor: VendorServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    """Each is an open file, of which a process has few."""
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(http, "SWEEP_SECONDS", 0.0)
    vendor.otherwise(Reply.json([]))
    open_files = Path("/proc/self/fd")
    post(transport, origin_of(vendor.url))
    before = len(list(open_files.iterdir()))
    for _ in range(20):
        with VendorServer() as other:
            other.otherwise(Reply.json([]))
            post(transport, origin_of(other.url))
    time.sleep(0.1)
    post(transport, origin_of(vendor.url))
    assert len(list(open_files.iterdir())) <= before + 5


def test_a_server_that_refuses_early_is_heard(transport: Transport, raw: "RawServer"):
    """It answers and closes while the large body is still on its way."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while connection.recv(1 << 20):
                pass

    with bounded_by(Limits(timeout_seconds=10)):
        body = b"x" * 20_000_000
        headers = [(b"Host", b"t"), (b"Content-Length", str(len(body)).encode())]
        reply = transport.send("POST", origin_of(raw(refuse)), b"/", headers, body)
    assert reply.status == 413
    assert b"".join(reply) == b"big"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n",
    ],
)
def test_a_cut_body(transport: Transport, raw: "RawServer", answer: bytes):
    def cut(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(BadProviderResponse) as caught:
        post(transport, origin_of(raw(cut)))
    assert caught.value.provider_status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_no_http(transport: Transport, raw: "RawServer", answer: bytes):
    def speak(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(BadProviderResponse):
        post(transport, origin_of(raw(speak)))


def test_interim_answers_are_passed_over(transport: Transport, raw: "RawServer"):
    """RFC 8297; all in one packet, as a proxy sends them."""

    def hint(connection: socket.socket) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + early * 2)
        say_ok(connection)

    url = raw(hint)
    assert post(transport, origin_of(url)) == b"ok"
    assert post(transport, origin_of(url)) == b"ok"
    assert raw.connections == 1


def test_what_comes_unasked_belongs_to_no_call(transport: Transport, raw: "RawServer"):
    """A second answer behind the first one must not become the next call's."""

    def answer_twice(connection: socket.socket) -> None:
        say_ok(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    def answer_twice_at_once(connection: socket.socket) -> None:
        one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(one + b"ok" + one + b"no")

    for answer in (answer_twice, answer_twice_at_once):
        url = raw(answer)
        for _ in range(3):
            assert post(transport, origin_of(url)) == b"ok"
            time.sleep(0.02)


def test_ipv6(transport: Transport, raw: "RawServer"):
    assert post(transport, origin_of(raw(say_ok, address="::1"))) == b"ok"


def test_nobody_accepts_the_connection(transport: Transport, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.2)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with suppress(TimeoutError):
            while True:  # until its queue is full
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0.2)
                waiting.connect(listener.getsockname())
        with pytest.raises(ProviderTimeout) as caught:
            post(transport, Origin("http", *listener.getsockname()))
    assert caught.value.retryable
    assert not caught.value.sent


def test_a_body_without_a_length_ends_with_the_connection(transport: Transport, raw: "RawServer"):
    def old(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        connection.sendall(b"abc")
        connection.shutdown(socket.SHUT_RDWR)

    url = raw(old)
    assert post(transport, origin_of(url)) == b"abc"
    assert post(transport, origin_of(url)) == b"abc"


def test_a_body_without_end_is_stopped(
    vendor: VendorServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1_000_000)
    vendor.will(Reply.text("x" * 1_000_000), Reply.text("x" * 1_000_001))
    assert len(post(transport, origin_of(vendor.url))) == 1_000_000
    with pytest.raises(BadProviderResponse, match="1000000 bytes"):
        post(transport, origin_of(vendor.url))


def test_a_long_error_page_is_read_in_part(vendor: VendorServer, transport: Transport):
    vendor.will(Reply.text("x" * 1_000_000, status=500))
    assert len(post(transport, origin_of(vendor.url))) <= http.MAX_ERROR_BODY_BYTES


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_smuggle_another(vendor: VendorServer, transport: Transport, value: bytes):
    with bounded_by(Limits(timeout_seconds=5)), pytest.raises(InvalidRequest):
        transport.send("POST", origin_of(vendor.url), b"/", [*HEADERS, (b"X", value)], b"{}")
    assert vendor.requests == []


def test_threads_share_it(vendor: VendorServer, transport: Transport):
    vendor.otherwise(lambda request: Reply.text(request.body, content_type="text/plain"))
    wrong: list[bytes] = []

    def work(number: int) -> None:
        for turn in range(20):
            body = f"{number}-{turn}".encode() * 50
            if (got := post(transport, origin_of(vendor.url), body=body)) != body:
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(vendor.requests) == 320
    assert vendor.connections <= 16


class LateStop(CancelToken):
    """A stop whose callback had already been fetched when its call ended, and runs only when told to."""

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.run_late = callback
        return lambda: None


def test_a_stop_that_comes_late_hits_no_other_call(vendor: VendorServer, transport: Transport):
    vendor.will(Reply.json([1]), Reply.json([2]).delayed(0.3))
    late = LateStop()
    assert post(transport, origin_of(vendor.url), limits=Limits(cancel=late, timeout_seconds=10)) == b"[1]"
    timer = threading.Timer(0.1, late.run_late)
    timer.start()
    assert post(transport, origin_of(vendor.url)) == b"[2]"
    timer.join()
    assert vendor.connections == 1


def test_stops_hit_only_their_own_call(vendor: VendorServer, transport: Transport):
    """Calls that end, and stops that are pressed, at the same moments, on shared connections."""
    vendor.otherwise(Reply.json([1]))
    failures: list[BaseException] = []
    stop = threading.Event()

    def quiet() -> None:
        while not stop.is_set():
            try:
                assert post(transport, origin_of(vendor.url)) == b"[1]"
            except BaseException as exc:
                failures.append(exc)

    def pressed() -> None:
        for _ in range(150):
            token = CancelToken()
            timer = threading.Thread(target=token.cancel)
            try:
                timer.start()
                post(transport, origin_of(vendor.url), limits=Limits(cancel=token, timeout_seconds=10))
            except Cancelled:
                pass
            finally:
                timer.join()

    threads = [threading.Thread(target=quiet) for _ in range(3)]
    pressing = [threading.Thread(target=pressed) for _ in range(2)]
    for thread in threads + pressing:
        thread.start()
    for thread in pressing:
        thread.join()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_after_a_fork_the_child_makes_its_own_connections(vendor: VendorServer, transport: Transport):
    vendor.otherwise(Reply.json([]))
    post(transport, origin_of(vendor.url))
    assert in_a_child(lambda: post(transport, origin_of(vendor.url)) == b"[]")
    post(transport, origin_of(vendor.url))
    assert vendor.connections == 2


# TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


class RawServer:
    """Makes servers that hand every request's connection to a function of the test; gives their address."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.connections = 0

    def __call__(
        self,
        answer: Callable[[socket.socket], None],
        *,
        context: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = self._stack.enter_context(socket.create_server((address, 0), family=family))

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(20)
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    while connection.recv(65_536):
                        answer(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    self.connections += 1
                    worker = threading.Thread(target=serve, args=(connection,), daemon=True)
                    worker.start()

        threading.Thread(target=accept, daemon=True).start()
        self._stack.callback(listener.shutdown, socket.SHUT_RDWR)
        scheme = "http" if context is None else "https"
        return f"{scheme}://{address}:{listener.getsockname()[1]}"


@pytest.fixture
def raw() -> Generator[RawServer]:
    with ExitStack() as stack:
        yield RawServer(stack)


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> Transport:
    return Transport(lambda: ssl.create_default_context(cafile=str(certificate)))


def say_ok(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_tls(raw: RawServer, certificate: Path):
    transport = trusting(certificate)
    url = raw(say_ok, context=server_side(certificate))
    for _ in range(3):
        assert post(transport, origin_of(url)) == b"ok"
    transport.close()
    assert raw.connections <= 2  # session tickets may arrive on an unused connection


def test_an_unknown_certificate_is_refused_before_anything_is_sent(
    raw: RawServer, certificate: Path, transport: Transport
):
    received: list[socket.socket] = []
    url = raw(received.append, context=server_side(certificate))
    with pytest.raises(ProviderUnavailable, match="secure connection") as caught:
        post(transport, origin_of(url))
    assert not caught.value.sent
    assert received == []


@pytest.mark.parametrize("size", [2, 20_000_000])
def test_stop_and_deadline_under_tls(raw: RawServer, certificate: Path, size: int):
    """Waiting for the answer, and with the large body, for room to send."""
    url = raw(lambda _: time.sleep(15), context=server_side(certificate))
    transport = trusting(certificate)
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    started = time.monotonic()
    timer.start()
    with pytest.raises(Cancelled):
        post(transport, origin_of(url), limits=Limits(cancel=token, timeout_seconds=30), body=b"x" * size)
    assert time.monotonic() - started < 1.3
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        post(transport, origin_of(url), limits=Limits(timeout_seconds=0.3), body=b"x" * size)
    assert time.monotonic() - started < 1.3


def test_stop_in_a_handshake_that_never_ends(certificate: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = Origin("https", "127.0.0.1", silent.getsockname()[1])
        token = CancelToken()
        timer = threading.Timer(0.2, token.cancel)
        timer.start()
        started = time.monotonic()
        with pytest.raises(Cancelled) as caught:
            post(trusting(certificate), origin, limits=Limits(cancel=token, timeout_seconds=30))
        assert time.monotonic() - started < 1.2
        assert not caught.value.sent


# Proxies.


def test_a_plain_request_goes_through_the_proxy_of_the_environment(
    vendor: VendorServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", vendor.url.replace("http://", "http://user:pass@"))
    monkeypatch.setenv("NO_PROXY", "")
    vendor.will(Reply.json([]))
    assert post(transport, Origin("http", "api.example", 80)) == b"[]"
    assert vendor.last.path == "http://api.example:80/x?y=1"
    assert vendor.last.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_no_proxy_is_respected(vendor: VendorServer, transport: Transport, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    vendor.will(Reply.json([]))
    assert post(transport, origin_of(vendor.url)) == b"[]"


def test_tls_goes_through_a_tunnel(raw: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    target = origin_of(raw(say_ok, context=server_side(certificate)))
    asked: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        asked.append(b"")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection((target.host, target.port)) as onward:
            one = threading.Thread(target=pump, args=(connection, onward), daemon=True)
            one.start()
            pump(onward, connection)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    monkeypatch.setenv("HTTPS_PROXY", raw(tunnel))
    monkeypatch.setenv("NO_PROXY", "")
    transport = trusting(certificate)
    assert post(transport, target) == b"ok"
    assert asked
    transport.close()


def test_a_proxy_of_another_kind_is_refused(transport: Transport, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(InvalidRequest, match="proxy"):
        post(transport, Origin("http", "api.example", 80))
