"""Costs: what a prompt or an agent would cost on every known model, before anything is run."""

import streamlit as st

from core.providers import registry
from core.services.cost_guidance import Guidance
from core.services.model_cost import ModelCost
from dashboard import queries, routes, state
from dashboard.components import playground_draft as draft
from dashboard.components.cost_inputs import (
    CostQuestion,
    clear_cost_filters,
    cost_filters,
    cost_question,
    workload_line,
)
from dashboard.components.cost_table import cost_csv, cost_metrics, cost_table, found
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal
from dashboard.components.header import page_header
from dashboard.components.tables import csv_text


def page() -> None:
    """Draws the page."""
    with page_header("Costs", "What a prompt would cost on every known model, the cheapest first"):
        download = st.container(width="content")
    agents = {agent.name: agent for agent in queries.agents()}
    with st.container(border=True, gap="small"):
        question = cost_question(agents)
        said = st.container(gap=None)
    choice = cost_filters(list(registry.specs()), ending=queries.models_are_ending())
    with st.skeleton(height=480):
        guidance = queries.cost_guidance(question.asked, question.text, question.agent_id, choice.only)
    models = found(guidance.models, choice.search)
    with said:
        if guidance.baseline is not None and guidance.baseline.reason is not None:
            st.caption(f"What it costs now is unknown. {literal(guidance.baseline.reason)}")
        st.caption(workload_line(guidance.workload))
    if not models:
        _nothing()
        return
    with download:
        st.download_button(
            "Download CSV",
            lambda: csv_text(cost_csv(models)),
            file_name="costs.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    cost_metrics(guidance, models)
    chosen = cost_table(models, with_baseline=guidance.baseline is not None)
    _below(guidance)
    if chosen is not None:
        _try(chosen, question)


def _below(guidance: Guidance) -> None:
    left_out = f" {guidance.deprecated} whose end is announced are left out." if guidance.deprecated else ""
    st.caption(
        "Prices are the vendors' lists below your own. Prices that nobody knows are unknown, and stand last with the "
        f"reason; the offline demo's $0.00 is no real price.{left_out}"
    )
    with st.container(horizontal=True):
        routes.page_link(
            routes.SETTINGS,
            "Prices of your own",
            icon=":material/price_change:",
            params={state.SETTINGS_SECTION: "Prices"},
        )
        routes.page_link(
            routes.SETTINGS,
            "Credentials",
            icon=":material/key:",
            params={state.SETTINGS_SECTION: "Credentials"},
        )


def _nothing() -> None:
    with empty_state("No model here", "No known model passes the filters.", icon=":material/search_off:"):
        st.button("Clear filters", icon=":material/filter_alt_off:", on_click=clear_cost_filters)


def _try(model: ModelCost, question: CostQuestion) -> None:
    params = {state.PLAYGROUND_PROVIDER: model.provider, state.PLAYGROUND_MODEL: model.model}
    if model.base_url is not None:
        params[state.PLAYGROUND_SERVER] = model.base_url
    if question.agent_id is not None:
        params[state.AGENT_ID] = str(question.agent_id)
    elif question.text:
        draft.type_prompt(question.text)
    st.switch_page(routes.PLAYGROUND, query_params=params)


page()
