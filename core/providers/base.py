"""What a provider is: a row of data (`ProviderSpec`) and an object with three verbs (`Provider`).

A provider sends exactly ONE request per call and never retries: retries belong to the caller, who stores each
try. It translates its SDK's errors into ours once, by type or status, and normalises usage.
"""

import os
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from types import MappingProxyType
from typing import Final, Protocol, Self, get_args
from urllib.parse import urlsplit

from core.contract import AgentRequest, DocumentType, FinishReason, ImageType, ReasoningEffort, TokenUsage
from core.errors import InvalidRequest, InvocationError, MissingApiKey
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRule:
    """What some models of a provider take differently from the provider's row.

    Attributes:
        pattern: Matched against the whole model name, without regard to case.
        without: What these models cannot take although the provider can.
        without_while_reasoning: What they cannot take while they reason: they need `reasoning_effort` "none".
        reasons_unasked: Whether they reason where the request says nothing of it; if not, an unset
            `reasoning_effort` is as good as "none".
        names: The vendor's name of a parameter where these models have another one than `Feature` says.
        efforts: The values of `reasoning_effort` that these models know; None leaves it to the vendor.
        own_endpoint_only: Does not hold where requests go to another server
            (`ProviderSpec.base_url_in_force`), which gives its own models any name.
    """

    pattern: str
    without: frozenset[Feature] = frozenset()
    without_while_reasoning: frozenset[Feature] = frozenset()
    reasons_unasked: bool = True
    names: Mapping[Feature, str] = field(default_factory=lambda: MappingProxyType({}))
    efforts: tuple[ReasoningEffort, ...] | None = None
    own_endpoint_only: bool = False

    def reasons(self, reasoning_effort: ReasoningEffort | None) -> bool:
        """Whether the models reason on a request with this effort."""
        return self.reasons_unasked if reasoning_effort is None else reasoning_effort != "none"


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider as data: all that forms, filters and checks need, without importing its SDK.

    Attributes:
        name: As in the contract, upper case.
        label: As on screen.
        module: Imported on first use; must define `create() -> Provider`.
        features: What the provider can take; what one of its models can take is `features_of`.
        api_key_variable: The vendor SDK's own environment variable; None if the provider takes no key.
        api_key_variable_first: Another one that the SDK reads, and prefers where both are set.
        base_url_variable: Likewise for the endpoint.
        own_base_url: The vendor's own endpoint, or where the SDK asks when told nothing; None if the provider
            has no one address.
        api_key_optional: Takes a key, and works without: only some of its servers want one.
        bare_host_port: Set where an address may also be a mere host, or host and port: the port that is meant
            where none is given. An address that listens everywhere (0.0.0.0) then means this machine.
        self_hosted: Its servers are the operator's own, so that tokens cost nothing where that is plain to see
            (`is_own_network`).
        cloud_host: The vendor's own host: what is below it gets the environment's key over https, and is nobody's own
            server, whatever its address says beside it (a version, a region).
        cloud_models: Nor for models of such names (a pattern), which a server of one's own asks the vendor's for.
        default_model: What a new agent starts with.
        default_model_variable: The environment variable that names another one for this installation.
        color: Its colour in every chart, as `#rrggbb`.
        offline: Makes no request at all; labelled so wherever it is shown.
        description: One sentence for a person who chooses.
        model_rules: Where its models differ; the first rule that matches a name holds.
        not_for_chat: Matches the names in the vendor's and the catalogue's lists that cannot be asked a prompt here;
            `may_answer` says it of a name.
        unreadable: The media types of the contract's attachments that it cannot read although it takes others.
        sdk: The vendor SDK's import name, so that a server can import it before the first run has to wait for it.
    """

    name: str
    label: str
    module: str
    features: frozenset[Feature]
    default_model: str
    color: str
    description: str
    api_key_variable: str | None = None
    api_key_variable_first: str | None = None
    base_url_variable: str | None = None
    own_base_url: str | None = None
    api_key_optional: bool = False
    bare_host_port: int | None = None
    self_hosted: bool = False
    cloud_host: str | None = None
    cloud_models: str | None = None
    offline: bool = False
    price_provider: str | None = None
    key_help: str = ""
    models: tuple[ModelInfo, ...] = field(default=())
    model_rules: tuple[ModelRule, ...] = ()
    not_for_chat: str | None = None
    unreadable: frozenset[str] = frozenset()
    sdk: str | None = None
    default_model_variable: str | None = None

    def model_of_the_environment(self, environment: Mapping[str, str] | None = None) -> str | None:
        """The model that this installation asks where nobody names one; None if the environment names none.

        Args:
            environment: Instead of `os.environ`.
        """
        variables = os.environ if environment is None else environment
        return variables.get(self.default_model_variable or "", "").strip() or None

    @property
    def first_model(self) -> str:
        """What a new agent starts with here."""
        return self.model_of_the_environment() or self.default_model

    @property
    def needs_api_key(self) -> bool:
        """Whether a request without a key is refused before it is sent."""
        return self.takes_api_key and not self.api_key_optional

    @property
    def takes_api_key(self) -> bool:
        """Whether a key can be given, stored and sent."""
        return self.api_key_variable is not None

    def is_cloud(self, address: str | None) -> bool:
        """Whether the address is on the vendor's own host (`cloud_host`)."""
        if self.cloud_host is None or not address:
            return False
        try:
            host = (urlsplit(address).hostname or "").lower()
        except ValueError:
            return False
        return host == self.cloud_host or host.endswith(f".{self.cloud_host}")

    def is_self_hosted(self, *models: str, base_url: str | None = None) -> bool:
        """Whether a request is plainly worked on by a machine of the operator's own, as far as names tell.

        Anybody can offer such a server on the internet, and bill for it.

        Args:
            models: The model's names, in the request and in the answer.
            base_url: The server that is asked, as `base_url_in_force` gives it.
        """
        if not self.self_hosted or not (base_url is None or is_own_network(base_url)):
            return False
        pattern = self.cloud_models
        return pattern is None or not any(_compiled(pattern).fullmatch(model) for model in models)

    @property
    def api_key_variables(self) -> tuple[str, ...]:
        """The vendor SDK's own environment variables for the key; the first that is set holds."""
        return tuple(name for name in (self.api_key_variable_first, self.api_key_variable) if name)

    def key_variable_in_force(self, environment: Mapping[str, str] | None = None) -> str | None:
        """The one of `api_key_variables` whose key is sent; None if none is set.

        Args:
            environment: Instead of `os.environ`.
        """
        variables = os.environ if environment is None else environment
        return next((name for name in self.api_key_variables if variables.get(name, "").strip()), None)

    def base_url_in_force(
        self, base_url: str | None = None, environment: Mapping[str, str] | None = None
    ) -> str | None:
        """The server that a request goes to, if it is not the vendor's own; None if it is.

        The one place that decides it. First comes the request's (which is the configuration's, else the
        credential's that serves: `RunSpec`), then the one that the SDK's own variable names, which `.env` may
        have set.

        Args:
            base_url: As in the request.
            environment: Instead of `os.environ`.
        """
        address = (base_url or "").strip()
        if not address and self.base_url_variable is not None:
            variables = os.environ if environment is None else environment
            address = variables.get(self.base_url_variable, "").strip()
        address = address.rstrip("/")
        if address and self.bare_host_port is not None:
            address = _with_scheme(address, port=self.bare_host_port)
        own = (self.own_base_url or "").rstrip("/")
        return address if address and address.lower() != own.lower() else None

    def rule_for(self, model_name: str, *, base_url: str | None = None) -> ModelRule | None:
        """The rule that holds for this model, if it differs from the provider's row.

        Args:
            model_name: As in the request.
            base_url: As in the request; what the environment says counts without being told.
        """
        elsewhere = self.base_url_in_force(base_url) is not None
        for rule in self.model_rules:
            if rule.own_endpoint_only and elsewhere:
                continue
            if _compiled(rule.pattern).fullmatch(model_name):
                return rule
        return None

    def may_answer(self, model_name: str) -> bool:
        """Whether a model of the vendor's own may be asked a prompt, as far as its name tells: what a list offers.

        Another server gives its own models any name.
        """
        return self.not_for_chat is None or _compiled(self.not_for_chat).fullmatch(model_name) is None

    def features_of(
        self, model_name: str, *, reasoning_effort: ReasoningEffort | None = None, base_url: str | None = None
    ) -> frozenset[Feature]:
        """What this model takes, as far as it is known here: what a form should offer.

        The vendor has the last word: it may refuse more, and its refusal then names the parameter.
        """
        rule = self.rule_for(model_name, base_url=base_url)
        if rule is None:
            return self.features
        without = rule.without
        if rule.reasons(reasoning_effort):
            without |= rule.without_while_reasoning
        return self.features - without

    def efforts_of(self, model_name: str, *, base_url: str | None = None) -> tuple[ReasoningEffort, ...]:
        """The values of `reasoning_effort` that this model knows, as far as it is known here; the least first."""
        rule = self.rule_for(model_name, base_url=base_url)
        return get_args(ReasoningEffort) if rule is None or rule.efforts is None else rule.efforts

    def media_types_of(self, model_name: str, *, base_url: str | None = None) -> frozenset[str]:
        """The media types of the contract's attachments that this model reads, as far as it is known here."""
        takes = self.features_of(model_name, base_url=base_url)
        images = get_args(ImageType) if Feature.IMAGES in takes else ()
        documents = get_args(DocumentType) if Feature.DOCUMENTS in takes else ()
        return frozenset((*images, *documents)) - self.unreadable


