"""Where each page is, and links to it: the one place that knows file names and query parameters."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import streamlit as st

from dashboard import state

OVERVIEW: Final = "app_pages/overview.py"
PLAYGROUND: Final = "app_pages/playground.py"
AGENTS: Final = "app_pages/agents.py"
RUNS: Final = "app_pages/runs.py"
RUN_DETAIL: Final = "app_pages/run_detail.py"
USAGE: Final = "app_pages/usage.py"
SETTINGS: Final = "app_pages/settings.py"


def run_url(run_id: UUID | str) -> str:
    """The address of a run's page, from the server's root; for link columns."""
    return f"/run?{state.RUN_ID}={run_id}"


def run_link(run_id: UUID | str, label: str, *, icon: str = "", help: str | None = None) -> None:
    """Draws a link to a run's page."""
    page_link(RUN_DETAIL, label, icon=icon, help=help, params={state.RUN_ID: str(run_id)})


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
