"""Our HTTP (`core.providers.http`) as the transport of an httpx client, for an SDK that is built on it."""

from collections.abc import Iterator
from functools import cache

import httpx
from typing_extensions import override

from core.providers.http import Transport
from core.providers.httpx_shape import ReplyBody, decoding, forward


class _Body(ReplyBody, httpx.SyncByteStream):
    """The body."""


class _Response(httpx.Response):
    @override
    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        with decoding(self.status_code, httpx.DecodingError):
            yield from super().iter_bytes(chunk_size)


class _Adapter(httpx.BaseTransport):
    def __init__(self) -> None:
        self._transport = Transport(httpx.create_ssl_context)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = forward(self._transport, request)
        return _Response(reply.status, headers=reply.headers, stream=_Body(reply))


@cache
def shared_transport() -> httpx.BaseTransport:
    """One pool of connections for all clients; closing a client leaves it as it is.

    Reading an answer raises our errors only, also where its body cannot be decompressed.
    """
    return _Adapter()
