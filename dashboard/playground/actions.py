"""What the playground asks of the services: specs from its columns, start, follow, stop, save."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import streamlit as st

from core import ids
from core.contract import AgentRequest, Attachment, Message
from core.errors import AgentLauncherError, InvalidInput, InvalidRequest, MissingApiKey, NotFound
from core.pricing.estimate import Estimate
from core.providers import registry
from core.providers.spec import Feature
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.conversation import Turn, history
from core.services.key_travel import KeyJourney
from core.services.lambda_outlook import Outlook, outlook
from core.services.prices import texts_of
from core.services.run_spec import RunSpec, counted_version
from core.services.run_view import RunView
from core.services.templating import MissingValues, literal, variables_of
from core.storage.records import AgentRecord, AgentVersionRecord, Trigger
from dashboard import queries, state
from dashboard.backend import application, principal
from dashboard.components import playground_draft as draft
from dashboard.playground.files import attachments, refuse_files

_ANY_QUESTION: Final = "..."
"""Stands for the chat's next question, which is not written yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as it could be run now.

    Attributes:
        takes: What its model takes.
        agent, version: Which stored agent it is of, if any.
        edited: Whether it differs from that version.
        variables: The names that its prompts ask for.
        missing: Those of them that have no value and need one.
        fault: Why it cannot be run as it is; None if it can.
        needs_key: Whether that is for want of a key.
        base_url: The server that is asked, if not the vendor's own: the column's, or its credential's.
        offline: Whether its provider sends nothing anywhere.
        estimate: What a run may take and cost; None if what is asked cannot be read.
    """

    slot: int
    takes: frozenset[Feature]
    agent: AgentRecord | None
    version: AgentVersionRecord | None
    edited: bool
    variables: tuple[str, ...]
    missing: frozenset[str]
    fault: str | None
    needs_key: bool
    base_url: str | None
    offline: bool
    estimate: Estimate | None


def takes(slot: int) -> frozenset[Feature]:
    """What the model of a column takes; anything, as far as is known here, if its provider is not installed."""
    spec = registry.specs().get(draft.field(slot, "provider"))
    if spec is None:
        return frozenset(Feature)
    model, base_url = draft.field(slot, "model", ""), server(slot)
    any_effort = spec.features_of(model, base_url=base_url)
    if Feature.REASONING_EFFORT not in any_effort:
        return any_effort
    return spec.features_of(model, reasoning_effort=draft.field(slot, "reasoning_effort"), base_url=base_url)


def reads(slot: int) -> frozenset[str]:
    """The media types that the model of a column reads."""
    spec = registry.specs().get(draft.field(slot, "provider"))
    return (
        frozenset()
        if spec is None
        else spec.media_types_of(draft.field(slot, "model", ""), base_url=server(slot))
    )


def server(slot: int) -> str | None:
    """The server that a column asks, if not the vendor's own: its base URL, else that of its credential."""
    chosen = draft.field(slot, "credential")
    return queries.server(UUID(chosen) if chosen else None, draft.field(slot, "base_url") or None)


def agent_and_version(slot: int) -> tuple[AgentRecord | None, AgentVersionRecord | None]:
    """What the column was filled from, if that is still there."""
    agent_id = draft.agent_of(slot)
    agent = next((a for a in queries.agents() if a.id == agent_id), None)
    if agent is None:
        return None, None
    number = draft.field(slot, "version")
    if number in (None, agent.version.number):
        return agent, agent.version
    return agent, next((v for v in queries.agent_versions(agent.id) if v.number == number), agent.version)


def column(slot: int, *, chat: bool = False) -> Column:
    """The column as it could be run now; never raises for what is wrong with it."""
    agent, version = agent_and_version(slot)
    able, provider = takes(slot), registry.specs().get(draft.field(slot, "provider"))
    fault: AgentLauncherError | None = None
    request: AgentRequest | None = None
    edited = version is not None
    try:
        config = draft.config_of_slot(slot, able)
        config = _as_its_agent(config, version)
        edited = version is not None and not config.is_of(config_of(version), chat=chat)
        spec = spec_of(slot, chat=chat)
        if chat:
            spec = replace(spec, prompt=_ANY_QUESTION)
        else:
            refuse_files(slot, reads(slot))
            attachments()
        request = application().runs.preview(principal(), spec)
        request = application().runs.check(principal(), spec)
    except AgentLauncherError as exc:
        fault = exc
    return Column(
        slot=slot,
        takes=able,
        agent=agent,
        version=version,
        edited=edited,
        variables=_variables(slot, chat=chat),
        missing=frozenset(name for names in fault.names.values() for name in names)
        if isinstance(fault, MissingValues)
        else frozenset(),
        fault=None if fault is None else str(fault),
        needs_key=isinstance(fault, MissingApiKey),
        base_url=(request.base_url if request else None) or server(slot),
        offline=provider is not None and provider.offline,
        estimate=None if request is None else _estimate(request, chat=chat, base_url=server(slot)),
    )


