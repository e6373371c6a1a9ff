"""What a prompt would cost on every model that is known: for choosing a model, before any run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from core.contract import AgentRequest, utc_now
from core.errors import InvalidInput, InvalidRequest
from core.loggers import get_logger
from core.pricing.catalogue import ModelPrice, is_doubtful_server
from core.providers import registry
from core.providers.spec import ProviderSpec
from core.services.agent_config import AgentConfig
from core.services.agents import AgentService, config_of
from core.services.credentials import CredentialService
from core.services.model_cost import ModelCost, Standing, against, cost_of_model, folded, ranked
from core.services.preferences import PreferenceService
from core.services.prices import PriceService, texts_of
from core.services.principal import Principal
from core.services.templating import render
from core.services.workload import DAYS_PER_MONTH, Workload, WorkloadAsked, resolve
from core.storage.records import AgentRecord, RunFilter, RunStatus, UsageFigures
from core.storage.store import Store

log = get_logger("agent_launcher.cost_guidance")

_REMEDY: Final = "a price can be added under Settings > Prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidanceFilter:
    """Which models are compared.

    Attributes:
        providers: Their names; empty for all.
        configured_only: Only what can be asked now: no key needed, or one stored or in the environment.
        deprecated: Whether models whose end the vendor has announced are among them.
    """

    providers: tuple[str, ...] = ()
    configured_only: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """The comparison.

    Attributes:
        models: What fits, the cheapest first; then what is too small, what has no known price, and the offline
            demo. An agent's own model is among them only if it passes the filter.
        baseline: The agent's own model; None if none was chosen.
        agent: That agent.
        deprecated: How many models were left out because their end is announced.
    """

    workload: Workload
    models: Sequence[ModelCost]
    baseline: ModelCost | None = None
    agent: AgentRecord | None = None
    deprecated: int = 0

    def count(self, standing: Standing) -> int:
        """How many of the models have it."""
        return sum(model.standing is standing for model in self.models)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A model at a server, as a request would name them; equal if requests go to the same one."""

    provider: str
    model: str
    server: str | None


