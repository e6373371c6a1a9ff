"""What the usage page shows: split and filters in one row, all of them in the URL."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.providers import registry
from core.storage.records import Dimension, RunFilter
from dashboard import state
from dashboard.components.marks import provider_label
from dashboard.components.run_filters import FilterOptions

SPLITS: Final = {Dimension.PROVIDER: "Provider", Dimension.MODEL: "Model", Dimension.AGENT: "Agent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChoice:
    """What is chosen. The filter has no bounds of time."""

    split: Dimension
    run_filter: RunFilter


def usage_filters(options: FilterOptions) -> UsageChoice:
    """Draws the row. The filters have the keys of the runs page: what is chosen here is chosen there."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        split = st.segmented_control(
            "Split by",
            list(SPLITS),
            default=Dimension.MODEL,
            required=True,
            format_func=SPLITS.__getitem__,
            key=state.USAGE_SPLIT,
            bind="query-params",
        )
        providers = st.multiselect(
            "Provider",
            list(registry.specs()),
            placeholder="Any provider",
            format_func=provider_label,
            label_visibility="collapsed",
            key=state.RUNS_PROVIDER,
            bind="query-params",
        )
        models = st.multiselect(
            "Model",
            options.models,
            placeholder="Any model",
            label_visibility="collapsed",
            accept_new_options=True,
            key=state.RUNS_MODEL,
            bind="query-params",
        )
        agents = st.multiselect(
            "Agent",
            list(options.agents),
            placeholder="Any agent",
            label_visibility="collapsed",
            key=state.RUNS_AGENT,
            bind="query-params",
        )
    return UsageChoice(
        split=split or Dimension.MODEL,
        run_filter=RunFilter(
            providers=tuple(providers),
            models=tuple(models),
            agent_ids=tuple(options.agents[name] for name in agents if name in options.agents),
        ),
    )


def clear_usage_filters() -> None:
    """Takes the filters away; split and range stay."""
    for key in (state.RUNS_PROVIDER, state.RUNS_MODEL, state.RUNS_AGENT):
        st.session_state[key] = []
