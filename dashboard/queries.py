"""Every cached read of the pages.

Roll-ups answer in milliseconds, so the caches are short: they only save the several reruns that one click
causes. Each is keyed by the project and its arguments; `backend.install` empties them all when another
application takes over. After a change that a page shows at once, call `forget_all`.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st

from core.pricing.catalogue import ModelPrice
from core.providers import registry
from core.services.agents import AgentActivity
from core.services.connections import ConnectionTest
from core.services.cost_guidance import Guidance, GuidanceFilter
from core.services.credentials import CredentialPublic, Unnamed
from core.services.lambda_usage import LambdaUsage
from core.services.model_order import in_order_of_choice
from core.services.preferences import Preferences
from core.services.usage import Overview, Period, UsageReport, span_of
from core.services.workload import WorkloadAsked
from core.storage.records import AgentRecord, AgentVersionRecord, Dimension, RunFilter, RunSummary
from dashboard.backend import application, principal
from dashboard.components.run_filters import FilterOptions

FRESH_SECONDS = 2.0
"""How old a figure may be; below what a person takes from starting a run to opening a chart."""


def forget_all() -> None:
    """Empties every cache: after a change that many readers show."""
    st.cache_data.clear()


# Preferences


def preferences() -> Preferences:
    """The project's defaults."""
    return _preferences(principal().project_id)


def zone() -> ZoneInfo:
    """The zone in which days begin and times are shown."""
    return preferences().zone


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _preferences(project_id: str) -> Preferences:
    del project_id
    return application().preferences.get(principal())


# Overview and usage


def overview(period: Period) -> Overview:
    """The overview's figures for the range that ends now."""
    return _overview(principal().project_id, period, zone().key)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=64, show_spinner=False)
def _overview(project_id: str, period: Period, zone_key: str) -> Overview:
    del project_id
    return application().usage.overview(principal(), period, zone=ZoneInfo(zone_key))


def newest_run() -> RunSummary | None:
    """The newest run of all; None if there has never been one."""
    return _newest_run(principal().project_id)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _newest_run(project_id: str) -> RunSummary | None:
    del project_id
    found = application().runs.page(principal(), RunFilter(), limit=1).runs
    return found[0] if found else None


def usage(period: Period, split: Dimension, run_filter: RunFilter) -> UsageReport:
    """The usage page's figures for the range that ends now."""
    return _usage(principal().project_id, period, split, run_filter, zone().key)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=64, show_spinner=False)
def _usage(
    project_id: str, period: Period, split: Dimension, run_filter: RunFilter, zone_key: str
) -> UsageReport:
    del project_id
    span = span_of(period, zone=ZoneInfo(zone_key))
    return application().usage.report(principal(), span, by=split, run_filter=run_filter)


def lambda_usage(period: Period, agent_ids: tuple[UUID, ...]) -> LambdaUsage:
    """AWS Lambda beside this machine for the range that ends now; of all agents, if none is named."""
    return _lambda_usage(principal().project_id, period, agent_ids, zone().key)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _lambda_usage(project_id: str, period: Period, agent_ids: tuple[UUID, ...], zone_key: str) -> LambdaUsage:
    del project_id
    span = span_of(period, zone=ZoneInfo(zone_key))
    return application().lambda_usage.report(principal(), span, RunFilter(agent_ids=agent_ids))


# Runs


def run_count(run_filter: RunFilter) -> int:
    """How many runs pass the filter; up to half a minute old, for it takes a second in a million runs."""
    return _run_count(principal().project_id, run_filter)


@st.cache_data(ttl=30.0, max_entries=64, show_spinner=False)
def _run_count(project_id: str, run_filter: RunFilter) -> int:
    del project_id
    return application().runs.count(principal(), run_filter)


def run_filter_options() -> FilterOptions:
    """What the filters of the runs offer."""
    return _run_filter_options(principal().project_id)


@st.cache_data(ttl=30.0, max_entries=32, show_spinner=False)
def _run_filter_options(project_id: str) -> FilterOptions:
    del project_id
    agents = application().agents
    found = [*agents.list(principal()), *agents.list(principal(), archived=True)]
    # Roll-ups answer this in milliseconds; distinct models of a million runs would take a second.
    span = span_of(Period.DAYS_90, zone=ZoneInfo("UTC"))
    used = application().usage.breakdown(principal(), span, by=Dimension.MODEL)
    models = sorted({point.key.partition("/")[2] for point in used})
    return FilterOptions(agents={agent.name: agent.id for agent in found}, models=models)


# Agents


def agent_activity(agents: Sequence[AgentRecord]) -> Mapping[UUID, AgentActivity]:
    """What the agents did in the last seven days."""
    return _agent_activity(principal().project_id, tuple(agent.id for agent in agents))


