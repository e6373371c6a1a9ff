"""Why a run did not end well, and what to do about it."""

import streamlit as st

from core.services.remedies import RemedyAction, remedy_for
from core.storage.records import RunStatus
from dashboard import routes, state
from dashboard.components.failure import literal, told

_QUIET = frozenset({RunStatus.CANCELLED})


def run_error(status: RunStatus, *, code: str | None, message: str | None) -> None:
    """Draws the error with its cause and its remedy; nothing for a run that ended well.

    Args:
        status: Of the run.
        code: The contract's error code.
        message: What was said when it happened.
    """
    if code is None:
        return
    remedy = remedy_for(code)
    title = f"{remedy.title} ({code})" if remedy else code
    draw = st.info if status in _QUIET else st.warning if status is RunStatus.OUTCOME_UNKNOWN else st.error
    icon = ":material/stop_circle:" if status in _QUIET else ":material/error:"
    draw(told(message or "Nothing more was said."), icon=icon, title=literal(title))
    if remedy is None:
        return
    with st.container(border=True):
        cause, cure = st.columns(2, gap="medium")
        with cause.container(gap="xxsmall"):
            st.caption("Cause")
            st.markdown(told(remedy.cause))
        with cure.container(gap="xxsmall"):
            st.caption("Remedy")
            st.markdown(told(remedy.remedy))
            _action(remedy.action)


def _action(action: RemedyAction | None) -> None:
    match action:
        case RemedyAction.ADD_KEY:
            routes.page_link(routes.SETTINGS, "Open the credentials", icon=":material/key:")
        case RemedyAction.CHECK_HEALTH:
            routes.page_link(
                routes.SETTINGS,
                "Open the health checks",
                icon=":material/monitor_heart:",
                params={state.SETTINGS_SECTION: "Health"},
            )
        case RemedyAction.EDIT_REQUEST | RemedyAction.RUN_AGAIN | None:
            # Both are buttons at the top of the page.
            pass
