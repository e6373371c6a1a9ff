"""A run's page below its head: while it is under way, when it has ended, and beside another run."""

from uuid import UUID

import streamlit as st

from core.contract import utc_now
from core.errors import AgentLauncherError
from core.execution.choice import BackendChoice
from core.services.run_diff import diff_runs
from core.storage.records import RunDetail
from dashboard import queries, routes
from dashboard.backend import application, principal
from dashboard.components.answer_view import answer_view
from dashboard.components.cards import card
from dashboard.components.failure import literal
from dashboard.components.playground_result import result as answer_so_far
from dashboard.components.run_compare import run_compare
from dashboard.components.run_error import run_error
from dashboard.components.run_facts import run_facts, run_figures
from dashboard.components.run_lambda import backend_note, run_it_locally
from dashboard.components.run_live import run_live
from dashboard.components.run_money import money_by_part
from dashboard.components.run_request import run_request
from dashboard.components.run_timeline import attempts_errors, attempts_table, attempts_timeline
from dashboard.following import follow
from dashboard.runs.lambda_view import lambda_view
from dashboard.runs.lookup import find, version_of

LIVE_SECONDS = 0.5
ELSEWHERE_SECONDS = 2.0


def under_way(detail: RunDetail) -> None:
    """Draws a run that has not ended, again and again until it has."""
    live = application().runs.follow(principal(), detail.summary.id)
    elsewhere, unstored = live is None, live is not None and live.outcome is not None
    every = ELSEWHERE_SECONDS if elsewhere or unstored else LIVE_SECONDS
    follow(lambda: _while_under_way(detail.summary.id), every_s=every)
    with st.container(border=True):
        st.markdown("**Request**")
        run_request(detail.request)


def _while_under_way(run_id: UUID) -> bool:
    """Shows the run as it grows; False when its end is stored, and the whole page is to be drawn with it."""
    view = application().runs.view(principal(), run_id)
    if view.store_error:
        # The store still says RUNNING: drawing the page again would come back here at once, for ever.
        with st.container(border=True):
            answer_so_far(view, raw=False)
        return True
    if view.under_way and run_live(view):
        application().runs.stop(principal(), run_id)
    return view.under_way


def whole(detail: RunDetail) -> None:
    """Draws a run that has ended."""
    # Where the run was followed: a browser that has not got this drawing still asks for it there.
    follow(lambda: False, every_s=None)
    run = detail.summary
    run_error(run.status, code=run.error_code, message=detail.error_message)
    if run_it_locally(detail):
        _run_locally(run.id)
    backend_note(detail)
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
                attempts_errors(detail.attempts, shown=detail.error_message)
            lambda_view(detail.attempts)
    with right:
        with st.container(border=True):
            run_facts(detail, version=version_of(run), zone=queries.zone(), now=utc_now())
        with st.container(border=True, gap="xsmall"):
            st.markdown("**Tokens and cost**")
            money_by_part(run, detail.attempts)


def _run_locally(run_id: UUID) -> None:
    """Runs the same request on this machine, and goes there."""
    try:
        live = application().runs.replay(principal(), run_id, backend=BackendChoice.LOCAL)
    except AgentLauncherError as exc:
        st.error(literal(str(exc)), icon=":material/error:", title="It cannot be run here like this")
    else:
        routes.open_run(live.run_id)


def beside(detail: RunDetail, other_id: UUID) -> None:
    """Draws the run beside another one, the older on the left."""
    other = find(other_id)
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
