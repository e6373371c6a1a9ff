"""What the costs page asks: a prompt or an agent, tokens, runs, and which models to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import streamlit as st

from core.services.cost_guidance import GuidanceFilter
from core.services.workload import (
    DAYS_PER_MONTH,
    MAX_RUNS,
    MAX_TOKENS_PER_RUN,
    Basis,
    Per,
    Workload,
    WorkloadAsked,
)
from core.storage.records import AgentRecord
from dashboard import formatting, state
from dashboard.components.failure import literal
from dashboard.components.marks import provider_label, provider_mark

_PER_LABELS = {Per.DAY: "day", Per.MONTH: "month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuestion:
    """What was asked. The text is the prompt, where there is no agent."""

    asked: WorkloadAsked
    text: str
    agent_id: UUID | None


def cost_question(agents: Mapping[str, AgentRecord]) -> CostQuestion:
    """Draws the fields.

    Args:
        agents: By name.
    """
    left, right = st.columns([4, 6], gap="medium")
    with left:
        name = st.selectbox(
            "Compare with an agent",
            list(agents),
            index=None,
            placeholder="None: a prompt of your own",
            help="Its prompt is priced, and every model is compared with its own.",
            key=state.COSTS_AGENT,
            bind="query-params",
        )
        text = ""
        if name is None:
            text = (
                st.text_area(
                    "Prompt",
                    height=110,
                    placeholder="Paste everything that one run sends: system prompt, prompt, context.",
                    key=state.COSTS_PROMPT,
                    persist_state="session",
                )
                or ""
            )
        else:
            _agent(agents[name])
    with right:
        tokens, output = st.columns(2)
        with tokens:
            input_tokens = _number("Input tokens a run", state.COSTS_INPUT, highest=MAX_TOKENS_PER_RUN)
            cached = _number(
                "Cached input, %",
                state.COSTS_CACHED,
                highest=100,
                help="How much of the input the vendor reads from its prompt cache.",
            )
        with output:
            output_tokens = _number(
                "Output tokens a run",
                state.COSTS_OUTPUT,
                highest=MAX_TOKENS_PER_RUN,
                help="Reasoning is billed as output: count it in.",
            )
            count, per = st.columns([4, 5], vertical_alignment="bottom")
            with count:
                runs = _number("Runs per", state.COSTS_RUNS, highest=MAX_RUNS)
            with per:
                chosen = st.segmented_control(
                    "Per",
                    list(Per),
                    default=Per.DAY,
                    required=True,
                    format_func=_PER_LABELS.__getitem__,
                    label_visibility="collapsed",
                    key=state.COSTS_PER,
                    bind="query-params",
                )
    return CostQuestion(
        asked=WorkloadAsked(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_input_percent=cached,
            runs=runs,
            per=chosen or Per.DAY,
        ),
        text=text,
        agent_id=agents[name].id if name is not None else None,
    )


def _agent(agent: AgentRecord) -> None:
    config = agent.version.config
    with st.container(gap=None):
        st.markdown(
            f":small[:gray[Now]]  \n{provider_mark(str(config.get('provider', '')))} · "
            f"{literal(str(config.get('model_name', '')))} · v{agent.version.number}"
        )


def workload_line(workload: Workload) -> str:
    """What is priced, and where each figure comes from."""
    band = workload.input_band
    between = f": {formatting.count(band[0])} to {formatting.count(band[1])}" if band else ""
    runs = "1 run" if workload.measured_runs == 1 else f"{formatting.count(workload.measured_runs)} runs"
    measured = f"mean of {runs}"
    basis = {
        Basis.GIVEN: "",
        Basis.RUNS: f" ({measured})",
        Basis.TEXT: f" (by the prompt's length{between})",
        Basis.ASSUMED: " (assumed)",
    }
    runs_basis = {**basis, Basis.RUNS: f" (the last {DAYS_PER_MONTH} days)"}
    cached = (
        f", {workload.cached_input_percent} % of it cached{basis[workload.cached_basis]}"
        if workload.cached_input_percent
        else ""
    )
    return (
        f"Priced: {formatting.count(workload.input_tokens)} input tokens{basis[workload.input_basis]}{cached} and "
        f"{formatting.count(workload.output_tokens)} output tokens{basis[workload.output_basis]} a run, "
        f"{formatting.count(workload.runs_per_month)} runs a month of {DAYS_PER_MONTH} days"
        f"{runs_basis[workload.runs_basis]}. Vendors count the tokens of one text differently; attachments are "
        "not counted."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChoice:
    """Which models are shown. The search is part of a name."""

    only: GuidanceFilter
    search: str

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return bool(self.search) or bool(self.only.providers) or self.only.configured_only


def cost_filters(providers: Sequence[str], *, ending: bool) -> CostChoice:
    """Draws the row of filters.

    Args:
        providers: All of them.
        ending: Whether the end of any model is announced: only then there is a choice about it.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        search = st.text_input(
            "Model",
            type="search",
            placeholder="Model's name or use",
            icon=":material/search:",
            label_visibility="collapsed",
            key=state.COSTS_SEARCH,
            bind="query-params",
        )
        chosen = st.multiselect(
            "Provider",
            providers,
            placeholder="Any provider",
            format_func=provider_label,
            label_visibility="collapsed",
            key=state.COSTS_PROVIDERS,
            bind="query-params",
        )
        configured = st.toggle(
            "Configured only",
            help="Providers that need no key, or have one here or in the environment.",
            key=state.COSTS_CONFIGURED,
            bind="query-params",
        )
        deprecated = ending and st.toggle(
            "With ending models",
            help="Also models whose end the vendor has announced.",
            key=state.COSTS_DEPRECATED,
            bind="query-params",
        )
    return CostChoice(
        only=GuidanceFilter(providers=tuple(chosen), configured_only=configured, deprecated=deprecated),
        search=(search or "").strip(),
    )


def clear_cost_filters() -> None:
    """Takes the filters away; the question stays."""
    st.session_state[state.COSTS_SEARCH] = ""
    st.session_state[state.COSTS_PROVIDERS] = []
    st.session_state[state.COSTS_CONFIGURED] = False


def _number(label: str, key: str, *, highest: int, help: str | None = None) -> int | None:
    return st.number_input(
        label,
        min_value=0,
        max_value=highest,
        value=None,
        step=1,
        placeholder="auto",
        help=help,
        key=key,
        bind="query-params",
    )