def _variables(slot: int, *, chat: bool) -> tuple[str, ...]:
    """What the prompts ask for; one whose syntax is wrong asks for nothing, and the other one still does."""
    names: dict[str, None] = {}
    for template in (draft.field(slot, "system", ""), "" if chat else draft.prompt_of(slot)):
        try:
            names.update(dict.fromkeys(variables_of(template)))
        except InvalidRequest:
            continue
    return tuple(names)


def spec_of(slot: int, *, chat: bool = False, attachments: Sequence[Attachment] = ()) -> RunSpec:
    """What running the column means.

    Raises:
        InvalidInput, InvalidRequest: A field's content, or a prompt's template, cannot be used.
    """
    agent, version = agent_and_version(slot)
    chosen = draft.config_of_slot(slot, takes(slot))
    config = _as_its_agent(chosen, version)
    names = variables_of(config.system_prompt, None if chat else config.prompt)
    spec = RunSpec(
        config=config,
        backend=None if chosen.backend is config.backend else chosen.backend,
        chat=chat,
        variables=draft.variables(names),
        attachments=attachments,
        trigger=Trigger.PLAYGROUND,
        agent_id=agent.id if agent else None,
        agent_name=agent.name if agent else None,
    )
    return replace(spec, agent_version_id=counted_version(spec, version) if version else None)


def _as_its_agent(config: AgentConfig, version: AgentVersionRecord | None) -> AgentConfig:
    """The same, to run where its agent's version says: where a single run goes makes no other version of it."""
    if version is None:
        return config
    return config.model_copy(update={"backend": config_of(version).backend})


def whereabouts(slot: int, *, chat: bool) -> tuple[Outlook, KeyJourney] | None:
    """Where the column's run would go now, and how its key would get there; None if it cannot run as it is."""
    try:
        spec = spec_of(slot, chat=chat)
        journey = application().runs.key_travel(principal(), spec)
    except AgentLauncherError:
        return None
    breaker = application().lambda_breaker
    status = None if breaker is None else breaker.status()
    return outlook(spec.choice, journey.travel, settings=application().settings, breaker=status), journey


def spec_to_copy(slot: int, *, chat: bool) -> RunSpec:
    """What running the column now means, with all that was said before in a chat. Errors as in `spec_of`."""
    if not chat:
        return spec_of(slot, attachments=attachments())
    asked = turns()
    last = asked[-1].prompt if asked else "Hello"
    before = [*prelude(), *history(asked[:-1])]
    return replace(spec_of(slot, chat=True), prompt=literal(last), messages=before)


def _estimate(request: AgentRequest, *, chat: bool, base_url: str | None) -> Estimate:
    before = [message.content for message in messages()] if chat else []
    return application().prices.estimate(
        principal(),
        provider=request.provider,
        model=request.model_name,
        texts=[*texts_of(request), *before],
        max_tokens=request.max_tokens,
        attachments=0 if chat else len(draft.file_types()),
        base_url=request.base_url or base_url,
    )


# Running


def run_all() -> None:
    """Starts all columns, or none: what is wrong with a column is shown in it, and nothing is lost."""
    specs: dict[int, RunSpec] = {}
    faulty: set[int] = set()
    present = draft.slots()
    group_id = ids.uuid7() if len(present) > 1 else None
    for slot in present:
        try:
            refuse_files(slot, reads(slot))
            spec = replace(spec_of(slot, attachments=attachments()), group_id=group_id)
            application().runs.check(principal(), spec)
            specs[slot] = spec
        except AgentLauncherError:
            faulty.add(slot)
    st.session_state[state.PLAYGROUND_FAULTS] = faulty
    st.session_state.pop(state.PLAYGROUND_NOT_STARTED, None)
    if faulty:
        return
    try:
        started = application().runs.start_many(principal(), list(specs.values()))
    except AgentLauncherError as exc:
        st.session_state[state.PLAYGROUND_NOT_STARTED] = str(exc)
        return
    shown = {slot: live.run_id for slot, live in zip(specs, started, strict=True)}
    st.session_state[state.PLAYGROUND_SHOWN] = shown


