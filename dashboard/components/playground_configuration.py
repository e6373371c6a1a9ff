"""A column's configuration: the agent it comes from, provider and model, system prompt, parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import streamlit as st

from core.contract import ReasoningEffort
from core.errors import InvalidInput
from core.pricing.catalogue import ModelPrice
from core.pricing.rates import NANOUSD_PER_USD
from core.providers import registry
from core.providers.spec import Feature
from core.services.credentials import CredentialPublic, Unnamed
from core.services.json_text import parse_object
from core.storage.records import AgentRecord, AgentVersionRecord
from dashboard import formatting, state
from dashboard.components import playground_draft as draft
from dashboard.components.credential_field import credential_field
from dashboard.components.failure import literal
from dashboard.components.model_facts import server_text
from dashboard.components.parameter_fields import effort_field

MODEL_DEFAULT: Final = "model's default"
_LABELS: Final = {
    "max_tokens": "max tokens",
    "top_p": "top P",
    "stop": "stop sequences",
    "reasoning_effort": "reasoning effort",
    "response_schema": "JSON schema",
    "base_url": "base URL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a column can choose from.

    Attributes:
        versions: Of the chosen agent, newest first.
        models: Of the chosen provider; any other name can be typed.
        price: Of the chosen model; None if nothing is known of it.
        credentials: Of the chosen provider.
        unnamed: What serves where none of them is chosen.
        base_url: The server that is asked, if not the vendor's own.
        takes: What the chosen model takes.
        efforts: The values of `reasoning_effort` that it knows.
    """

    agents: Sequence[AgentRecord]
    versions: Sequence[AgentVersionRecord]
    models: Sequence[str]
    price: ModelPrice | None
    credentials: Sequence[CredentialPublic]
    unnamed: Unnamed
    base_url: str | None
    takes: frozenset[Feature]
    efforts: Sequence[ReasoningEffort]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What happens when an agent, a version, a provider was chosen in a column."""

    agent: Callable[[int], None]
    version: Callable[[int], None]
    provider: Callable[[int], None]


def choose_agent(slot: int, choices: Choices, changed: Changed) -> None:
    """Draws the choice of an agent and its version; "no agent" is a configuration of its own."""
    names = {"": "No agent"} | {str(agent.id): agent.name for agent in choices.agents}
    if draft.field(slot, "agent", "") not in names:
        draft.put(slot, "agent", "")
    left, right = st.columns([5, 2], gap="xsmall") if choices.versions else (st.container(), None)
    left.selectbox(
        "Agent",
        list(names),
        format_func=names.__getitem__,
        key=state.playground_field(slot, "agent"),
        persist_state="session",
        on_change=changed.agent,
        args=(slot,),
        label_visibility="collapsed",
        icon=":material/smart_toy:",
    )
    if right is not None:
        numbers = [version.number for version in choices.versions]
        if draft.field(slot, "version") not in numbers:
            draft.put(slot, "version", numbers[0])
        right.selectbox(
            "Version",
            numbers,
            format_func="v{}".format,
            key=state.playground_field(slot, "version"),
            persist_state="session",
            on_change=changed.version,
            args=(slot,),
            label_visibility="collapsed",
        )


def choose_model(slot: int, choices: Choices, changed: Changed) -> None:
    """Draws the choice of provider and model."""
    left, right = st.columns([2, 3], gap="xsmall")
    labels = {name: spec.label for name, spec in registry.specs().items()}
    if (provider := draft.field(slot, "provider")) not in labels:
        labels[provider] = f"{provider} (not installed)"
    left.selectbox(
        "Provider",
        list(labels),
        format_func=labels.__getitem__,
        key=state.playground_field(slot, "provider"),
        persist_state="session",
        on_change=changed.provider,
        args=(slot,),
        label_visibility="collapsed",
    )
    model = draft.field(slot, "model", "")
    right.selectbox(
        "Model",
        list(choices.models) if model in choices.models or not model else [model, *choices.models],
        key=state.playground_field(slot, "model"),
        persist_state="session",
        accept_new_options=True,
        index=None,
        required=True,
        placeholder="Choose or type a model",
        label_visibility="collapsed",
    )


def price_line(slot: int, choices: Choices) -> None:
    """Draws what the model costs, how much it can read, and whose server is asked if not the vendor's.

    Nothing where the provider is not installed: that it is not is said as the column's fault.
    """
    provider = draft.field(slot, "provider")
    if provider not in registry.specs():
        return
    server = server_text(provider, choices.base_url)
    st.caption(_price_line(provider, draft.field(slot, "model", ""), choices.price, server))


def credential(slot: int, choices: Choices) -> None:
    """Draws the choice of a stored key, if the provider has any."""
    spec = registry.specs().get(draft.field(slot, "provider"))
    if spec is not None and (choices.credentials or draft.field(slot, "credential")):
        credential_field(
            state.playground_field(slot, "credential"),
            choices.credentials,
            choices.unnamed,
            spec=spec,
            label_visibility="collapsed",
        )


def summary(slot: int) -> str:
    """The model's name, or what to do without one."""
    return literal(draft.field(slot, "model", "")) or "Choose a model"


