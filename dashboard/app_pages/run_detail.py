"""One run: what was asked, what came back, what it took. Also while it is under way, and beside another."""

from uuid import UUID

import streamlit as st

from core.contract import utc_now
from core.errors import InvocationError, NotFound
from core.services.run_diff import diff_runs
from core.storage.records import AgentVersionRecord, RunDetail, RunFilter, RunStatus, RunSummary
from dashboard import formatting, queries, routes, state
from dashboard.backend import application, principal
from dashboard.components.answer_view import answer_view
from dashboard.components.cards import card
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal
from dashboard.components.playground_result import result as answer_so_far
from dashboard.components.run_compare import run_compare
from dashboard.components.run_error import run_error
from dashboard.components.run_facts import run_facts, run_figures
from dashboard.components.run_filters import last_address
from dashboard.components.run_header import RunAction, run_header
from dashboard.components.run_live import run_live
from dashboard.components.run_money import money_by_part
from dashboard.components.run_request import run_request
from dashboard.components.run_timeline import attempts_table, attempts_timeline

LIVE_SECONDS = 0.5
ELSEWHERE_SECONDS = 2.0


def asked_for(parameter: str) -> UUID | None:
    """The run id in the address, if it is one."""
    try:
        return UUID(st.query_params.get(parameter, ""))
    except ValueError:
        return None


def find(run_id: UUID | None) -> RunDetail | None:
    """The run, or None where there is none of that id."""
    try:
        return None if run_id is None else application().runs.get(principal(), run_id)
    except NotFound:
        return None


def nothing_there() -> None:
    """Says that the address leads nowhere, and where to go."""
    given = st.query_params.get(state.RUN_ID, "")
    text = f"No run here has the id {given}." if given else "The address of a run's page carries its id."
    with empty_state("There is no such run", literal(text), icon=":material/search_off:"):
        routes.page_link(routes.RUNS, "All runs", icon=":material/list_alt:")


def others_of(run: RunSummary) -> dict[UUID, str]:
    """Runs worth a comparison: the one it repeats, those started with it, those of its agent before it."""
    runs = application().runs
    found: dict[UUID, str] = {}
    if run.replay_of is not None:
        found[run.replay_of] = "The run that this one repeats"
    now = utc_now()
    if run.group_id is not None:
        for other in runs.page(principal(), RunFilter(group_id=run.group_id), limit=7).runs:
            found.setdefault(other.id, f"Started together: {other.model}")
    if run.agent_id is not None:
        recent = RunFilter(agent_ids=(run.agent_id,), until=run.created_at)
        for other in runs.page(principal(), recent, limit=4).runs:
            found.setdefault(other.id, f"{other.model}, {formatting.ago(other.created_at, now)}")
    found.pop(run.id, None)
    return found


def version_of(run: RunSummary) -> AgentVersionRecord | None:
    """The agent's version that ran, if it was an agent."""
    if run.agent_version_id is None:
        return None
    try:
        return application().agents.version(principal(), run.agent_version_id)
    except NotFound:
        return None


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


def while_under_way(run_id: UUID) -> None:
    """Shows the run as it grows; when its end is stored, the whole page is drawn with it."""
    view = application().runs.view(principal(), run_id)
    if view.store_error:
        # The store still says RUNNING: drawing the page again would come back here at once, for ever.
        with st.container(border=True):
            answer_so_far(view, raw=False)
        return
    if not view.under_way:
        st.rerun()
    if run_live(view):
        application().runs.stop(principal(), run_id)


def whole(detail: RunDetail) -> None:
    """Draws a run that has ended."""
    run = detail.summary
    run_error(run.status, code=run.error_code, message=detail.error_message)
    run_figures(detail)
    left, right = st.columns([2.2, 1], gap="small")
    with left:
        with st.container(border=True):
            st.markdown("**Answer**")
            if detail.response:
                answer_view(detail.response, key="run-answer")
            else:
                st.caption("No text was received.")
        with st.container(border=True):
            st.markdown("**Request**")
            run_request(detail.request)
        if detail.attempts:
            with card("Attempts", "Each try at this run, in seconds since it was stored"):
                attempts_timeline(detail.attempts, started_at=run.created_at)
                attempts_table(detail.attempts)
    with right:
        with st.container(border=True):
            run_facts(detail, version=version_of(run), zone=queries.zone(), now=utc_now())
        with st.container(border=True, gap="xsmall"):
            st.markdown("**Tokens and cost**")
            money_by_part(run, detail.attempts)


def beside(detail: RunDetail, other_id: UUID) -> None:
    """Draws the run beside another one, the older on the left."""
    other = find(other_id)
    routes.here_link(
        "Back to the run", {state.RUN_COMPARE: None}, icon=":material/arrow_back:", key="run-back"
    )
    if other is None:
        st.warning(f"There is no run {other_id} to compare with.", icon=":material/search_off:")
        return
    old, new = sorted((other, detail), key=lambda d: d.summary.id)
    zone = queries.zone()
    run_compare(
        diff_runs(old, new),
        old_title=f"{old.summary.created_at.astimezone(zone):%d %b, %H:%M:%S}",
        new_title=f"{new.summary.created_at.astimezone(zone):%d %b, %H:%M:%S}",
    )


detail = find(asked_for(state.RUN_ID))
if detail is None:
    nothing_there()
else:
    run = detail.summary
    act(run_header(run, others=others_of(run), back_to=last_address()), run)
    compare_with = asked_for(state.RUN_COMPARE)
    if compare_with is not None:
        beside(detail, compare_with)
    elif detail.summary.status is RunStatus.RUNNING:
        live = application().runs.follow(principal(), detail.summary.id)
        elsewhere, unstored = live is None, live is not None and live.outcome is not None
        every = ELSEWHERE_SECONDS if elsewhere or unstored else LIVE_SECONDS
        st.fragment(while_under_way, run_every=every)(detail.summary.id)
        with st.container(border=True):
            st.markdown("**Request**")
            run_request(detail.request)
    else:
        whole(detail)
