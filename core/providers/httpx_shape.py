"""Our HTTP (`core.providers.http`) under httpx and under httpx2: what the two libraries, alike but apart, share."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from core.errors import BadProviderResponse
from core.providers.connections import Origin
from core.providers.http import Reply, Transport


class _Address(Protocol):
    @property
    def scheme(self) -> str: ...
    @property
    def raw_host(self) -> bytes: ...
    @property
    def port(self) -> int | None: ...
    @property
    def raw_path(self) -> bytes: ...


class _Headers(Protocol):
    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...


class _Request(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> _Address: ...
    @property
    def headers(self) -> _Headers: ...
    def read(self) -> bytes: ...


def forward(transport: Transport, request: _Request) -> Reply:
    """Sends either library's request; errors as in `Transport.send`."""
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    origin = Origin(url.scheme, url.raw_host.decode("ascii"), port)
    return transport.send(request.method, origin, url.raw_path, request.headers.raw, request.read())


class ReplyBody:
    """A reply's body, as either library's byte stream has it."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply)

    def close(self) -> None:
        """See `Reply.close`."""
        self._reply.close()


@contextmanager
def decoding(status: int, undecodable: type[Exception]) -> Generator[None]:
    """Around reading a body that may be compressed: we ask for none that is, and a server may send it all the same.

    The body of an error status ends quietly, as where it was cut (`Reply`): what was received of it says enough.

    Args:
        status: Of the answer.
        undecodable: What the library raises where a body is not compressed as its head says.

    Raises:
        BadProviderResponse: It is not, and the status is no error.
    """
    try:
        yield
    except undecodable as exc:
        if status < 400:
            raise BadProviderResponse(
                "The answer could not be decoded. Check the base URL and any proxy on the way.",
                detail=repr(exc),
                provider_status=status,
            ) from exc
