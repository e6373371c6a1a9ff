"""Our HTTP (`core.providers.http`) as the transport of an httpx2 client, for SDKs that are built on it."""

from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from core.providers.connections import Origin
from core.providers.http import Reply, Transport


class _Body(httpx2.SyncByteStream):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply)

    def close(self) -> None:
        self._reply.close()


class _Adapter(httpx2.BaseTransport):
    def __init__(self) -> None:
        self._transport = Transport(httpx2.create_ssl_context)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        origin = Origin(
            url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        )
        reply = self._transport.send(
            request.method, origin, url.raw_path, request.headers.raw, request.read()
        )
        return httpx2.Response(reply.status, headers=reply.headers, stream=_Body(reply))

    def close(self) -> None:
        self._transport.close()


def build_client() -> httpx2.Client:
    """A client to give to an SDK, shared by its keys and addresses; no redirects, no cookies."""
    return httpx2.Client(
        transport=_Adapter(),
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
    )
