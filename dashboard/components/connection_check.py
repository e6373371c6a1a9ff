"""How a test of the connection ended: what answered, with which key, or what is in the way and what to do."""

import streamlit as st

from core.errors import AgentLauncherError, InvocationError
from core.services.connections import ConnectionTest
from core.services.remedies import RemedyAction, remedy_for
from dashboard import formatting, routes
from dashboard.components.failure import literal, told


def connection_check(result: ConnectionTest | AgentLauncherError, *, label: str) -> None:
    """Draws it.

    Args:
        result: What came of the test.
        label: The provider as a person reads it.
    """
    if isinstance(result, ConnectionTest):
        models = f"{len(result.models):,} models" if len(result.models) != 1 else "1 model"
        took = formatting.duration(result.seconds * 1_000_000)
        st.success(
            literal(f"{models} for {result.key.label}, in {took}. They are in the list of models now."),
            icon=":material/check_circle:",
            title=f"{label} answers",
        )
        return
    remedy = remedy_for(result.code) if isinstance(result, InvocationError) else None
    st.error(
        told(str(result)),
        icon=":material/error:",
        title=remedy.title if remedy else f"{label} cannot be asked",
    )
    if remedy is not None:
        st.caption(told(remedy.remedy))
        if remedy.action is RemedyAction.ADD_KEY:
            routes.page_link(routes.SETTINGS, "Open the credentials", icon=":material/key:")
