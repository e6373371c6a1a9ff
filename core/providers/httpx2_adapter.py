"""Our HTTP (`core.providers.http`) as the transport of an httpx2 client, for SDKs that are built on it."""

from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx2
from typing_extensions import override

from core.providers.http import Transport
from core.providers.httpx_shape import ReplyBody, decoding, forward


class _Body(ReplyBody, httpx2.SyncByteStream):
    """The body."""


class _Response(httpx2.Response):
    @override
    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        with decoding(self.status_code, httpx2.DecodingError):
            yield from super().iter_bytes(chunk_size)


class _Adapter(httpx2.BaseTransport):
    def __init__(self) -> None:
        self._transport = Transport(httpx2.create_ssl_context)

    @override
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = forward(self._transport, request)
        return _Response(reply.status, headers=reply.headers, stream=_Body(reply))

    @override
    def close(self) -> None:
        self._transport.close()


class _Client(httpx2.Client):
    """A client for an SDK that says everything with each request: address, headers and body.

    What httpx2 merges in of its own (defaults, cookies, parameters), and what it does around a request (redirects,
    authentication flows, hooks), is nothing here, and would take as long as the rest of it.
    """

    def __init__(self) -> None:
        self._adapter = _Adapter()
        super().__init__(
            transport=self._adapter,
            timeout=None,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
        )

    def build_request(self, method: str, url: httpx2.URL | str, **given: Any) -> httpx2.Request:
        """See `httpx2.Client.build_request`."""
        if any(value is not None for name, value in given.items() if name not in _SIMPLE):
            return super().build_request(method, url, **given)
        return httpx2.Request(
            method,
            _parsed(url) if isinstance(url, str) else url,
            headers=given.get("headers"),
            content=given.get("content"),
        )

    def send(self, request: httpx2.Request, *, stream: bool = False, **_: Any) -> httpx2.Response:
        """Sends it as it is; errors are those of `core.providers.http`."""
        response = self._adapter.handle_request(request)
        response.request = request
        if not stream:
            try:
                response.read()
            except BaseException:
                response.close()
                raise
        return response


class ParsedOnce:
    """Before an SDK's client of httpx2 in a class: it parses each address once, and not with each request."""

    def _prepare_url(self, url: str) -> httpx2.URL:
        known: dict[str, httpx2.URL] = self.__dict__.setdefault("_parsed_addresses", {})
        address = known.get(url)
        if address is None:
            sdk: Any = super()
            address = known[url] = sdk._prepare_url(url)
        return address


_SIMPLE: Final = frozenset({"headers", "content", "timeout"})
"""What a request is made of here; the deadline is the transport's own."""


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)


def build_client() -> httpx2.Client:
    """A client to give to an SDK, shared by its keys and addresses; no redirects, no cookies.

    Sending, and reading an answer, raise our errors only, also where a body cannot be decompressed.
    """
    return _Client()


@dataclass(slots=True)
class Kept:
    """What `keeping` gives.

    Attributes:
        streamed: Leave the body on the wire, for whoever asked to read.
        without: Headers that the SDK sets and that are not to be sent, in lower case.
        response: The answer; None while no request was sent.
    """

    streamed: bool
    without: Collection[str]
    response: httpx2.Response | None = None


_kept: ContextVar[Kept] = ContextVar("agent_launcher_kept")


@contextmanager
def keeping(*, streamed: bool, without: Collection[str] = ()) -> Generator[Kept]:
    """The answer to the one request that an SDK sends, in this thread, through a `KeepingClient`."""
    kept = Kept(streamed, without)
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


class KeepingClient(_Client):
    """For an SDK that has no door for raw answers: keeps the answer, and shows the SDK an empty one.

    So the SDK makes the request, and can neither hide a fault of the answer nor ask again. Sends within
    `keeping` only.
    """

    def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:
        """Sends it as it is; errors are those of `core.providers.http`."""
        kept = _kept.get()
        if kept.response is not None:
            raise RuntimeError("the SDK sends a second request for one call")
        for name in kept.without:
            request.headers.pop(name, None)
        kept.response = super().send(request, stream=kept.streamed, **given)
        return httpx2.Response(200, request=request)
