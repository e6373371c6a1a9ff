"""The parts of a column that both modes draw: its agent, its model, its parameters, what a run may cost."""

from collections.abc import Sequence
from typing import get_args

import streamlit as st

from core.contract import ReasoningEffort
from core.execution.choice import BackendChoice
from core.providers import registry
from core.services.credentials import Unnamed
from core.services.run_view import RunView
from dashboard import queries, routes, state
from dashboard.backend import application
from dashboard.components import playground_configuration as configuration
from dashboard.components import playground_draft as draft
from dashboard.components import playground_prompt as prompt_view
from dashboard.components.backend_choice import backend_choice, whereabouts_line
from dashboard.components.failure import literal
from dashboard.playground import actions, dialogs, opening
from dashboard.playground.actions import Column

_CHANGED = configuration.Changed(
    agent=opening.choose_agent, version=opening.choose_version, provider=opening.choose_provider
)


def choices_of(column: Column) -> configuration.Choices:
    """What the column can choose from."""
    provider = draft.field(column.slot, "provider")
    spec = registry.specs().get(provider)
    return configuration.Choices(
        agents=queries.agents(),
        versions=queries.agent_versions(column.agent.id) if column.agent else [],
        models=queries.model_names(provider) if spec else [],
        price=queries.model_price(provider, draft.field(column.slot, "model", ""), column.base_url)
        if spec
        else None,
        credentials=[one for one in queries.credentials() if one.provider == provider],
        unnamed=queries.unnamed_key(provider, draft.field(column.slot, "base_url") or None)
        if spec
        else Unnamed(),
        base_url=column.base_url,
        takes=column.takes,
        efforts=spec.efforts_of(draft.field(column.slot, "model", ""), base_url=column.base_url)
        if spec
        else get_args(ReasoningEffort),
    )


def head(column: Column, choices: configuration.Choices, *, chat: bool) -> None:
    """Draws agent, version, menu, provider and model."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        with st.container():
            configuration.choose_agent(column.slot, choices, _CHANGED)
        dialogs.menu(column, chat=chat)
    _model(column, choices)


def in_popover(column: Column, choices: configuration.Choices) -> None:
    """Draws all of the configuration, one part below the other."""
    configuration.choose_agent(column.slot, choices, _CHANGED)
    _model(column, choices)
    configuration.system_prompt(column.slot)
    if not draft.is_first(column.slot):
        prompt_view.own_prompt(column.slot)
    backend(column, chat=False)
    configuration.parameters(column.slot, choices)


def _model(column: Column, choices: configuration.Choices) -> None:
    configuration.choose_model(column.slot, choices, _CHANGED)
    configuration.price_line(column.slot, choices)
    configuration.credential(column.slot, choices)
    if column.edited and column.version is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":orange-badge[edited] Differs from version {column.version.number}", width="content")
            st.button(
                "Undo",
                key=state.playground_field(column.slot, "undo"),
                type="tertiary",
                on_click=opening.reload_version,
                args=(column.slot,),
            )


def folded_parameters(column: Column, choices: configuration.Choices) -> None:
    """Draws the parameters, folded; the label says how many have a value."""
    count = configuration.parameter_count(column.slot, column.takes)
    label = f"Parameters · {count} set" if count else "Parameters"
    with st.expander(label, icon=":material/tune:", key=state.playground_field(column.slot, "parameters")):
        configuration.parameters(column.slot, choices)


def backend(column: Column, *, chat: bool) -> None:
    """Draws where a run goes; where no function is set up, only if something else than this machine is chosen."""
    key = state.playground_field(column.slot, "backend")
    set_up = application().lambda_breaker is not None
    if not set_up and st.session_state.get(key) in {
        None,
        BackendChoice.AUTO.value,
        BackendChoice.LOCAL.value,
    }:
        return
    backend_choice(key)
    found = actions.whereabouts(column.slot, chat=chat)
    if found is not None:
        whereabouts_line(*found, offline=column.offline)


def estimate(column: Column, *, before: str) -> None:
    """Draws what a run may take and cost; nothing while it cannot be run."""
    if column.estimate is not None:
        line = prompt_view.estimate_line(column.estimate, offline=column.offline)
        st.caption(f":material/calculate: {before}: {literal(line)}")


def card_caption(column: Column) -> None:
    """Draws which agent a card is of, and what a run may cost."""
    of = f"{column.agent.name} v{column.version.number}" if column.agent and column.version else "No agent"
    mark = " · :orange[edited]" if column.edited else ""
    cost = ""
    if column.estimate is not None:
        cost = prompt_view.cost_text(column.estimate, offline=column.offline)
    st.caption(f"{literal(of)}{mark}  \n{literal(cost)}")


def of_another_model(column: Column, run: RunView) -> None:
    """Says whose answer it is, if another model has been chosen since."""
    if (run.provider, run.model) != (draft.field(column.slot, "provider"), draft.field(column.slot, "model")):
        st.caption(f":orange[The answer of {literal(run.model)}, run before the change]")


def fault(column: Column) -> bool:
    """Draws why the column cannot be run as it is, loudly once it was asked to; False if it can."""
    if column.fault is None:
        return False
    if _was_asked(column):
        st.error(literal(column.fault), title="Not started", icon=":material/error:")
    else:
        st.warning(literal(column.fault), title="Before this can run", icon=":material/edit_note:")
    if column.needs_key:
        routes.page_link(routes.SETTINGS, "Add a credential", icon=":material/key:")
    return True


def not_started(columns: Sequence[Column]) -> None:
    """Draws why nothing was started: the database, say, or that one of several columns is not right."""
    if reason := st.session_state.get(state.PLAYGROUND_NOT_STARTED):
        st.error(literal(reason), title="Not started", icon=":material/error:")
    faulty = [draft.letter(column.slot) for column in columns if column.fault and _was_asked(column)]
    if faulty and len(columns) > 1:
        which = f"column {faulty[0]}" if len(faulty) == 1 else f"columns {', '.join(faulty)}"
        st.error(f"Nothing was started. Change {which} first, or remove it.", icon=":material/error:")


def _was_asked(column: Column) -> bool:
    return column.slot in st.session_state.get(state.PLAYGROUND_FAULTS, ())
