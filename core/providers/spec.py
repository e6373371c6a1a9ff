"""What a provider is: a row of data (`ProviderSpec`), with rules for the models that differ from it (`ModelRule`).

All that forms, filters and checks need is here, without importing an SDK.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final, get_args
from urllib.parse import urlsplit

from core.contract import DocumentType, ImageType, ReasoningEffort
from core.providers.addresses import is_own_network, with_scheme
from core.providers.base import ModelInfo

_MOST_REMEMBERED: Final = 512


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRule:
    """What some models of a provider take differently from the provider's row.

    Attributes:
        pattern: Matched against the whole model name (`ProviderSpec.bare_name`), without regard to case.
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
        other_credentials: Where something else stands in the key's place: the module whose `look()`, which asks no
            server, gives the `OtherCredentials`; imported when asked for.
        unknown_model_hint: A sentence for who is told that the server knows no such model or address (404).
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
        model_prefix: What a model's name may begin with in a request and need not, and never does in lists of names
            and prices.
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
    other_credentials: str | None = None
    bare_host_port: int | None = None
    self_hosted: bool = False
    cloud_host: str | None = None
    cloud_models: str | None = None
    offline: bool = False
    price_provider: str | None = None
    key_help: str = ""
    unknown_model_hint: str = ""
    models: tuple[ModelInfo, ...] = field(default=())
    model_rules: tuple[ModelRule, ...] = ()
    model_prefix: str | None = None
    not_for_chat: str | None = None
    unreadable: frozenset[str] = frozenset()
    sdk: str | None = None
    default_model_variable: str | None = None
    _rules_found: dict[tuple[str, bool], ModelRule | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

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
            address = with_scheme(address, port=self.bare_host_port)
        own = (self.own_base_url or "").rstrip("/")
        return address if address and address.lower() != own.lower() else None

    def bare_name(self, model_name: str) -> str:
        """The model's name as rules, lists and prices have it: without the `model_prefix`."""
        return model_name.removeprefix(self.model_prefix) if self.model_prefix else model_name

    def rule_for(self, model_name: str, *, base_url: str | None = None) -> ModelRule | None:
        """The rule that holds for this model, if it differs from the provider's row.

        Args:
            model_name: As in the request.
            base_url: As in the request; what the environment says counts without being told.
        """
        elsewhere = self.base_url_in_force(base_url) is not None
        asked = (self.bare_name(model_name), elsewhere)
        try:
            return self._rules_found[asked]
        except KeyError:
            found = self._find_rule(*asked)
        if len(self._rules_found) >= _MOST_REMEMBERED:
            self._rules_found.clear()
        self._rules_found[asked] = found
        return found

    def _find_rule(self, name: str, elsewhere: bool) -> ModelRule | None:
        for rule in self.model_rules:
            if rule.own_endpoint_only and elsewhere:
                continue
            if _compiled(rule.pattern).fullmatch(name):
                return rule
        return None

    def may_answer(self, model_name: str) -> bool:
        """Whether a model of the vendor's own may be asked a prompt, as far as its name tells: what a list offers.

        Another server gives its own models any name.
        """
        if self.not_for_chat is None:
            return True
        return _compiled(self.not_for_chat).fullmatch(self.bare_name(model_name)) is None

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


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
