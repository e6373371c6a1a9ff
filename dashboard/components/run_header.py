"""The top of a run's page: what it is and what can be done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import streamlit as st

from core.storage.records import RunStatus, RunSummary
from dashboard import routes, state
from dashboard.components.header import page_header
from dashboard.components.marks import provider_mark, status_mark


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAction:
    """What was asked for.

    Attributes:
        replay: Run the same again.
        compare_with: Show this one beside it.
    """

    replay: bool = False
    compare_with: UUID | None = None


def run_header(
    run: RunSummary, *, others: Mapping[UUID, str], back_to: Mapping[str, Sequence[str]], beside: bool
) -> RunAction:
    """Draws title and buttons.

    Args:
        run: The run.
        others: Runs that are worth a comparison, with what they are.
        back_to: The parameters of the list that led here.
        beside: Whether another run is shown beside it.
    """
    title = run.agent_name or "Ad-hoc run"
    caption = f"{status_mark(run.status)} · {provider_mark(run.provider)} · {run.model}"
    under_way = run.status is RunStatus.RUNNING
    routes.page_link(routes.RUNS, "Runs", icon=":material/arrow_back:", params=back_to)
    with page_header(title, caption):
        if beside:
            # Here, and not below the way to the list: as a button of its own look it would stand out of line there.
            routes.here_link(
                "Back to the run",
                {state.RUN_COMPARE: None},
                icon=":material/arrow_back:",
                key="run-back",
                type="secondary",
            )
        compare_with = None if under_way else _compare(others)
        edit = st.button("Edit in the playground", icon=":material/edit:", key="run-edit")
        replay = st.button(
            "Replay",
            type="primary",
            icon=":material/replay:",
            disabled=under_way,
            help="Runs the same request again, with the key that serves now.",
            key="run-replay",
        )
    if edit:
        st.switch_page(routes.PLAYGROUND, query_params={state.PLAYGROUND_RUNS: str(run.id)})
    return RunAction(replay=replay, compare_with=compare_with)


def _compare(others: Mapping[UUID, str]) -> UUID | None:
    with st.popover("Compare", icon=":material/compare_arrows:", key="run-compare-menu"):
        with st.form("run-compare-form", border=False):
            typed = st.text_input("Id of the other run", key="run-compare-id", placeholder="0192f3a4-...")
            pressed = st.form_submit_button("Compare", icon=":material/compare_arrows:")
        if pressed:
            try:
                return UUID(typed.strip())
            except ValueError:
                st.error(
                    "This is not a run's id: copy it from the other run's page.", icon=":material/error:"
                )
        if others:
            st.caption("Or with one of these")
        for other_id, what in others.items():
            if st.button(what, key=f"run-compare-{other_id}", width="stretch", type="tertiary"):
                return other_id
    return None