_EVERYWHERE: Final = re.compile(r"(https?://)(?:0\.0\.0\.0|\[::\])(?=[:/?]|$)", re.IGNORECASE)


def _with_scheme(address: str, *, port: int) -> str:
    """An address of which only the host may have been given, or only the port (":11434"), as a whole one."""
    if "://" not in address:
        host, slash, path = address.partition("/")
        host = f"127.0.0.1{host}" if host.startswith(":") else host
        has_port = re.search(r":\d+$", host) is not None and (host.count(":") == 1 or "]" in host)
        address = f"http://{host}{'' if has_port else f':{port}'}{slash}{path}"
    return _EVERYWHERE.sub(r"\g<1>127.0.0.1", address)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def features_used(request: AgentRequest) -> frozenset[Feature]:
    """What the request asks for beyond text."""
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
    return frozenset(feature for feature, is_used in used.items() if is_used)


def require_features(spec: ProviderSpec, request: AgentRequest) -> None:
    """Refuses a request that uses what the provider or the model cannot take.

    Raises:
        InvalidRequest: Naming each parameter, and the provider or the model.
    """
    used = features_used(request)
    if not used:
        return
    if missing := used - spec.features:
        raise InvalidRequest(
            f"{spec.name} does not take {_names(missing)}. Leave it out, or choose another provider."
        )
    types = {attachment.media_type for attachment in request.attachments or ()}
    if unreadable := sorted(types & spec.unreadable):
        raise InvalidRequest(
            f"{spec.name} does not read {', '.join(unreadable)}. Convert the attachment, or choose another "
            "provider."
        )
    rule = spec.rule_for(request.model_name, base_url=request.base_url)
    if rule is None:
        return
    if missing := used & rule.without:
        raise InvalidRequest(
            f"The model {request.model_name} does not take {_names(missing)}. "
            "Leave it out, or choose another model."
        )
    if rule.reasons(request.reasoning_effort) and (missing := used & rule.without_while_reasoning):
        raise InvalidRequest(
            f"The model {request.model_name} takes {_names(missing)} only with reasoning_effort 'none'. "
            "Leave it out, or switch reasoning off."
        )
    effort = request.reasoning_effort
    if effort is not None and rule.efforts is not None and effort not in rule.efforts:
        raise InvalidRequest(
            f"The model {request.model_name} does not take reasoning_effort {effort!r}. "
            f"Use one of {', '.join(rule.efforts)}, leave it out, or choose another model."
        )


