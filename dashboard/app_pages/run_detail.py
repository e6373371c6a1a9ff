"""One run: what was asked, what came back, what it took. Also while it is under way, and beside another."""

import streamlit as st

from core.errors import InvocationError
from core.storage.records import RunStatus, RunSummary
from dashboard import routes, state
from dashboard.backend import application, principal
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal
from dashboard.components.run_filters import last_address
from dashboard.components.run_header import RunAction, run_header
from dashboard.runs.detail_view import beside, under_way, whole
from dashboard.runs.lookup import asked_for, find, others_of


def nothing_there() -> None:
    """Says that the address leads nowhere, and where to go."""
    given = st.query_params.get(state.RUN_ID, "")
    text = f"No run here has the id {given}." if given else "The address of a run's page carries its id."
    with empty_state("There is no such run", literal(text), icon=":material/search_off:"):
        routes.page_link(routes.RUNS, "All runs", icon=":material/list_alt:")


def act(action: RunAction, run: RunSummary) -> None:
    """Does what the header's buttons ask for."""
    if action.compare_with is not None:
        st.query_params[state.RUN_COMPARE] = str(action.compare_with)
        st.rerun()
    if action.replay:
        try:
            live = application().runs.replay(principal(), run.id)
        except InvocationError as exc:
            st.error(literal(exc.message), icon=":material/error:", title="It cannot be run again like this")
        else:
            st.switch_page(routes.RUN_DETAIL, query_params={state.RUN_ID: str(live.run_id)})


detail = find(asked_for(state.RUN_ID))
if detail is None:
    nothing_there()
else:
    run = detail.summary
    st.set_page_config(page_title=f"{run.agent_name or 'Ad-hoc run'} {str(run.id)[:8]} · Agent Launcher")
    compare_with = asked_for(state.RUN_COMPARE)
    action = run_header(run, others=others_of(run), back_to=last_address(), beside=compare_with is not None)
    act(action, run)
    if compare_with is not None:
        beside(detail, compare_with)
    elif run.status is RunStatus.RUNNING:
        under_way(detail)
    else:
        whole(detail)
