"""Where each page is, and links to it: the one place that knows file names and query parameters."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

import streamlit as st

from dashboard import state

OVERVIEW: Final = "app_pages/overview.py"
PLAYGROUND: Final = "app_pages/playground.py"
AGENTS: Final = "app_pages/agents.py"
AGENT: Final = "app_pages/agent_detail.py"
RUNS: Final = "app_pages/runs.py"
RUN_DETAIL: Final = "app_pages/run_detail.py"
USAGE: Final = "app_pages/usage.py"
COSTS: Final = "app_pages/costs.py"
LOGS: Final = "app_pages/logs.py"
SETTINGS: Final = "app_pages/settings.py"


def run_url(run_id: UUID | str) -> str:
    """The address of a run's page, from the server's root; for link columns."""
    return f"/run?{state.RUN_ID}={run_id}"


def run_link(run_id: UUID | str, label: str, *, icon: str = "", help: str | None = None) -> None:
    """Draws a link to a run's page."""
    page_link(RUN_DETAIL, label, icon=icon, help=help, params={state.RUN_ID: str(run_id)})


def open_run(run_id: UUID | str) -> None:
    """Goes to a run's page at once."""
    st.switch_page(RUN_DETAIL, query_params={state.RUN_ID: str(run_id)})


def export_url(job_id: UUID | str) -> str:
    """Where the browser gets a finished export, from the server's root (`dashboard/downloads.py` serves it)."""
    return f"/exports/{job_id}"


def page_link(
    page: str,
    label: str,
    *,
    icon: str = "",
    help: str | None = None,
    params: Mapping[str, str | Sequence[str]] | None = None,
) -> None:
    """Draws a link to one of the pages above.

    Args:
        page: One of the paths above.
        label: The link's text.
        icon: A `:material/...:` name; "" for none.
        help: A text on hover.
        params: Query parameters of the page that it opens.
    """
    st.page_link(page, label=label, icon=icon, help=help, query_params=dict(params or {}))


def here_link(
    label: str,
    params: Mapping[str, str | None],
    *,
    key: str,
    icon: str | None = None,
    help: str | None = None,
    type: Literal["secondary", "tertiary"] = "tertiary",
) -> None:
    """Draws a way to another view of the page that is open, such as from one agent to the list of all.

    Streamlit's own link leaves the parameters as they are when it leads to the page that is open.

    Args:
        label: Its text.
        params: Those that change; None takes one away. None of them belongs to a bound widget.
        key: Unlike any other on the page.
        icon: A `:material/...:` name.
        help: A text on hover.
        type: The button's look.
    """
    st.button(label, key=key, icon=icon, help=help, type=type, on_click=_go, args=(dict(params),))


def _go(params: Mapping[str, str | None]) -> None:
    for name, value in params.items():
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value
