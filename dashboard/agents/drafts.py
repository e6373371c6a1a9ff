"""What is typed into an agent's form, before it is saved: kept for the whole session, lost by no error.

A form's widgets have keys that carry the form's name. The name changes when the form is to begin anew (after
a save, or when a change is dropped), and only then.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import streamlit as st

from core.contract import ReasoningEffort
from core.errors import InvalidInput
from core.execution.choice import BackendChoice
from core.providers import registry
from core.providers.spec import Feature
from core.services.agent_config import AgentConfig
from core.services.json_text import parse_object
from core.services.preferences import Preferences
from core.storage.records import AgentRecord
from dashboard import queries, state

_PLAIN: Final = (
    "provider",
    "model_name",
    "agent_type",
    "system_prompt",
    "prompt",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "base_url",
    "timeout_seconds",
    "backend",
    "retry_on_unknown",
)
_JSON: Final = {"context": "The context", "response_schema": "The JSON schema"}
_PARAMETERS: Final = frozenset(
    {"temperature", "top_p", "max_tokens", "stop", "seed", "reasoning_effort", "response_schema", "base_url"}
)
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {}, ())
_EMPTY: Final[Mapping[str, object]] = {"system_prompt": "", "prompt": "", "base_url": "", "stop": ()} | {
    "backend": BackendChoice.AUTO.value,
    "retry_on_unknown": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A form.

    Attributes:
        form: Its name, a part of its widgets' keys.
        base: The agent as it was when the form began; None for a new one.
        initial: The fields' values at the beginning.
    """

    form: str
    base: AgentRecord | None
    initial: Mapping[str, Any]

    def key(self, name: str) -> str:
        """The key of a field's widget."""
        return f"agents.{self.form}.{name}"

    def value(self, name: str) -> Any:
        """What stands in a field now."""
        return st.session_state.get(self.key(name), self.initial.get(name))

    @property
    def changed(self) -> bool:
        """Whether anything was typed that is not saved."""
        for name, value in self.initial.items():
            if name not in ("note", "variables") and _plain(self.value(name)) != _plain(value):
                return True
        typed = self.key("var.")
        return any(
            text != self.initial["variables"].get(str(key).removeprefix(typed), "")
            for key, text in st.session_state.items()
            if str(key).startswith(typed)
        )


def draft_of(agent: AgentRecord) -> Draft:
    """The agent's form: the one that was begun, unless nothing was typed and the agent has changed since."""
    draft = _drafts().get(str(agent.id))
    if draft is None or (
        draft.base is not None and draft.base.revision != agent.revision and not draft.changed
    ):
        draft = _begin(str(agent.id), agent, _values_of(agent.name, agent.description, agent.version.config))
    _fill(draft)
    return draft


def draft_of_new(preferences: Preferences) -> Draft:
    """The form for a new agent."""
    draft = _drafts().get(state.AGENT_NEW)
    if draft is None:
        config = {"provider": preferences.provider, "model_name": preferences.model_name}
        draft = _begin(state.AGENT_NEW, None, _values_of("", "", config))
    _fill(draft)
    return draft


def drop(draft: Draft) -> None:
    """Forgets what was typed."""
    _drafts().pop(draft.form.partition("#")[0], None)
    for name in [key for key in st.session_state if str(key).startswith(f"agents.{draft.form}.")]:
        del st.session_state[name]


def rebase(draft: Draft, onto: AgentRecord) -> Draft:
    """The same form with all that was typed, to be saved over another state of its agent."""
    rebased = replace(draft, base=onto)
    _drafts()[draft.form.partition("#")[0]] = rebased
    return rebased


def name_of(draft: Draft) -> str:
    """The agent's name as it is typed."""
    return str(draft.value("name") or "")


def description_of(draft: Draft) -> str:
    """Likewise the description."""
    return str(draft.value("description") or "")


def credential_of(draft: Draft) -> UUID | None:
    """The chosen credential; None leaves the choice to the rule."""
    chosen = draft.value("credential_id")
    return UUID(str(chosen)) if chosen else None


def base_url_of(draft: Draft) -> str | None:
    """The chosen server, if it is not the provider's own."""
    spec = registry.specs().get(draft.value("provider"))
    if spec is None or Feature.BASE_URL not in spec.features:
        return None
    return (draft.value("base_url") or "").strip() or None


def server_of(draft: Draft) -> str | None:
    """The server that is asked, if it is not the provider's own: the chosen one, else the credential's."""
    return queries.server(credential_of(draft), base_url_of(draft))


