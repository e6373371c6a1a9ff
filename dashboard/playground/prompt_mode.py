"""The playground's prompt mode: one column with its answer beside it, or up to six side by side."""

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.services.comparison import Comparison, compare
from core.services.run_view import RunView
from dashboard import routes, state
from dashboard.components import playground_comparison as comparison_view
from dashboard.components import playground_configuration as configuration
from dashboard.components import playground_draft as draft
from dashboard.components import playground_prompt as prompt_view
from dashboard.components import playground_result as result_view
from dashboard.following import follow
from dashboard.playground import actions, column_view, dialogs
from dashboard.playground.actions import Column

POLL_SECONDS = 0.25

Places = Mapping[int, DeltaGenerator]
"""Where each column's answer stands; and under -1 what is said of all of them."""


def prompt_mode(*, under_way: bool) -> None:
    """Draws it.

    Args:
        under_way: Whether one of the runs on show has not ended; they are followed then.
    """
    columns = [actions.column(slot) for slot in draft.slots()]
    places = _alone(columns[0]) if len(columns) == 1 else _side_by_side(columns)

    def draw() -> bool:
        runs = actions.views()
        if len(columns) == 1:
            with places[columns[0].slot]:
                _answer(columns[0], runs.get(columns[0].slot))
        else:
            _answers(columns, runs, places)
        return any(run.under_way for run in runs.values())

    follow(draw, every_s=POLL_SECONDS if under_way else None)


# One column


def _alone(column: Column) -> Places:
    left, right = st.columns([6, 7], gap="medium")
    choices = column_view.choices_of(column)
    with left:
        with st.container(border=True, gap="xsmall"):
            column_view.head(column, choices, chat=False)
        with st.container(border=True, gap="small"):
            configuration.system_prompt(column.slot)
            _prompt([column])
            prompt_view.variables(column.variables, missing=column.missing)
            column_view.folded_parameters(column, choices)
            _context_and_files([column])
            column_view.backend(column, chat=False)
            column_view.estimate(column, before="Before running")
    return {column.slot: right.container(border=True, gap="small")}


def _answer(column: Column, run: RunView | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**Answer**", width="content")
        if run is not None:
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.toggle("Plain text", key=state.PLAYGROUND_RAW, persist_state="session")
                routes.run_link(run.run_id, "Open run", icon=":material/arrow_outward:")
    column_view.not_started([column])
    faulty = column_view.fault(column)
    if run is None:
        if not faulty:
            st.caption(
                "Press **Run**. The answer appears here as it is written, with its tokens, latency and cost "
                "below. The run is stored."
            )
        return
    column_view.of_another_model(column, run)
    result_view.result(run, raw=bool(st.session_state.get(state.PLAYGROUND_RAW)))
    if run.under_way:
        result_view.progress(run, stop=None, key="")
    else:
        result_view.figures(run)


# Side by side


def _side_by_side(columns: list[Column]) -> Places:
    with st.container(border=True):
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _prompt(columns)
            _context_and_files(columns)
        with right:
            prompt_view.variables(
                list(dict.fromkeys(name for column in columns for name in column.variables)),
                missing=frozenset[str]().union(*(column.missing for column in columns)),
            )
    places: dict[int, DeltaGenerator] = {-1: st.container()}
    for column, card in zip(columns, comparison_view.card_grid(len(columns)), strict=True):
        with card:
            _card_head(column)
        places[column.slot] = card.container(gap="small")
    return places


def _card_head(column: Column) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.badge(draft.letter(column.slot), color="gray")
        with st.popover(
            configuration.summary(column.slot),
            icon=":material/tune:",
            width="stretch",
            key=state.playground_field(column.slot, "configuration"),
        ):
            column_view.in_popover(column, column_view.choices_of(column))
        dialogs.menu(column, chat=False)
    column_view.card_caption(column)


def _answers(columns: list[Column], runs: Mapping[int, RunView], places: Places) -> None:
    comparison = compare(list(runs.values()))
    height = comparison_view.answer_height(list(runs.values()), len(columns))
    with places[-1]:
        column_view.not_started(columns)
        if runs:
            letters = {run.run_id: draft.letter(slot) for slot, run in runs.items()}
            comparison_view.summary(comparison, list(runs.values()), letters)
    for column in columns:
        with places[column.slot]:
            _card_answer(column, runs.get(column.slot), comparison, height)


def _card_answer(column: Column, run: RunView | None, comparison: Comparison, height: int) -> None:
    faulty = column_view.fault(column)
    if run is None:
        if not faulty:
            st.caption("Not run yet")
        return
    column_view.of_another_model(column, run)
    result_view.result(run, raw=bool(st.session_state.get(state.PLAYGROUND_RAW)), height=height)
    if run.under_way:
        result_view.progress(run, stop=actions.stop, key=f"playground.stop.{column.slot}")
        return
    comparison_view.foot(run, comparison)


# Both


def _prompt(columns: list[Column]) -> None:
    version = columns[0].version
    prompt_view.prompt(
        agent_prompt=str(version.config.get("prompt") or "") if version else "",
        use_agent_prompt=draft.use_prompt,
    )


def _context_and_files(columns: list[Column]) -> None:
    with st.expander(
        prompt_view.context_summary(), icon=":material/attach_file:", key="playground.context_and_files"
    ):
        prompt_view.context()
        prompt_view.files([actions.reads(column.slot) for column in columns], forget=draft.forget_files)