def views() -> dict[int, RunView]:
    """The run that each column shows, as it is now."""
    shown: dict[int, UUID] = st.session_state.get(state.PLAYGROUND_SHOWN, {})
    found: dict[int, RunView] = {}
    for slot in draft.slots():
        if slot in shown:
            try:
                found[slot] = application().runs.view(principal(), shown[slot])
            except NotFound:
                del shown[slot]
    return found


def stop(run_ids: Sequence[UUID]) -> None:
    """Stops those of them that are under way here; why another one could not be is kept for the page."""
    reasons: dict[str, None] = {}
    for run_id in run_ids:
        try:
            application().runs.stop(principal(), run_id)
        except AgentLauncherError as exc:
            reasons[str(exc)] = None
    if reasons:
        st.session_state[state.PLAYGROUND_NOT_STOPPED] = " ".join(reasons)


# Chat


def turns() -> list[Turn]:
    """The chat so far."""
    found: list[Turn] = []
    for run_id, prompt in st.session_state.get(state.PLAYGROUND_TURNS, []):
        try:
            found.append(Turn(prompt=prompt, run=application().runs.view(principal(), run_id)))
        except NotFound:
            continue
    return found


def prelude() -> list[Message]:
    """What was said before those turns."""
    return st.session_state.get(state.PLAYGROUND_PRELUDE, [])


def messages() -> list[Message]:
    """What the next question of the chat carries with it."""
    return [*prelude(), *history(turns())]


def send(slot: int, text: str, files: Sequence[Attachment]) -> None:
    """Asks the next question of the chat. What cannot be sent is kept, with the reason."""
    try:
        spec = replace(spec_of(slot, chat=True, attachments=files), prompt=literal(text), messages=messages())
        application().runs.check(principal(), spec)
        live = application().runs.start(principal(), spec)
    except AgentLauncherError as exc:
        st.session_state[state.PLAYGROUND_UNSENT] = (text, list(files), str(exc))
        return
    st.session_state.pop(state.PLAYGROUND_UNSENT, None)
    st.session_state.setdefault(state.PLAYGROUND_TURNS, []).append((live.run_id, text))


# Saving


def config_to_save(slot: int, *, chat: bool, with_values: bool) -> AgentConfig:
    """The column's configuration.

    A chat is a way of asking: it changes no agent's kind, and is the kind of what is of no agent yet.

    Args:
        slot: The column.
        chat: Whether the page is in chat mode.
        with_values: The variables' values of now become their standing values; else its version's own stay.

    Raises:
        InvalidInput, InvalidRequest: A field's content, or a prompt's template, cannot be used.
    """
    config = draft.config_of_slot(slot, takes(slot))
    names = variables_of(config.system_prompt, config.prompt)
    _, version = agent_and_version(slot)
    config = _as_its_agent(config, version)
    standing = (config_of(version).variables or {}) if version else {}
    values = {name: value for name, value in standing.items() if name in names}
    if with_values:
        values = draft.variables(names)
    kind = "chat" if chat and draft.agent_of(slot) is None else config.agent_type
    return config.model_copy(update={"variables": values or None, "agent_type": kind})


def save_version(slot: int, config: AgentConfig, *, note: str, expected_revision: int) -> AgentRecord:
    """Makes the configuration the agent's current version; the column is of that version then.

    Raises:
        Conflict: Somebody changed the agent since `expected_revision`; else as `AgentService.edit`.
    """
    agent_id = draft.agent_of(slot)
    if agent_id is None:
        raise InvalidInput("This column is of no agent: save it as a new one.")
    saved = application().agents.edit(
        principal(), agent_id, config=config, note=note, expected_revision=expected_revision
    )
    _now_of(slot, saved)
    return saved


def save_agent(slot: int, config: AgentConfig, *, name: str, description: str, note: str) -> AgentRecord:
    """Makes a new agent of the configuration; the column is of it then. Errors: `AgentService.create`."""
    saved = application().agents.create(
        principal(), name=name, config=config, description=description, note=note
    )
    _now_of(slot, saved)
    return saved


def _now_of(slot: int, agent: AgentRecord) -> None:
    queries.forget_all()
    draft.put(slot, "agent", str(agent.id))
    draft.put(slot, "version", agent.version.number)
