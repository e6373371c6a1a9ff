"""All runs: find them, open one, compare two, take them away as a file."""

from zoneinfo import ZoneInfo

import streamlit as st

from core.storage.records import RunFilter, RunPage, RunStatus
from dashboard import queries, routes, state
from dashboard.backend import application, principal
from dashboard.components.failure import literal
from dashboard.components.header import page_header
from dashboard.components.run_export import export_dialog
from dashboard.components.run_filters import (
    choose_range,
    first_page,
    is_filtered,
    just_sought,
    remember,
    run_filters,
    unknown_in_address,
)
from dashboard.components.run_list import list_bar, nothing_found, paging
from dashboard.components.run_table import TableChoice, run_table

PAGE_SIZE = 50
LIVE_SECONDS = 2.0
IDLE_SECONDS = 10.0


def page_to_show(run_filter: RunFilter, cursor: str | None) -> tuple[RunPage, str]:
    """The page, and the key of its table; the page shown before for as long as rows of it are ticked.

    Ticks are remembered by row: a run that comes in on top would move them to other runs.
    """
    place = (run_filter, cursor)
    key = f"runs-table-{hash(place):x}"
    kept = st.session_state.get(state.RUNS_SHOWN)
    if kept is not None and kept[0] == place and ticked_rows(key):
        return kept[1], key
    page = application().runs.page(principal(), run_filter, limit=PAGE_SIZE, cursor=cursor)
    st.session_state[state.RUNS_SHOWN] = (place, page)
    return page, key


def ticked_rows(key: str) -> list[int]:
    """The rows that are ticked in the table of that key."""
    return st.session_state.get(key, {}).get("selection", {}).get("rows", [])


def run_list(run_filter: RunFilter, zone: ZoneInfo) -> None:
    """The table with what stands around it; drawn again by itself while runs are under way."""
    page, key = page_to_show(run_filter, st.query_params.get(state.RUNS_CURSOR))
    if not page.runs:
        nothing_found(filtered=is_filtered(run_filter))
        return
    bar = st.container()
    choice = run_table(page.runs, zone=zone, key=key)
    with bar:
        compare = list_bar(
            shown=len(page.runs),
            total=total_of(page, run_filter),
            under_way=sum(run.status is RunStatus.RUNNING for run in page.runs),
            ticked=len(choice.selected),
            filtered=is_filtered(run_filter),
        )
    turn_to = paging(page)
    if turn_to is not None:
        if turn_to:
            st.query_params[state.RUNS_CURSOR] = turn_to
        else:
            first_page()
        st.rerun()
    follow(choice, compare=compare)


def total_of(page: RunPage, run_filter: RunFilter) -> int:
    """How many runs pass the filter; counted only where there are more than the page shows."""
    if page.next_cursor is None and page.previous_cursor is None:
        return len(page.runs)
    return queries.run_count(run_filter)


def follow(choice: TableChoice, *, compare: bool) -> None:
    """Goes where a click in the list leads."""
    if choice.opened is not None:
        routes.open_run(choice.opened)
    if compare and len(choice.selected) == 2:
        newer, older = choice.selected
        st.switch_page(
            routes.RUN_DETAIL, query_params={state.RUN_ID: str(newer), state.RUN_COMPARE: str(older)}
        )


with page_header("Runs", "Every run with its request, answer, time and cost; newest first"):
    # In here, so that the page has its title where the database fails.
    zone = queries.zone()
    options = queries.run_filter_options()
    unknown = unknown_in_address(options)
    chosen_range = choose_range(zone)
    export = st.button("Export", icon=":material/download:", key="runs-export")
run_filter = run_filters(options, chosen_range=chosen_range, zone=zone)
remember()
if unknown:
    st.warning(literal(unknown), icon=":material/filter_alt_off:")
if export:
    export_dialog(
        runs=queries.run_count(run_filter),
        filtered=repr(run_filter),
        start=lambda form: application().exports.start(principal(), run_filter, form=form).id,
        find=lambda job_id: application().exports.get(principal(), job_id),
        stop=lambda job_id: application().exports.cancel(principal(), job_id),
    )

first_runs, table_key = page_to_show(run_filter, st.query_params.get(state.RUNS_CURSOR))
if run_filter.ids is not None and just_sought() and len(first_runs.runs) == 1:
    routes.open_run(first_runs.runs[0].id)
if ticked_rows(table_key) or state.RUNS_CURSOR in st.query_params:
    every = None
else:
    every = LIVE_SECONDS if any(run.status is RunStatus.RUNNING for run in first_runs.runs) else IDLE_SECONDS
st.fragment(run_list, run_every=every, key="runs-list")(run_filter, zone)
