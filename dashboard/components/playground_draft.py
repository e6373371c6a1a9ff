"""What is being composed in the playground, kept in the session: columns, a prompt, its variables.

A column is a "slot": a number that its fields' keys carry, so that a column keeps what was typed when another
one is removed. The first slot's prompt is the one that all columns share.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import streamlit as st

from core.contract import Attachment
from core.errors import InvalidInput
from core.providers.spec import Feature
from core.services.agent_config import AgentConfig
from core.services.json_text import parse_object
from core.services.run_spec import RunSpec
from core.services.templating import literal
from dashboard import state

MAX_SLOTS: Final = 6

_PARAMETERS: Final[Mapping[str, Feature]] = {
    "max_tokens": Feature.MAX_TOKENS,
    "temperature": Feature.TEMPERATURE,
    "top_p": Feature.TOP_P,
    "seed": Feature.SEED,
    "stop": Feature.STOP,
    "reasoning_effort": Feature.REASONING_EFFORT,
    "response_schema": Feature.RESPONSE_SCHEMA,
    "base_url": Feature.BASE_URL,
}
_FIELDS: Final = (
    *(
        "agent",
        "version",
        "provider",
        "model",
        "agent_type",
        "system",
        "own_prompt",
        "prompt",
        "credential",
        "timeout",
        "backend",
        "retry_on_unknown",
    ),
    *_PARAMETERS,
)
KEPT_FIELDS: Final = (*_FIELDS, "revision")
"""A column's fields, with the revision of its agent that it was filled from. None of them is a key's text."""


# Columns


def slots() -> list[int]:
    """The columns, left to right; empty before the first visit."""
    return st.session_state.get(state.PLAYGROUND_SLOTS, [])


def is_first(slot: int) -> bool:
    """Whether this column's prompt is the shared one."""
    return slots()[:1] == [slot]


def letter(slot: int) -> str:
    """The column's name on screen."""
    return "ABCDEF"[slots().index(slot)]


def reset_slots(count: int) -> list[int]:
    """Starts again with so many empty columns."""
    for slot in slots():
        _forget(slot)
    fresh = list(range(count))
    st.session_state[state.PLAYGROUND_SLOTS] = fresh
    return fresh


def add_slot() -> None:
    """A new column on the right, with the configuration of the last one."""
    present = slots()
    new = max(present) + 1
    for name in _FIELDS:
        if (value := field(present[-1], name)) is not None:
            put(new, name, value)
    st.session_state[state.PLAYGROUND_SLOTS] = [*present, new]


def remove_slot(slot: int) -> None:
    """Takes a column away. If it is the first, the next one's own prompt, if any, becomes the shared one."""
    was_first = is_first(slot)
    left = [other for other in slots() if other != slot]
    if was_first and field(left[0], "own_prompt"):
        st.session_state[state.PLAYGROUND_PROMPT] = field(left[0], "prompt", "")
        put(left[0], "own_prompt", False)
    _forget(slot)
    st.session_state[state.PLAYGROUND_SLOTS] = left


def _forget(slot: int) -> None:
    for name in _FIELDS:
        st.session_state.pop(state.playground_field(slot, name), None)


# Fields


def field(slot: int, name: str, default: Any = None) -> Any:
    """What a column's field holds."""
    value = st.session_state.get(state.playground_field(slot, name))
    return default if value is None else value


def put(slot: int, name: str, value: Any) -> None:
    """Fills a column's field; before the field is drawn."""
    st.session_state[state.playground_field(slot, name)] = value


def shared_prompt() -> str:
    """The prompt's template."""
    return st.session_state.get(state.PLAYGROUND_PROMPT) or ""


def prompt_of(slot: int) -> str:
    """The template that this column sends: its own, else the shared one."""
    own = not is_first(slot) and field(slot, "own_prompt", False)
    return field(slot, "prompt", "") if own else shared_prompt()


def variables(names: tuple[str, ...]) -> dict[str, str]:
    """The values of these variables; one that is blank is none."""
    values = {name: st.session_state.get(state.playground_variable(name)) or "" for name in names}
    return {name: value for name, value in values.items() if value.strip()}


def typed_variables() -> dict[str, str]:
    """Every variable's value that is not blank, also of variables that no prompt has now."""
    beginning = state.playground_variable("")
    return {
        str(key).removeprefix(beginning): value
        for key, value in st.session_state.items()
        if str(key).startswith(beginning) and isinstance(value, str) and value
    }


# From an agent, and from a run


def load_config(slot: int, config: AgentConfig) -> None:
    """Fills a column with a configuration.

    The shared prompt, context and variables take its texts too, unless they hold what somebody typed.
    """
    _fill(slot, config)
    if is_first(slot):
        _offer(state.PLAYGROUND_PROMPT, config.prompt)
        _offer(state.PLAYGROUND_CONTEXT, _as_json(config.context))
    else:
        own = bool(config.prompt) and config.prompt != shared_prompt()
        put(slot, "own_prompt", own)
        put(slot, "prompt", config.prompt if own else "")
    for name, value in (config.variables or {}).items():
        _offer(state.playground_variable(name), value)


def clear_prompt() -> None:
    """Empties what the columns share, for texts that come from elsewhere."""
    for key in (state.PLAYGROUND_PROMPT, state.PLAYGROUND_CONTEXT):
        st.session_state[key] = ""
    _loaded().clear()


def type_prompt(text: str) -> None:
    """Replaces the shared prompt by one that somebody typed: no agent's takes its place."""
    st.session_state[state.PLAYGROUND_PROMPT] = text


def use_prompt(text: str) -> None:
    """Replaces the shared prompt by one that an agent brought."""
    st.session_state[state.PLAYGROUND_PROMPT] = text
    _loaded()[state.PLAYGROUND_PROMPT] = text


