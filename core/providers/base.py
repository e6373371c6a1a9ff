"""What a provider does: an object with three verbs (`Provider`), what it is given and what it gives back.

A provider sends exactly ONE request per call and never retries: retries belong to the caller, who stores each
try. It translates its SDK's errors into ours once, by type or status, and normalises usage. What it is, as a row
of data, is in `core.providers.spec`.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from core.contract import AgentRequest, FinishReason, TokenUsage
from core.errors import InvocationError
from core.interruption import Limits


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text, in order."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCredentials:
    """What stands in a key's place, as far as it can be told without asking a server.

    Attributes:
        found: Whether there is anything.
        detail: Where, or where not; safe to show.
        remedy: How to get some; "" where they were found.
    """

    found: bool
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The vendor's last word. A stream ends with exactly one; it carries the whole text.

    Attributes:
        usage: None if the vendor reported none.
        model: The model that answered, as the vendor names it; often more exact than what was asked for.
        error: Set when the vendor ended the answer in a way that makes it a failure (its content filter cut
            it); text and usage are then what was received, and billed, before.
        service_tier: At which tier the vendor says that it worked, in its own word ("priority", "flex"); None
            if it does not say. It decides the price.
    """

    text: str
    usage: TokenUsage | None
    finish_reason: FinishReason | None
    model: str
    provider_request_id: str | None = None
    error: InvocationError | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the vendor's own list."""

    name: str
    label: str | None = None
    context_window_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a vendor is asked, and with which key.

    Attributes:
        api_key: The key itself.
        api_key_ref: Or where it is found, as in the contract.
        base_url: The endpoint, if it is not the vendor's own.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    api_key_ref: str | None = None

    @classmethod
    def of(cls, request: AgentRequest) -> Self:
        """The request's own."""
        key = request.api_key.get_secret_value() if request.api_key is not None else None
        return cls(api_key=key, base_url=request.base_url, api_key_ref=request.api_key_ref)


class Provider(Protocol):
    """One vendor. Instances are shared by threads and live as long as the process."""

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """Sends one request and yields the text as it comes, then the completion.

        Raises:
            InvocationError: Whatever went wrong; a stream that ends without the vendor's own end mark is
                `BadProviderResponse`, never a completion.
        """
        ...

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """Sends one request and waits for the whole answer; errors as in `stream`."""
        ...

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The vendor's models for this key, in the order to offer them; errors as in `stream`."""
        ...
