"""The logs page below its filters: the lines, read once or again and again."""

import streamlit as st

from core.contract import utc_now
from core.errors import AgentLauncherError
from core.services.log_lines import FOLLOW_SECONDS, LogOrigin, LogQuery
from dashboard import formatting, queries
from dashboard.backend import application, principal
from dashboard.components.doc_door import doc_door
from dashboard.components.empty_state import empty_state
from dashboard.components.log_filters import LogChoice, clear_log_filters
from dashboard.components.log_view import log_failure, log_lines
from dashboard.following import follow

LIMIT = 500


def log_view(choice: LogChoice) -> None:
    """Draws the lines, and again and again while it is live."""

    def draw() -> bool:
        _draw(choice)
        return choice.live

    follow(draw, every_s=FOLLOW_SECONDS if choice.live else None)


def no_function() -> None:
    """Says why there is one log only."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            "No function on AWS Lambda is named here: this installation's own log is the only one.",
            width="content",
        )
        doc_door("lambda.md", "How to deploy the function", key="lambda-docs")


def _draw(choice: LogChoice) -> None:
    now = utc_now()
    query = LogQuery(since=now - choice.back, level=choice.level, text=choice.text, limit=LIMIT)
    try:
        with st.spinner("Reading the log", show_time=True):
            page = application().logs.read(principal(), choice.origin, query)
    except AgentLauncherError as exc:
        log_failure(exc)
        if st.button("Try again", icon=":material/refresh:", key="logs-again"):
            st.rerun()
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        number = len(page.lines)
        lines = "1 line" if number == 1 else f"{formatting.count(number)} lines"
        zone = queries.zone()
        live = ":green-badge[live] " if choice.live else ""
        st.caption(
            f"{live}{lines}, newest first; read at {now.astimezone(zone):%H:%M:%S}",
            width="content",
        )
        st.button("Read again", icon=":material/refresh:", key="logs-read", disabled=choice.live)
    if page.lines:
        log_lines(page, zone=zone, key="logs-lines", newest_first=True)
    else:
        _nothing(choice, page.note)


def _nothing(choice: LogChoice, note: str) -> None:
    filtered = choice.level is not None or choice.text is not None
    if note:
        text = note
    elif filtered:
        text = "No line of this range passes the filters."
    elif choice.origin is LogOrigin.LAMBDA:
        text = "The function wrote nothing in this range. CloudWatch shows a line some seconds after it was written."
    else:
        text = "This installation wrote nothing in this range."
    with empty_state("No lines", text, icon=":material/notes:"):
        if filtered and st.button(
            "Clear filters", icon=":material/filter_alt_off:", on_click=clear_log_filters, key="logs-clear"
        ):
            # The lines are a fragment: the filters above them are drawn again only with the whole page.
            st.rerun()