def _names(features: frozenset[Feature]) -> str:
    return ", ".join(sorted(feature.value for feature in features))


def resolve_api_key(
    spec: ProviderSpec, connection: Connection, environment: Mapping[str, str] | None = None
) -> str | None:
    """The key to send: the connection's own, else the named variable's, else the vendor SDK's own variable.

    The vendor's own variable holds a key of the vendor (or of the endpoint that the environment names), so it
    is sent there or to this machine, but to no other server that a request names: whoever may edit an agent
    could otherwise read the key by pointing `base_url` at a server of theirs. A request with a `base_url` and
    no key is sent without; one that names such a variable in `api_key_ref` is refused.

    Raises:
        MissingApiKey: The provider needs one and there is none.
        InvalidRequest: The key has a character that no header can carry.
    """
    variables = os.environ if environment is None else environment
    if connection.api_key is not None and (key := connection.api_key.strip()):
        return _sendable(key)
    if connection.api_key_ref is not None:
        return _sendable(_referenced(spec, connection, connection.api_key_ref, variables))
    if spec.api_key_variable is None:
        return None
    variable = spec.key_variable_in_force(variables)
    if variable is not None and may_have_own_key(spec, connection.base_url, variables):
        return _sendable(variables[variable].strip())
    elsewhere = spec.base_url_in_force(connection.base_url, variables)
    if spec.api_key_optional or (connection.base_url is not None and elsewhere is not None):
        return None
    raise MissingApiKey(
        f"API key required for {spec.name}. Add one under Settings > Credentials, or set "
        f"{spec.api_key_variable}. The DEMO provider works without a key."
    )