def take_default_model(draft: Draft) -> None:
    """Puts the chosen provider's own first choice in the place of another provider's model and server."""
    spec = registry.specs().get(draft.value("provider"))
    if spec is None:
        return
    same = draft.initial["provider"] == spec.name
    st.session_state[draft.key("model_name")] = draft.initial["model_name"] if same else spec.first_model
    st.session_state[draft.key("base_url")] = draft.initial["base_url"] if same else ""


def takes(draft: Draft) -> frozenset[Feature]:
    """What the chosen model takes, as far as it is known here."""
    spec = registry.specs().get(draft.value("provider"))
    if spec is None:
        return frozenset()
    return spec.features_of(
        str(draft.value("model_name") or ""),
        reasoning_effort=draft.value("reasoning_effort"),
        base_url=server_of(draft),
    )


def efforts(draft: Draft) -> tuple[ReasoningEffort, ...]:
    """The values of `reasoning_effort` that the chosen model knows."""
    spec = registry.specs().get(draft.value("provider"))
    if spec is None:
        return ()
    return spec.efforts_of(str(draft.value("model_name") or ""), base_url=server_of(draft))


def left_out(draft: Draft) -> list[str]:
    """The parameters that have a value but are not taken by the chosen model; they are not saved."""
    taken = {feature.value for feature in takes(draft)}
    return sorted(name for name in _PARAMETERS - taken if draft.value(name) not in _NOTHING)


def config_of(draft: Draft, *, variables: Mapping[str, str]) -> AgentConfig:
    """The configuration that the form describes.

    Args:
        draft: The form.
        variables: Standing values for the prompts' variables; empty ones stand for none.

    Raises:
        InvalidInput: Naming every fault.
    """
    faults: list[str] = []
    data: dict[str, Any] = {name: draft.value(name) for name in _PLAIN}
    for name, what in _JSON.items():
        try:
            data[name] = parse_object(draft.value(name) or "", what=what)
        except InvalidInput as exc:
            faults.append(str(exc))
    for name in left_out(draft):
        data[name] = None
    data["model_name"] = (data["model_name"] or "").strip()
    data["base_url"] = base_url_of(draft)
    data["credential_id"] = credential_of(draft)
    data["variables"] = {name: value for name, value in variables.items() if value}
    if not data["model_name"]:
        faults.append("Choose a model, or type its name.")
    if faults:
        raise InvalidInput(" ".join(faults))
    return AgentConfig.parse({name: value for name, value in data.items() if value not in _NOTHING})


def variable_values(draft: Draft, names: tuple[str, ...]) -> dict[str, str]:
    """The standing values of those variables, as they are typed."""
    known = draft.initial.get("variables") or {}
    return {name: str(st.session_state.get(draft.key(f"var.{name}"), known.get(name, ""))) for name in names}


def _values_of(name: str, description: str, config: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"name": name, "description": description, "note": ""}
    for field in _PLAIN:
        values[field] = config.get(field, _EMPTY.get(field))
    values["agent_type"] = values["agent_type"] or "one-shot"
    values["stop"] = list(values["stop"] or ())
    for field in _JSON:
        values[field] = json.dumps(config[field], indent=2, ensure_ascii=False) if config.get(field) else ""
    values["credential_id"] = str(config.get("credential_id") or "")
    values["variables"] = dict(config.get("variables") or {})
    return values


def _begin(name: str, agent: AgentRecord | None, values: dict[str, Any]) -> Draft:
    number = st.session_state.get(state.AGENT_FORMS, 0) + 1
    st.session_state[state.AGENT_FORMS] = number
    draft = Draft(form=f"{name}#{number}", base=agent, initial=values)
    _drafts()[name] = draft
    return draft


def _fill(draft: Draft) -> None:
    # A widget that is drawn for the first time finds its value here.
    for name, value in draft.initial.items():
        if name != "variables":
            st.session_state.setdefault(draft.key(name), value)
    for name, value in draft.initial["variables"].items():
        st.session_state.setdefault(draft.key(f"var.{name}"), value)


def _drafts() -> dict[str, Draft]:
    return st.session_state.setdefault(state.AGENT_DRAFTS, {})


def _plain(value: object) -> object:
    match value:
        case str():
            return value.strip()
        case list() | tuple():
            return list(value)
        case None:
            return ""
        case _:
            return value
