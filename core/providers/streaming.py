"""An answer that was asked for as a stream."""

from collections.abc import Callable, Generator, Mapping
from typing import Protocol, TypeVar

from core.providers.base import Completion, Delta


class _Response(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...
    def close(self) -> None: ...


Response = TypeVar("Response", bound=_Response)


def stream_of(
    response: Response,
    *,
    events: Callable[[Response], Generator[Delta | Completion]],
    whole: Callable[[Response], Completion],
) -> Generator[Delta | Completion]:
    """The answer as it comes; the response is closed at the end, however it ends.

    Args:
        response: Of a success status, its body unread.
        events: Follows a stream.
        whole: Reads a whole answer: a server that cannot stream sends one.
    """
    try:
        if response.headers.get("content-type", "").startswith("application/json"):
            completion = whole(response)
            if completion.text:
                yield Delta(completion.text)
            yield completion
        else:
            yield from events(response)
    finally:
        response.close()
