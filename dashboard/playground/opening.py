"""What fills the playground's columns: an address, or the choice of an agent, a version, a provider."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

import streamlit as st

from core.errors import InvalidInput, InvocationError, NotFound
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.run_spec import RunSpec
from core.storage.records import AgentRecord
from dashboard import queries, state
from dashboard.backend import application, principal
from dashboard.components import playground_draft as draft

CHAT: Final = "chat"
PROMPT: Final = "prompt"

_NO_RUN: Final = "The run of this address does not exist here."


def is_chat() -> bool:
    """Whether the page is in chat mode."""
    return st.session_state.get(state.PLAYGROUND_MODE) == CHAT


def open_address(
    mode: str | None, agent_id: str | None, number: str | None, runs: str | None, *asked: str | None
) -> str | None:
    """Fills the session from an address; why it could not be."""
    opened, problem = False, None
    st.session_state[state.PLAYGROUND_MODE] = CHAT if mode == CHAT else PROMPT
    if runs:
        opened, problem = _open_runs(runs)
    if agent_id and not opened:
        problem = _open_agent(agent_id, number) or problem
    st.session_state[state.PLAYGROUND_ASKED_MODEL] = None
    if asked[0] and not runs:
        problem = _take_model(*asked[:3], beside_agent=bool(agent_id)) or problem
    if not draft.slots():
        _open_default()
    return problem


def choose_agent(slot: int) -> None:
    """Fills a column from the agent that was chosen in it; for none, leaves it as it is."""
    agent_id = draft.agent_of(slot)
    if agent_id is None:
        draft.put(slot, "version", None)
    else:
        _fill(slot, application().agents.get(principal(), agent_id), None)


def choose_version(slot: int) -> None:
    """Fills a column from the version that was chosen in it."""
    agent_id = draft.agent_of(slot)
    if agent_id is not None:
        _fill(slot, application().agents.get(principal(), agent_id), draft.field(slot, "version"))


def reload_version(slot: int) -> None:
    """Fills a column again from its version, the shared texts included."""
    draft.clear_prompt()
    choose_version(slot)


def choose_provider(slot: int) -> None:
    """Starts with the provider's default model, and without what belongs to another provider."""
    preferences, spec = queries.preferences(), registry.specs().get(draft.field(slot, "provider"))
    if spec is None:
        return  # chosen again although it is not installed
    is_preferred = spec.name == preferences.provider
    draft.put(slot, "model", preferences.model_name if is_preferred else spec.first_model)
    draft.put(slot, "credential", "")
    draft.put(slot, "base_url", "")


def _fill(slot: int, agent: AgentRecord, number: int | None) -> None:
    version = agent.version
    if number not in (None, version.number):
        version = next((v for v in queries.agent_versions(agent.id) if v.number == number), version)
    draft.put(slot, "agent", str(agent.id))
    draft.put(slot, "version", version.number)
    draft.put(slot, "revision", agent.revision)
    draft.load_config(slot, config_of(version))


def _open_agent(agent_id: str, number: str | None) -> str | None:
    try:
        agent = application().agents.get(principal(), UUID(agent_id))
    except (ValueError, NotFound):
        return "The agent of this address does not exist here."
    slot = draft.reset_slots(1)[0]
    forget_results()
    draft.clear_prompt()
    _fill(slot, agent, int(number) if number and number.isdecimal() else None)
    if draft.field(slot, "agent_type") == CHAT:
        st.session_state[state.PLAYGROUND_MODE] = CHAT
    return None


def _take_model(
    provider: str | None, model: str | None, server: str | None, *, beside_agent: bool
) -> str | None:
    """Puts a provider and a model into the first column: into the agent's, if it was just opened, else alone."""
    spec = registry.specs().get(provider or "")
    if spec is None:
        return "The provider of this address is not installed here."
    asked = (spec.name, model or spec.default_model, server or None)
    if beside_agent and draft.slots():
        slot = draft.slots()[0]
        if model_of(slot)[::2] != asked[::2]:
            draft.put(slot, "credential", "")  # it is another provider's, or for another server
    else:
        slot = draft.reset_slots(1)[0]
        forget_results()
        draft.load_config(slot, AgentConfig(provider=asked[0], model_name=asked[1]))
    for name, value in zip(("provider", "model", "base_url"), asked, strict=True):
        draft.put(slot, name, value or "")
    st.session_state[state.PLAYGROUND_ASKED_MODEL] = asked
    return None


