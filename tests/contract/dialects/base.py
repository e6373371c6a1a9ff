"""What the suite must be able to say in a vendor's words, and to read from them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from core.contract import TokenUsage
from tests.support.vendor_server import ReceivedRequest, Reply


class Failure(StrEnum):
    """A vendor's documented ways to refuse or fail, independent of its words."""

    BAD_PARAMETER = "bad-parameter"
    CONTEXT_LENGTH = "context-length"
    PROMPT_FILTERED = "prompt-filtered"
    BAD_KEY = "bad-key"
    FORBIDDEN = "forbidden"
    UNKNOWN_MODEL = "unknown-model"
    TOO_LARGE = "too-large"
    RATE_LIMIT = "rate-limit"
    QUOTA = "quota"
    SERVER_ERROR = "server-error"
    OVERLOADED = "overloaded"


REFUSED_PARAMETER = "top_p"
"""What `Failure.BAD_PARAMETER` complains about."""


@dataclass(frozen=True)
class Answer:
    """What a scripted vendor answers with.

    Attributes:
        pieces: The text as a stream brings it.
        usage: None for an answer that says nothing of tokens.
        finish: The contract's word for it; None for an answer without one.
        refused: The model refused: the text is the refusal.
    """

    pieces: Sequence[str] = ("Paris ", "is the ", "capital of France.")
    usage: TokenUsage | None = field(
        default_factory=lambda: TokenUsage(
            input_tokens=31, output_tokens=17, total_tokens=48, cached_input_tokens=16, reasoning_tokens=5
        )
    )
    finish: str | None = "stop"
    refused: bool = False
    model: str = "vendor-model-2026-11-01"
    request_id: str = "req_0123456789"

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Seen:
    """A request as the vendor reads it.

    Attributes:
        turns: (role, text), oldest first, without the system prompt.
        files: (media type, base64) of the last turn.
        parameters: The contract's names of what else was set, with the vendor's value.
        key: The key, None if none was sent.
    """

    model: str
    system: str | None
    turns: list[tuple[str, str]]
    files: list[tuple[str, str]]
    parameters: dict[str, Any]
    key: str | None
    streamed: bool


class Dialect(ABC):
    """One vendor's wire."""

    provider: str
    model: str
    """A model that takes every feature of the provider, save what `reasoning_model` is for."""
    reasoning_model: str | None
    refused_by_reasoning_model: frozenset[str]
    can_refuse: bool = True
    """The vendor marks a refusal as such; one that does not answers with a text like any other."""
    streams_end_with_the_reason: bool = False
    """The finish reason is a stream's end mark: there is no stream that is complete without one."""
    always_sent: Mapping[str, Any] = MappingProxyType({})
    """What the vendor requires and is sent although the request does not set it."""
    one_of: tuple[str, ...] = ()
    """Parameters of which the vendor takes only one in a request."""
    names_requests: bool = True
    """The vendor gives each request an id."""
    can_filter: bool = True
    """The vendor has a filter that cuts answers, and says so."""
    names_file_types: bool = True
    """The wire says what an attachment is; `Seen.files` has "" in its place if not."""
    failures: frozenset[Failure] = frozenset(Failure)
    """Those for which the vendor has a sign of its own."""
    failures_in_a_stream: frozenset[Failure] = frozenset(
        {Failure.SERVER_ERROR, Failure.RATE_LIMIT, Failure.BAD_PARAMETER}
    )
    """Those that it can tell apart in the middle of a stream."""

    def told(self, answer: Answer) -> Answer:
        """What the vendor's wire can say of this answer; all of it, if not less."""
        return answer

    @abstractmethod
    def connection(self, url: str) -> dict[str, Any]:
        """The request fields that lead to a server of ours at `url`."""

    @abstractmethod
    def whole(self, answer: Answer) -> Reply:
        """An answer in one piece."""

    @abstractmethod
    def events(self, answer: Answer) -> list[bytes]:
        """A streamed answer as its pieces stand on the wire: one text piece each, then what ends it."""

    @abstractmethod
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        """A stream of such pieces, ended properly by HTTP whatever the vendor's own end mark says."""

    @abstractmethod
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        """An error status with the vendor's body; `message` in place of the vendor's usual words."""

    @abstractmethod
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        """As `failure`, inside a stream that began well."""

    @abstractmethod
    def models(self, names: Sequence[str]) -> Reply:
        """The list of models."""

    @abstractmethod
    def seen(self, request: ReceivedRequest) -> Seen:
        """Reads a request."""
