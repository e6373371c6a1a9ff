"""The form of an agent: what it is called, which model it asks, with which prompts and parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import streamlit as st

from core.contract import AgentType, ReasoningEffort
from core.errors import AgentLauncherError, InvalidInput
from core.execution.choice import BackendChoice
from core.pricing.catalogue import ModelPrice
from core.providers import registry
from core.providers.spec import Feature
from core.services.agent_yaml import MAX_NAME_CHARS
from core.services.connections import ConnectionTest
from core.services.credentials import CredentialPublic, Unnamed
from core.services.json_text import parse_object
from core.services.request_diff import KIND_LABELS
from dashboard.components.connection_check import connection_check
from dashboard.components.credential_field import credential_field
from dashboard.components.failure import literal
from dashboard.components.marks import provider_label
from dashboard.components.model_facts import model_facts
from dashboard.components.parameter_fields import parameter_fields

Key = Callable[[str], str]
"""The key of a field's widget, by the field's name."""

_BACKEND_LABELS: Final[Mapping[str, str]] = {
    BackendChoice.AUTO.value: "Automatic",
    BackendChoice.LAMBDA.value: "AWS Lambda only",
    BackendChoice.LOCAL.value: "Local",
}
_BACKEND_HELP: Final = (
    "Automatic: AWS Lambda where USE_LAMBDA_FOR_AGENT_EXECUTION is on, and this machine where Lambda is known to have "
    "completed nothing."
)
_KIND_HELP: Final = "A chat keeps the earlier turns; each of them is sent, and billed, again with the next."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoices:
    """What the model's part of the form offers.

    Attributes:
        models: Names for the chosen provider; any other can be typed.
        from_vendor: Whether they are the vendor's own list.
        model: The one that is chosen.
        price: Of it; None if nothing is known.
        credentials: Stored for the chosen provider.
        unnamed: What serves where none of them is chosen.
        base_url: The server that is asked: the form's, else its credential's; None for the provider's own.
    """

    models: Sequence[str]
    from_vendor: bool
    model: str
    price: ModelPrice | None
    credentials: Sequence[CredentialPublic]
    unnamed: Unnamed
    base_url: str | None


def name_fields(key: Key) -> None:
    """Draws name and description."""
    with st.container(border=True):
        st.text_input(
            "Name",
            max_chars=MAX_NAME_CHARS,
            key=key("name"),
            persist_state="session",
            placeholder="Support reply",
        )
        st.text_input(
            "Description",
            max_chars=500,
            key=key("description"),
            persist_state="session",
            placeholder="What it is for, for whoever finds it in the list",
        )


def model_fields(
    key: Key,
    provider: str,
    choices: ModelChoices,
    *,
    checked: ConnectionTest | AgentLauncherError | None,
    on_provider: Callable[[], None],
) -> bool:
    """Draws provider, model, key and server; True when the connection is to be tested.

    Args:
        key: The widgets' keys.
        provider: The one that is chosen.
        choices: What else can be chosen.
        checked: What the last test of this connection came to.
        on_provider: Called when another provider is chosen.
    """
    spec = registry.specs().get(provider)
    with st.container(border=True):
        st.markdown("**Model**")
        known = list(registry.specs())
        st.selectbox(
            "Provider",
            # One that is not registered here (any more) stays until another is chosen.
            known if provider in known else [provider, *known],
            format_func=provider_label,
            key=key("provider"),
            persist_state="session",
            on_change=on_provider,
        )
        names = list(choices.models)
        if choices.model and choices.model not in names:
            names.insert(0, choices.model)
        st.selectbox(
            "Model, from the provider's own list" if choices.from_vendor else "Model",
            names,
            index=None,
            key=key("model_name"),
            persist_state="session",
            accept_new_options=True,
            placeholder="Choose one, or type any name",
        )
        model_facts(provider, choices.model, choices.price, base_url=choices.base_url)
        if spec is not None and spec.takes_api_key:
            credential_field(key("credential_id"), choices.credentials, choices.unnamed, spec=spec)
        if spec is not None and Feature.BASE_URL in spec.features:
            st.text_input(
                "Base URL",
                key=key("base_url"),
                persist_state="session",
                placeholder=f"{choices.base_url}, the credential's"
                if choices.base_url
                else "the provider's own server",
                help="Of a server that speaks the same API, such as https://llm.example.org/v1.",
            )
        test = st.button(
            "Test the connection",
            icon=":material/network_check:",
            key=key("test"),
            help="Asks for the list of models with the key that would serve. It costs nothing.",
        )
        if checked is not None:
            connection_check(checked, label=provider_label(provider))
        return test


def prompt_fields(key: Key, *, variables: Sequence[str], fault: str | None) -> None:
    """Draws the kind, the prompts, and a field for the standing value of each variable in them.

    Args:
        key: The widgets' keys; of a variable's field it is that of `var.` and its name.
        variables: The names that the prompts ask for.
        fault: What is wrong with a prompt's template.
    """
    with st.container(border=True):
        st.markdown("**Prompts**")
        st.segmented_control(
            "Kind",
            get_args(AgentType),
            format_func=KIND_LABELS.__getitem__,
            required=True,
            key=key("agent_type"),
            persist_state="session",
            help=_KIND_HELP,
        )
        st.text_area(
            "System prompt",
            key=key("system_prompt"),
            persist_state="session",
            height=170,
            placeholder="How the model should behave. It may hold {{variables}}.",
        )
        st.text_area(
            "Prompt",
            key=key("prompt"),
            persist_state="session",
            height=210,
            placeholder="What is asked where a run brings no prompt of its own. It may hold {{variables}}.",
        )
        if fault:
            st.caption(f":red[{literal(fault)}]")
        if variables:
            st.caption("Standing values: what a variable is where a run gives it no value.")
            with st.grid(2, min_column_width=190):
                for name in variables:
                    st.text_input(
                        name, key=key(f"var.{name}"), persist_state="session", placeholder="each run gives it"
                    )


def parameter_section(
    key: Key,
    *,
    takes: frozenset[Feature],
    efforts: Sequence[ReasoningEffort],
    stops: Sequence[str],
    left_out: Sequence[str],
) -> None:
    """Draws the parameters and, folded, what is rarely needed."""
    with st.container(border=True):
        st.markdown("**Parameters**")
        st.caption("An empty field is not sent: the model's own default holds.")
        parameter_fields(takes, efforts=efforts, key=key, stops=stops)
        if left_out:
            st.caption(
                f":orange[:material/warning: This model does not take {literal(', '.join(left_out))}: "
                "it is not saved with it.]"
            )
        with st.expander("Context and form of the answer", icon=":material/data_object:"):
            _json_field(
                "Context (JSON)",
                key("context"),
                what="The context",
                placeholder='{"customer": {"tier": "gold"}}',
                help="Reaches the model as a block of JSON before the prompt.",
            )
            if Feature.RESPONSE_SCHEMA in takes:
                _json_field(
                    "JSON schema of the answer",
                    key("response_schema"),
                    what="The JSON schema",
                    placeholder='{"type": "object", "properties": {"answer": {"type": "string"}}}',
                    help="The model's answer is then JSON that follows it.",
                )


def backend_section(key: Key) -> None:
    """Draws where it runs."""
    with st.container(border=True):
        st.segmented_control(
            "Backend",
            [choice.value for choice in BackendChoice],
            format_func=_BACKEND_LABELS.__getitem__,
            required=True,
            key=key("backend"),
            persist_state="session",
            help=_BACKEND_HELP,
        )
        st.toggle(
            "Run again where the outcome is unknown",
            key=key("retry_on_unknown"),
            persist_state="session",
            help="When a connection to AWS Lambda is lost after the request was sent, nobody knows whether it was "
            "completed. Run again, it may be billed twice.",
        )


def _json_field(label: str, key: str, *, what: str, placeholder: str, help: str) -> None:
    text = st.text_area(
        label, key=key, persist_state="session", height=120, placeholder=placeholder, help=help
    )
    try:
        parse_object(text or "", what=what)
    except InvalidInput as exc:
        st.caption(f":red[{literal(str(exc))}]")