class CostGuidanceService:
    """See the module. Every function raises StoreError if the database fails."""

    def __init__(
        self,
        store: Store,
        *,
        agents: AgentService,
        credentials: CredentialService,
        prices: PriceService,
        preferences: PreferenceService,
    ) -> None:
        self._store = store
        self._agents = agents
        self._credentials = credentials
        self._prices = prices
        self._preferences = preferences

    def compare(
        self,
        principal: Principal,
        asked: WorkloadAsked,
        *,
        text: str = "",
        agent_id: UUID | None = None,
        only: GuidanceFilter = GuidanceFilter(),
    ) -> Guidance:
        """The price of a workload on every model that the registry, the catalogue, a price or an agent names.

        Args:
            principal: Who asks.
            asked: What is known of the workload; `core.services.workload.resolve` finds the rest.
            text: The prompt, from whose length the input is estimated; with an agent, its prompt is taken.
            agent_id: The agent with whose model all are compared.
            only: Which models.

        Raises:
            NotFound: There is no such agent.
            InvalidInput: Its configuration holds what is no longer known.
        """
        agent = self._agents.get(principal, agent_id) if agent_id else None
        config = config_of(agent.version) if agent else None
        workload = resolve(
            asked,
            texts=_texts(config) if config else (text,),
            measured=self._measured(principal, agent.id) if agent else None,
        )
        ready = self._ready(principal)
        found = [
            self._entry(principal, offer, workload, base_url=base_url, ready=ready)
            for offer, base_url in self._offers(principal, only.providers).items()
            if not offer.model.endswith(
                ("-", ".", ":")
            )  # the catalogue's entry for a family of fine-tuned ones
            if not only.configured_only or offer.provider in ready
        ]
        listed = [model for model in found if model is not None]
        left_out = [] if only.deprecated else [model for model in listed if model.deprecated]
        models = ranked(
            folded((m for m in listed if m not in left_out), preferred=self._used(principal)),
        )
        baseline = self._baseline(principal, config, workload, ready) if config else None
        return Guidance(
            workload=workload,
            models=against(models, baseline) if baseline else models,
            baseline=baseline,
            agent=agent,
            deprecated=len(left_out),
        )

    def any_deprecated(self, principal: Principal) -> bool:
        """Whether the vendor of any known model has announced its end."""
        return any(
            known.deprecated
            for provider in registry.specs()
            for known in self._prices.known_models(principal, provider)
        )

    # Which models

    def _offers(self, principal: Principal, providers: Sequence[str]) -> Mapping[_Offer, str | None]:
        """Every model at every server, with the base URL that leads there."""
        specs = registry.specs()
        wanted = [spec for spec in specs.values() if not providers or spec.name in providers]
        found: dict[_Offer, str | None] = {}

        def add(spec: ProviderSpec, model: str, base_url: str | None) -> None:
            found.setdefault(_Offer(spec.name, model, spec.base_url_in_force(base_url)), base_url)

        preferences = self._preferences.get(principal)
        servers: dict[str, list[str | None]] = {}
        for credential in self._credentials.list(principal):
            servers.setdefault(credential.provider, []).append(credential.base_url)
        for spec in wanted:
            for base_url in dict.fromkeys([None, *servers.get(spec.name, [])]):
                for known in self._prices.known_models(principal, spec.name, base_url=base_url):
                    add(spec, known.model, base_url)
            add(spec, spec.first_model, None)
            if preferences.provider == spec.name:
                add(spec, preferences.model_name, None)
        for config in self._configs(principal):
            spec = specs.get(config.provider)
            if spec is not None and spec in wanted:
                add(spec, config.model_name, self._credentials.server_of(principal, config))
        return found

    def _used(self, principal: Principal) -> frozenset[tuple[str, str]]:
        preferences = self._preferences.get(principal)
        return frozenset(
            {(preferences.provider, preferences.model_name)}
            | {(spec.name, spec.first_model) for spec in registry.specs().values()}
            | {(config.provider, config.model_name) for config in self._configs(principal)}
        )

    def _configs(self, principal: Principal) -> list[AgentConfig]:
        found: list[AgentConfig] = []
        for agent in self._agents.list(principal):
            try:
                found.append(config_of(agent.version))
            except InvalidInput as exc:
                log.info("an agent is left out of the comparison: %s agent=%s", exc, agent.id)
        return found

    def _ready(self, principal: Principal) -> frozenset[str]:
        """The providers that can be asked: without a key, with a stored one, or with the environment's."""
        stored = {credential.provider for credential in self._credentials.list(principal)}
        return frozenset(
            spec.name
            for spec in registry.specs().values()
            if not spec.needs_api_key or spec.name in stored or spec.key_variable_in_force() is not None
        )

    # What they cost

    def _entry(
        self,
        principal: Principal,
        offer: _Offer,
        workload: Workload,
        *,
        base_url: str | None,
        ready: frozenset[str],
    ) -> ModelCost | None:
        spec = registry.get_spec(offer.provider)
        if _cannot_answer(spec, offer):
            return None
        price = self._prices.find_model(principal, offer.provider, offer.model, base_url=base_url)
        if price and price.input_usd_per_mtok is not None and price.output_usd_per_mtok is None:
            return None  # has a price and none for output: it writes no text, an embedding say
        return self._priced(principal, spec, offer.model, price, workload, base_url=base_url, ready=ready)

    def _baseline(
        self, principal: Principal, config: AgentConfig, workload: Workload, ready: frozenset[str]
    ) -> ModelCost | None:
        spec = registry.specs().get(config.provider)
        if spec is None:
            return None
        base_url = self._credentials.server_of(principal, config)
        price = self._prices.find_model(principal, spec.name, config.model_name, base_url=base_url)
        return self._priced(
            principal, spec, config.model_name, price, workload, base_url=base_url, ready=ready
        )

    def _priced(
        self,
        principal: Principal,
        spec: ProviderSpec,
        model: str,
        price: ModelPrice | None,
        workload: Workload,
        *,
        base_url: str | None,
        ready: frozenset[str],
    ) -> ModelCost:
        return cost_of_model(
            spec,
            model,
            price,
            self._prices.quote(
                principal, provider=spec.name, model=model, usage=workload.usage, base_url=base_url
            ),
            needed_tokens=workload.input_tokens + workload.output_tokens,
            runs_per_month=workload.runs_per_month,
            base_url=base_url,
            configured=spec.name in ready,
            reason=_reason(spec, price, base_url),
        )

    def _measured(self, principal: Principal, agent_id: UUID) -> UsageFigures:
        until = utc_now()
        wanted = RunFilter(agent_ids=(agent_id,), statuses=(RunStatus.SUCCEEDED,))
        since = until - timedelta(days=DAYS_PER_MONTH)
        return self._store.usage.totals(principal.project_id, since, until, wanted)


def _reason(spec: ProviderSpec, price: ModelPrice | None, base_url: str | None) -> str:
    if price is not None:
        return f"Its list names no price per token; {_REMEDY}."
    if is_doubtful_server(spec.name, base_url):
        return (
            "This server is not plainly your own, so what it bills is unknown; if it is yours, add a price of 0 under "
            "Settings > Prices."
        )
    if spec.base_url_in_force(base_url) is not None:
        return f"No list has the prices of this server; {_REMEDY}."
    if spec.price_provider is None:
        return f"No list has the prices of this provider; {_REMEDY}."
    return f"The provider's list does not have this model; {_REMEDY}."


def _texts(config: AgentConfig) -> list[str]:
    """What one request of the agent sends, with its variables' own values where they have some."""
    values = config.variables or {}
    texts = (config.system_prompt, config.prompt)
    system, prompt = (_rendered(text, values) for text in texts)
    request = AgentRequest(
        provider=config.provider,
        model_name=config.model_name,
        prompt=prompt or " ",
        system_prompt=system or None,
        context=config.context,
        response_schema=config.response_schema,
    )
    return [text for text in texts_of(request) if text.strip()]


def _rendered(template: str, values: Mapping[str, str]) -> str:
    try:
        return render(template, values)
    except InvalidRequest:
        return template  # a variable without a value: its name is about as long as nothing better is known


def _cannot_answer(spec: ProviderSpec, offer: _Offer) -> bool:
    return offer.server is None and not spec.may_answer(offer.model)