def may_have_own_key(spec: ProviderSpec, base_url: str | None, variables: Mapping[str, str]) -> bool:
    """Whether the key in the vendor SDK's own variable may be sent to where a request with this address goes."""
    if base_url is None or is_this_machine(base_url):
        return True
    named = spec.base_url_in_force(None, variables)
    if (
        spec.is_cloud(base_url)
        and base_url.lower().startswith("https://")
        and (named is None or spec.self_hosted)
    ):
        return True
    # The environment's key is for the server that the environment names, which is the vendor's if it names none.
    return spec.base_url_in_force(base_url, variables) == named


_NOT_A_PROVIDERS_KEY: Final = re.compile(r"AWS_.*|AGENT_LAUNCHER_.*|DATABASE_URL|PG[A-Z]+", re.IGNORECASE)
_vendors_keys: Final = {
    *("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    *("GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_API_KEY"),
}
"""The vendors' own variables, whether or not their provider is registered here; `know_key_variables` adds others."""


def know_key_variables(spec: ProviderSpec) -> None:
    """Has the key variables of a provider that a package adds kept from other servers, as those named here are."""
    _vendors_keys.update(spec.api_key_variables)


def _referenced(
    spec: ProviderSpec, connection: Connection, reference: str, variables: Mapping[str, str]
) -> str:
    name = reference.removeprefix("env:")
    if name == reference:
        raise InvalidRequest(
            "api_key_ref names an AWS secret, which this backend does not read. Use env:NAME."
        )
    if name not in spec.api_key_variables and _NOT_A_PROVIDERS_KEY.fullmatch(name):
        # Otherwise a request could have this installation's own secrets sent to any server.
        raise InvalidRequest(
            f"api_key_ref may not name {name}: that is no provider's key. Put the key in another variable."
        )
    base_url = connection.base_url
    if name in spec.api_key_variables:
        allowed = may_have_own_key(spec, base_url, variables)
    else:
        # Another vendor's key goes neither to this one nor to a server that the request names.
        allowed = name not in _vendors_keys
    if not allowed:
        raise InvalidRequest(
            f"api_key_ref names {name}, a vendor's own key, which is sent to no other server. Put the key that "
            "is meant for this server in another variable."
        )
    if key := variables.get(name, "").strip():
        return key
    raise MissingApiKey(
        f"API key required for {spec.name}: the environment variable {name} named by api_key_ref is not set."
    )


def _sendable(key: str) -> str:
    if key.isascii() and key.isprintable() and " " not in key:
        return key
    raise InvalidRequest(
        "The API key has a character that cannot be sent (a blank, a line break, a letter that is not "
        "ASCII). Copy the key again."
    )


def is_this_machine(url: str) -> bool:
    """Whether the address leads to a program on this machine."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_OWN_NETWORKS: Final = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""This machine, private networks (RFC 1918, RFC 4193) and what is on the same cable."""

_OWN_NAMES: Final = re.compile(
    r"(?!(?:\d+|0x[\da-f]*)$)[^.:]+"  # a name without a dot is looked up here; a number is an address of the internet
    r"|.+\.(?:localhost|local|lan|internal|home\.arpa|svc)"
)


def is_own_network(url: str) -> bool:
    """Whether the address plainly leads to this machine or to one of the same network, which nobody else can offer.

    By the name alone: nothing is looked up.
    """
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return _OWN_NAMES.fullmatch(host) is not None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _OWN_NETWORKS)