def system_prompt(slot: int) -> None:
    """Draws the system prompt."""
    st.text_area(
        "System prompt",
        key=state.playground_field(slot, "system"),
        persist_state="session",
        height="content",
        placeholder="How the model should behave. May hold {{variables}}.",
    )


def parameters(slot: int, choices: Choices) -> None:
    """Draws the parameters that this model takes, and says which ones it does not."""
    takes = choices.takes
    fields: list[Callable[[], object]] = [
        drawn for feature, drawn in _fields(slot, choices.efforts).items() if feature in takes
    ]
    for index in range(0, len(fields), 2):
        for place, drawn in zip(st.columns(2, gap="small"), fields[index : index + 2], strict=False):
            with place:
                drawn()
    if Feature.STOP in takes:
        _stop(slot)
    if Feature.RESPONSE_SCHEMA in takes:
        _schema(slot)
    if Feature.BASE_URL in takes:
        st.text_input(
            "Base URL",
            key=state.playground_field(slot, "base_url"),
            persist_state="session",
            placeholder=f"{choices.base_url}, the credential's" if choices.base_url else "the vendor's own",
            help="Another server that speaks the provider's protocol.",
        )
    not_taken(slot, takes)


def not_taken(slot: int, takes: frozenset[Feature]) -> None:
    """Says which parameters this model does not take; loudly if one of them has a value."""
    spec = registry.specs().get(draft.field(slot, "provider"))
    missing = [name for name in _names(spec.features - takes) if name] if spec else []
    model = literal(draft.field(slot, "model", ""))
    if unsent := draft.unsent(slot, takes):
        names = ", ".join(_LABELS.get(name, name) for name in unsent)
        st.warning(f"Not sent, because {model} does not take it: {names}.", icon=":material/block:")
    elif missing:
        st.caption(f"{model} does not take {', '.join(missing)}.")


def parameter_count(slot: int, takes: frozenset[Feature]) -> int:
    """How many parameters have a value that is sent."""
    return len(draft.given(slot, takes))


def _fields(slot: int, efforts: Sequence[ReasoningEffort]) -> dict[Feature, Callable[[], object]]:
    def number(
        name: str, label: str, low: float, high: float, step: float, help: str, form: str | None = None
    ) -> Callable[[], object]:
        whole = isinstance(low, int) and isinstance(step, int)
        return lambda: st.number_input(
            label,
            min_value=low if whole else float(low),
            max_value=high if whole else float(high),
            value=None,
            step=step,
            format=form,
            key=state.playground_field(slot, name),
            persist_state="session",
            placeholder=MODEL_DEFAULT,
            help=help,
        )

    return {
        Feature.MAX_TOKENS: number(
            "max_tokens", "Max tokens", 1, 10_000_000, 100, "The longest answer, reasoning included."
        ),
        Feature.TEMPERATURE: number(
            "temperature", "Temperature", 0, 2, 0.1, "0 repeats itself, 2 is wild.", "%.2f"
        ),
        Feature.TOP_P: number(
            "top_p", "Top P", 0, 1, 0.05, "Only the likeliest tokens of this total probability.", "%.2f"
        ),
        Feature.SEED: number(
            "seed",
            "Seed",
            -(2**53) + 1,
            2**53 - 1,
            1,
            "The same seed asks for the same answer; not promised.",
        ),
        Feature.REASONING_EFFORT: lambda: effort_field(
            state.playground_field(slot, "reasoning_effort"), efforts
        ),
    }


def _stop(slot: int) -> None:
    chosen = draft.field(slot, "stop", [])
    st.multiselect(
        "Stop sequences",
        chosen,
        key=state.playground_field(slot, "stop"),
        persist_state="session",
        accept_new_options=True,
        max_selections=4,
        placeholder="Type, then Enter",
    )


def _schema(slot: int) -> None:
    text = st.text_area(
        "JSON schema of the answer",
        key=state.playground_field(slot, "response_schema"),
        persist_state="session",
        height="content",
        placeholder='{"type": "object", "properties": {...}}',
    )
    try:
        parse_object(text or "", what="The JSON schema")
    except InvalidInput as exc:
        st.caption(f":red[{literal(str(exc))}]")


def _price_line(provider: str, model: str, price: ModelPrice | None, server: str) -> str:
    if registry.get_spec(provider).offline:
        return "Offline demo: no key, no network, no cost"
    window = ""
    if price is not None and price.context_window_tokens:
        window = f" · {formatting.count(price.context_window_tokens)} context"
    if price is None or price.input_usd_per_mtok is None or price.output_usd_per_mtok is None:
        whose = f"{literal(model)} at {server}" if server else "this model"
        return f"No price is known for {whose}: the cost will be unknown{window}"
    tiers = ", long inputs more" if price.tiered else ""
    rates = f"{_usd(price.input_usd_per_mtok)} in · {_usd(price.output_usd_per_mtok)} out"
    asks = f" · asks {server}" if server else ""
    return literal(f"{rates} per million tokens{tiers}{window}") + asks


def _usd(amount: Decimal) -> str:
    return formatting.money(int(amount * NANOUSD_PER_USD))


def _names(features: frozenset[Feature]) -> list[str]:
    shown = features - {Feature.IMAGES, Feature.DOCUMENTS}
    return sorted(_LABELS.get(feature.value, feature.value) for feature in shown)
