"""What a provider is: a row of data (`ProviderSpec`) and an object with three verbs (`Provider`).

A provider sends exactly ONE request per call and never retries: retries belong to the caller, who stores each try.
It translates its SDK's errors into ours once, by type or status, and normalises usage.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from core.contract import AgentRequest, FinishReason, TokenUsage
from core.errors import InvalidRequest, MissingApiKey
from core.interruption import Limits


class Feature(StrEnum):
    """What a provider can take; a request that uses what is missing is refused, by name."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    STOP = "stop"
    SEED = "seed"
    MAX_TOKENS = "max_tokens"
    RESPONSE_SCHEMA = "response_schema"
    REASONING_EFFORT = "reasoning_effort"
    IMAGES = "images"
    DOCUMENTS = "documents"
    BASE_URL = "base_url"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer. A stream ends with exactly one; it carries the whole text.

    Attributes:
        usage: None if the vendor reported none.
        model: The model that answered, as the vendor names it; often more exact than what was asked for.
    """

    text: str
    usage: TokenUsage | None
    finish_reason: FinishReason | None
    model: str
    provider_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the vendor's own list."""

    name: str
    label: str | None = None
    context_window_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """What is needed to ask a vendor something that is not an invocation, such as its list of models."""

    api_key: str | None = None
    base_url: str | None = None


class Provider(Protocol):
    """One vendor. Instances are shared by threads and live as long as the process."""

    def stream(self, request: AgentRequest, limits: Limits) -> Iterator[Delta | Completion]:
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
        """The vendor's models for this key, sorted by name; errors as in `stream`."""
        ...


ModelFeatures = Callable[[str], frozenset[Feature]]


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider as data: all that forms, filters and checks need, without importing its SDK.

    Attributes:
        name: As in the contract, upper case.
        label: As on screen.
        module: Imported on first use; must define `create() -> Provider`.
        features: What the provider can take.
        api_key_variable: The vendor SDK's own environment variable; None if the provider takes no key.
        base_url_variable: Likewise for the endpoint.
        default_model: What a new agent starts with.
        color: Its colour in every chart, as `#rrggbb`.
        offline: Makes no request at all; labelled so wherever it is shown.
        description: One sentence for a person who chooses.
    """

    name: str
    label: str
    module: str
    features: frozenset[Feature]
    default_model: str
    color: str
    description: str
    api_key_variable: str | None = None
    base_url_variable: str | None = None
    offline: bool = False
    price_provider: str | None = None
    key_help: str = ""
    models: tuple[ModelInfo, ...] = field(default=())

    @property
    def needs_api_key(self) -> bool:
        """Whether a request without a key is refused before it is sent."""
        return self.api_key_variable is not None


def require_features(spec: ProviderSpec, request: AgentRequest) -> None:
    """Refuses a request that uses what the provider cannot take.

    Raises:
        InvalidRequest: Naming the parameter and the provider.
    """
    used: dict[Feature, bool] = {
        Feature.TEMPERATURE: request.temperature is not None,
        Feature.TOP_P: request.top_p is not None,
        Feature.STOP: bool(request.stop),
        Feature.SEED: request.seed is not None,
        Feature.MAX_TOKENS: request.max_tokens is not None,
        Feature.RESPONSE_SCHEMA: request.response_schema is not None,
        Feature.REASONING_EFFORT: request.reasoning_effort is not None,
        Feature.IMAGES: any(a.media_type.startswith("image/") for a in request.attachments or ()),
        Feature.DOCUMENTS: any(a.media_type == "application/pdf" for a in request.attachments or ()),
        Feature.BASE_URL: request.base_url is not None,
    }
    missing = [feature.value for feature, is_used in used.items() if is_used and feature not in spec.features]
    if missing:
        raise InvalidRequest(f"{spec.name} does not take {', '.join(missing)}. Leave it out, or choose another provider.")


def resolve_api_key(spec: ProviderSpec, request: AgentRequest, environment: Mapping[str, str] | None = None) -> str | None:
    """The key for this request: its own, else the named variable's, else the vendor SDK's own variable.

    Raises:
        MissingApiKey: The provider needs one and there is none.
    """
    variables = os.environ if environment is None else environment
    if request.api_key is not None and request.api_key.get_secret_value():
        return request.api_key.get_secret_value()
    if request.api_key_ref is not None and request.api_key_ref.startswith("env:"):
        name = request.api_key_ref.removeprefix("env:")
        if value := variables.get(name):
            return value
        raise MissingApiKey(
            f"API key required for {spec.name}: the environment variable {name} named by api_key_ref is not set.", sent=False
        )
    if spec.api_key_variable is None:
        return None
    if value := variables.get(spec.api_key_variable):
        return value
    raise MissingApiKey(
        f"API key required for {spec.name}. Add one under Settings > Credentials, or set {spec.api_key_variable}. "
        "The DEMO provider works without a key.",
        sent=False,
    )