def model_of(slot: int) -> tuple[str, str, str | None]:
    """Its provider, model and base URL."""
    return (
        draft.field(slot, "provider", ""),
        draft.field(slot, "model", ""),
        draft.field(slot, "base_url") or None,
    )


def _open_runs(text: str) -> tuple[bool, str | None]:
    """Opens those that can be; whether any was, and why others were not."""
    specs: dict[UUID, RunSpec] = {}
    missing, refusals = 0, dict[str, None]()
    for part in text.split(","):
        try:
            run_id = UUID(part)
            specs[run_id] = application().runs.spec_as_typed(principal(), run_id)
        except (ValueError, NotFound):
            missing += 1
        except (InvocationError, InvalidInput) as exc:  # not the database's: that is no fault of the address
            refusals[str(exc)] = None
    problems = [f"A run of this address cannot be opened here. {reason}" for reason in refusals]
    if not specs:
        return False, " ".join([_NO_RUN] * bool(missing) + problems)
    forget_results()
    if is_chat() or any(spec.messages or spec.chat for spec in specs.values()):
        _open_chat(specs)
    else:
        _open_columns(specs)
    if missing:
        problems.insert(0, f"{missing} of the runs of this address do not exist here.")
    return True, " ".join(problems) or None


def _open_columns(specs: Mapping[UUID, RunSpec]) -> None:
    chosen = list(specs.items())[: draft.MAX_SLOTS]
    for slot, (_, spec) in zip(draft.reset_slots(len(chosen)), chosen, strict=True):
        _load(slot, spec)
    st.session_state[state.PLAYGROUND_SHOWN] = {
        slot: run_id for slot, (run_id, _) in zip(draft.slots(), chosen, strict=True)
    }


def _open_chat(specs: Mapping[UUID, RunSpec]) -> None:
    st.session_state[state.PLAYGROUND_MODE] = CHAT
    first, last = next(iter(specs.values())), list(specs.values())[-1]
    draft.clear_prompt()
    # The questions stand in the chat: the prompt is the configuration's own.
    _load(draft.reset_slots(1)[0], replace(last, prompt="", attachments=()))
    st.session_state[state.PLAYGROUND_PRELUDE] = list(first.messages)
    st.session_state[state.PLAYGROUND_TURNS] = [(run_id, _question_of(run_id)) for run_id in specs]


def _question_of(run_id: UUID) -> str:
    request = application().runs.get(principal(), run_id).request
    return str(request.get("prompt") or "")


def _load(slot: int, spec: RunSpec) -> None:
    number: int | None = None
    if spec.agent_id is not None:
        try:
            agent = application().agents.get(principal(), spec.agent_id)
        except NotFound:
            spec = replace(spec, agent_id=None)
        else:
            draft.put(slot, "revision", agent.revision)
            versions = queries.agent_versions(agent.id)
            number = next((v.number for v in versions if v.id == spec.agent_version_id), agent.version.number)
    draft.load_spec(slot, spec, version=number)


def _open_default() -> None:
    """The oldest agent: on a first visit the demo agent, whose variables have values: one click runs it."""
    slot = draft.reset_slots(1)[0]
    agents = queries.agents()
    if agents:
        _fill(slot, min(agents, key=lambda agent: agent.created_at), None)
        return
    preferences = queries.preferences()
    draft.load_config(slot, AgentConfig(provider=preferences.provider, model_name=preferences.model_name))


def forget_results() -> None:
    """Leaves the runs on show, and what belongs to them."""
    for key in (
        state.PLAYGROUND_SHOWN,
        state.PLAYGROUND_TURNS,
        state.PLAYGROUND_PRELUDE,
        state.PLAYGROUND_FAULTS,
        state.PLAYGROUND_UNSENT,
        state.PLAYGROUND_KEPT_FILES,
    ):
        st.session_state.pop(key, None)