def load_spec(slot: int, spec: RunSpec, *, version: int | None) -> None:
    """Fills a column, and the shared fields, with exactly what a run was asked.

    Args:
        slot: The column.
        spec: What was asked.
        version: The number of the agent's version, if the run was one of a stored version.
    """
    config, prompt = spec.config, spec.prompt or spec.config.prompt
    if spec.rendered:
        config = config.model_copy(update={"system_prompt": literal(config.system_prompt)})
        prompt = literal(prompt)
    _fill(slot, config)
    put(slot, "backend", spec.choice.value)
    put(slot, "agent", str(spec.agent_id) if spec.agent_id else "")
    put(slot, "version", version)
    if is_first(slot):
        st.session_state[state.PLAYGROUND_PROMPT] = prompt
        context = config.context if spec.context is None else dict(spec.context)
        st.session_state[state.PLAYGROUND_CONTEXT] = _as_json(context)
        st.session_state[state.PLAYGROUND_KEPT_FILES] = list(spec.attachments)
    else:
        own = prompt != shared_prompt()
        put(slot, "own_prompt", own)
        put(slot, "prompt", prompt if own else "")
    for name, value in {**(config.variables or {}), **spec.variables}.items():
        st.session_state[state.playground_variable(name)] = value


def _fill(slot: int, config: AgentConfig) -> None:
    put(slot, "provider", config.provider)
    put(slot, "model", config.model_name)
    put(slot, "agent_type", config.agent_type)
    put(slot, "system", config.system_prompt)
    put(slot, "credential", str(config.credential_id) if config.credential_id else "")
    put(slot, "timeout", config.timeout_seconds)
    put(slot, "backend", config.backend.value)
    put(slot, "retry_on_unknown", config.retry_on_unknown)
    put(slot, "stop", list(config.stop or ()))
    put(slot, "base_url", config.base_url or "")
    put(slot, "response_schema", _as_json(config.response_schema))
    for name in ("max_tokens", "temperature", "top_p", "seed", "reasoning_effort"):
        put(slot, name, getattr(config, name))


def _offer(key: str, text: str) -> None:
    present = st.session_state.get(key) or ""
    if text and present in ("", _loaded().get(key, "")):
        st.session_state[key] = text
        _loaded()[key] = text


def _loaded() -> dict[str, str]:
    return st.session_state.setdefault(state.PLAYGROUND_LOADED, {})


def _as_json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


# To a configuration


def config_of_slot(slot: int, takes: frozenset[Feature]) -> AgentConfig:
    """The column's configuration, with its prompt and the shared context; without values for the variables.

    Args:
        slot: The column.
        takes: What its model takes; a value of anything else is left out (`unsent` names it).

    Raises:
        InvalidInput: A field's content cannot be used.
    """
    data: dict[str, Any] = {
        "provider": field(slot, "provider"),
        "model_name": (field(slot, "model") or "").strip(),
        "agent_type": field(slot, "agent_type", "one-shot"),
        "system_prompt": field(slot, "system", ""),
        "prompt": prompt_of(slot),
        "context": context(),
        "credential_id": field(slot, "credential") or None,
        "timeout_seconds": field(slot, "timeout"),
        "backend": field(slot, "backend"),
        "retry_on_unknown": field(slot, "retry_on_unknown"),
    }
    if not data["model_name"]:
        raise InvalidInput("Choose a model, or type its name.")
    for name, feature in _PARAMETERS.items():
        if feature in takes and (value := _parameter(slot, name)) is not None:
            data[name] = value
    return AgentConfig.parse({name: value for name, value in data.items() if value is not None})


def given(slot: int, takes: frozenset[Feature]) -> list[str]:
    """The parameters that have a value here and are sent, by the contract's names."""
    return [name for name, feature in _PARAMETERS.items() if feature in takes and _is_given(slot, name)]


def unsent(slot: int, takes: frozenset[Feature]) -> list[str]:
    """The parameters that have a value here which this model does not take, by the contract's names."""
    return [name for name, feature in _PARAMETERS.items() if feature not in takes and _is_given(slot, name)]


def _is_given(slot: int, name: str) -> bool:
    return field(slot, name) not in (None, "", [])


def _parameter(slot: int, name: str) -> object:
    value = field(slot, name)
    if name == "response_schema":
        return parse_object(value or "", what="The JSON schema")
    if name in ("max_tokens", "seed") and value is not None:
        return int(value)
    return value.strip() or None if isinstance(value, str) else value or (value if value == 0 else None)


def context() -> dict[str, Any] | None:
    """The shared context. Raises InvalidInput, saying where the JSON is wrong."""
    return parse_object(st.session_state.get(state.PLAYGROUND_CONTEXT) or "", what="The context")


def kept_files() -> list[Attachment]:
    """The attachments of a run that was opened again."""
    return st.session_state.get(state.PLAYGROUND_KEPT_FILES, [])


def forget_files() -> None:
    """Drops them."""
    st.session_state.pop(state.PLAYGROUND_KEPT_FILES, None)


def files() -> list[tuple[str, str]]:
    """Name and media type of all files that would go with the prompt."""
    uploaded = st.session_state.get(state.PLAYGROUND_FILES) or []
    return [
        *((file.name or file.media_type, file.media_type) for file in kept_files()),
        *((file.name, file.type) for file in uploaded),
    ]


def file_types() -> list[str]:
    """The media types of all files that would go with the prompt."""
    return [media_type for _, media_type in files()]


def agent_of(slot: int) -> UUID | None:
    """The agent that the column is of."""
    chosen = field(slot, "agent", "")
    return UUID(chosen) if chosen else None
