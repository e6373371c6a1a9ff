"""One agent: its form, its versions, what it did lately."""

from uuid import UUID

import streamlit as st

from core.contract import utc_now
from core.errors import NotFound
from core.storage.records import AgentRecord
from dashboard import formatting, queries, routes, state
from dashboard.agents import actions, edit_view
from dashboard.backend import application, principal
from dashboard.components.agent_figures import agent_figures
from dashboard.components.agent_versions import choose_versions, version_diff, version_table
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal
from dashboard.components.header import page_header
from dashboard.components.marks import provider_mark

CONFIGURATION = "Configuration"
VERSIONS = "Versions"


def detail_view(given: str) -> None:
    """Draws the agent of that id."""
    try:
        agent = application().agents.get(principal(), UUID(given))
    except (ValueError, NotFound):
        with empty_state(
            "There is no such agent", "It may be in another project.", icon=":material/search_off:"
        ):
            routes.page_link(routes.AGENTS, "All agents", icon=":material/smart_toy:")
        return
    _header(agent)
    if agent.archived_at is not None:
        st.info(
            "It is in no list and no picker; its runs and versions stay.",
            icon=":material/archive:",
            title="Archived",
        )
    agent_figures(queries.agent_activity([agent])[agent.id], now=utc_now())
    configuration, history = st.tabs(
        [CONFIGURATION, VERSIONS],
        key=state.AGENT_TAB,
        bind="query-params",
        on_change="rerun",
        default=VERSIONS if state.AGENT_VERSION in st.query_params else CONFIGURATION,
    )
    if configuration.open:
        with configuration:
            edit_view.edit_view(agent)
    if history.open:
        with history:
            _history(agent)


def _header(agent: AgentRecord) -> None:
    config, version = agent.version.config, agent.version
    routes.page_link(routes.AGENTS, "Agents", icon=":material/arrow_back:")
    caption = (
        f"{provider_mark(str(config.get('provider', '')))} · {literal(str(config.get('model_name', '')))} · "
        f"version {version.number}, {formatting.ago(version.created_at, utc_now())}"
    )
    with page_header(literal(agent.name), caption):
        archived = agent.archived_at is not None
        choice = st.menu_button(
            "More",
            ["Clone", "Unarchive" if archived else "Archive", "See its runs"],
            key="agents-more",
        )
        st.download_button(
            "Export",
            lambda: application().agents.export_yaml(principal(), [agent.id]),
            file_name=f"{_file_name(agent.name)}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            on_click="ignore",
            key="agents-export-one",
        )
        try_it = st.button(
            "Open in the playground",
            type="primary",
            icon=":material/play_circle:",
            key="agents-try",
            disabled=archived,
        )
    if try_it:
        st.switch_page(routes.PLAYGROUND, query_params={state.AGENT_ID: str(agent.id)})
    match choice:
        case "Clone":
            actions.clone_dialog(agent)
        case "Archive" | "Unarchive":
            actions.archive(agent)
        case "See its runs":
            st.switch_page(routes.RUNS, query_params={state.RUNS_AGENT: agent.name})
        case _:
            pass


def _history(agent: AgentRecord) -> None:
    versions = application().agents.versions(principal(), agent.id)
    shown = _number(st.query_params.get(state.AGENT_VERSION, ""))
    left, right = st.columns([1, 1.6], gap="small")
    with left.container(border=True):
        number = version_table(versions, shown=shown, zone=queries.zone(), now=utc_now())
    with right.container(border=True):
        st.markdown("**What changed**")
        if len(versions) < 2:
            st.caption("There is one version only. Save a change, and the two can be compared here.")
        else:
            old, new = choose_versions(versions, shown=shown, key=f"agents-{agent.id}-{agent.revision}")
            version_diff(application().agents.diff(principal(), old, new), old, new)
    if number is not None:
        actions.restore_dialog(agent, number)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _file_name(name: str) -> str:
    kept = "".join(char if char.isalnum() else "-" for char in name.lower())
    return "-".join(part for part in kept.split("-") if part) or "agent"
