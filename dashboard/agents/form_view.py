"""An agent's form with what the services know: prices, models, keys, and whether the vendor answers."""

from uuid import UUID

import streamlit as st

from core.errors import AgentLauncherError, InvalidRequest
from core.providers import registry
from core.services.connections import ConnectionTest
from core.services.credentials import Unnamed
from core.services.templating import variables_of
from dashboard import queries, state
from dashboard.agents import drafts
from dashboard.agents.drafts import Draft
from dashboard.components.agent_form import (
    ModelChoices,
    backend_section,
    model_fields,
    name_fields,
    parameter_section,
    prompt_fields,
)
from dashboard.components.marks import provider_label

Asked = tuple[str, UUID | None, str | None]
"""What a test of the connection depends on: provider, credential, base URL."""


def form_view(draft: Draft) -> None:
    """Draws the whole form."""
    left, right = st.columns([1.5, 1], gap="small")
    with right:
        provider = str(draft.value("provider") or "")
        asked: Asked = (provider, drafts.credential_of(draft), drafts.base_url_of(draft))
        checked = _checked(asked)
        choices = _choices(draft, provider, checked)
        if model_fields(
            draft.key,
            provider,
            choices,
            checked=checked,
            on_provider=lambda: drafts.take_default_model(draft),
        ):
            _check(asked)
            st.rerun()
        parameter_section(
            draft.key,
            takes=drafts.takes(draft),
            efforts=drafts.efforts(draft),
            stops=draft.value("stop") or (),
            left_out=drafts.left_out(draft),
        )
        backend_section(draft.key)
    with left:
        name_fields(draft.key)
        names, fault = prompt_variables(draft)
        prompt_fields(draft.key, variables=names, fault=fault)


def prompt_variables(draft: Draft) -> tuple[tuple[str, ...], str | None]:
    """The variables that the prompts ask for, and what is wrong with the prompts."""
    try:
        return variables_of(draft.value("system_prompt"), draft.value("prompt")), None
    except InvalidRequest as exc:
        return (), exc.message


def _choices(
    draft: Draft, provider: str, checked: ConnectionTest | AgentLauncherError | None
) -> ModelChoices:
    from_vendor = isinstance(checked, ConnectionTest)
    if from_vendor:
        models = [model.name for model in checked.models]
    else:
        models = queries.model_names(provider) if provider in registry.specs() else []
    model, server = str(draft.value("model_name") or "").strip(), drafts.server_of(draft)
    return ModelChoices(
        models=models,
        from_vendor=from_vendor,
        model=model,
        price=queries.model_price(provider, model, server) if model else None,
        credentials=[one for one in queries.credentials() if one.provider == provider],
        unnamed=queries.unnamed_key(provider, drafts.base_url_of(draft))
        if provider in registry.specs()
        else Unnamed(),
        base_url=server,
    )


def _checked(asked: Asked) -> ConnectionTest | AgentLauncherError | None:
    kept = st.session_state.get(state.AGENT_CHECKED)
    return kept[1] if kept is not None and kept[0] == asked else None


def _check(asked: Asked) -> None:
    provider, credential_id, base_url = asked
    with st.spinner(f"Asking {provider_label(provider)} for its models"):
        try:
            result: ConnectionTest | AgentLauncherError = queries.vendor_models(
                provider, credential_id, base_url, fresh=True
            )
        except AgentLauncherError as exc:
            result = exc
    st.session_state[state.AGENT_CHECKED] = (asked, result)
