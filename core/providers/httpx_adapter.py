"""Our HTTP (`core.providers.http`) as the transport of an httpx client, for an SDK that is built on it."""

from collections.abc import Iterator
from functools import cache

import httpx

from core.providers.connections import Origin
from core.providers.http import Reply, Transport


class _Body(httpx.SyncByteStream):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply)

    def close(self) -> None:
        self._reply.close()


class _Adapter(httpx.BaseTransport):
    def __init__(self) -> None:
        self._transport = Transport(httpx.create_ssl_context)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        origin = Origin(
            url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        )
        reply = self._transport.send(
            request.method, origin, url.raw_path, request.headers.raw, request.read()
        )
        return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply))


@cache
def shared_transport() -> httpx.BaseTransport:
    """One pool of connections for all clients; closing a client leaves it as it is."""
    return _Adapter()