@st.cache_data(ttl=FRESH_SECONDS, max_entries=64, show_spinner=False)
def _agent_activity(project_id: str, agent_ids: tuple[UUID, ...]) -> dict[UUID, AgentActivity]:
    del project_id
    return application().agents.activity(principal(), agent_ids)


def vendor_models(
    provider: str, credential_id: UUID | None, base_url: str | None, *, fresh: bool = False
) -> ConnectionTest:
    """The vendor's own list of models, fetched once in ten minutes, or now. Raises what the vendor said."""
    asked = (principal().project_id, provider, credential_id, base_url)
    if fresh:
        _vendor_models.clear(*asked)
    return _vendor_models(*asked)


@st.cache_data(ttl=600.0, max_entries=64, show_spinner=False)
def _vendor_models(
    project_id: str, provider: str, credential_id: UUID | None, base_url: str | None
) -> ConnectionTest:
    del project_id
    return application().agents.test_connection(
        principal(), provider=provider, credential_id=credential_id, base_url=base_url
    )


# Playground


def agents() -> list[AgentRecord]:
    """The project's agents by name, without the archived ones."""
    return _agents(principal().project_id)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _agents(project_id: str) -> list[AgentRecord]:
    del project_id
    return list(application().agents.list(principal()))


def agent_versions(agent_id: UUID) -> list[AgentVersionRecord]:
    """An agent's versions, newest first."""
    return _agent_versions(principal().project_id, agent_id)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=128, show_spinner=False)
def _agent_versions(project_id: str, agent_id: UUID) -> list[AgentVersionRecord]:
    del project_id
    return list(application().agents.versions(principal(), agent_id))


def credentials() -> list[CredentialPublic]:
    """The stored keys, without the keys."""
    return _credentials(principal().project_id)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _credentials(project_id: str) -> list[CredentialPublic]:
    del project_id
    return application().credentials.list(principal())


def unnamed_key(provider: str, base_url: str | None) -> Unnamed:
    """What serves a configuration that names no credential."""
    return _unnamed_key(principal().project_id, provider, base_url)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=128, show_spinner=False)
def _unnamed_key(project_id: str, provider: str, base_url: str | None) -> Unnamed:
    del project_id
    return application().credentials.unnamed(principal(), provider=provider, base_url=base_url)


def server(credential_id: UUID | None, base_url: str | None) -> str | None:
    """The base URL of a request with that credential and that base URL of its own; None for the vendor's."""
    return _server(principal().project_id, credential_id, base_url)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=128, show_spinner=False)
def _server(project_id: str, credential_id: UUID | None, base_url: str | None) -> str | None:
    del project_id
    return application().credentials.server(principal(), credential_id=credential_id, base_url=base_url)


def model_names(provider: str) -> list[str]:
    """A provider's models that are known without asking it: from its row, the catalogue, the overrides."""
    return _model_names(principal().project_id, provider)


@st.cache_data(ttl=60.0, max_entries=64, show_spinner=False)
def _model_names(project_id: str, provider: str) -> list[str]:
    del project_id
    spec = registry.get_spec(provider)
    own = [model.name for model in spec.models]
    known = application().prices.known_models(principal(), provider)
    ending = {model.model for model in known if model.deprecated}
    ordered = in_order_of_choice(
        [model.model for model in known], default=spec.default_model, deprecated=ending
    )
    return list(dict.fromkeys([*own, *ordered]))


def model_price(provider: str, model: str, base_url: str | None) -> ModelPrice | None:
    """A model's price and context size; None if nothing is known of it."""
    return _model_price(principal().project_id, provider, model, base_url)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=256, show_spinner=False)
def _model_price(project_id: str, provider: str, model: str, base_url: str | None) -> ModelPrice | None:
    del project_id
    return application().prices.find_model(principal(), provider, model, base_url=base_url)


# Costs


def cost_guidance(asked: WorkloadAsked, text: str, agent_id: UUID | None, only: GuidanceFilter) -> Guidance:
    """What a workload costs on every known model."""
    return _cost_guidance(principal().project_id, asked, text, agent_id, only)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _cost_guidance(
    project_id: str, asked: WorkloadAsked, text: str, agent_id: UUID | None, only: GuidanceFilter
) -> Guidance:
    del project_id
    return application().costs.compare(principal(), asked, text=text, agent_id=agent_id, only=only)


def models_are_ending() -> bool:
    """Whether the vendor of any known model has announced its end."""
    return _models_are_ending(principal().project_id)


@st.cache_data(ttl=60.0, max_entries=32, show_spinner=False)
def _models_are_ending(project_id: str) -> bool:
    del project_id
    return application().costs.any_deprecated(principal())
