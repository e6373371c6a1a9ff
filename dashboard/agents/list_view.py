"""All agents: find one, make one, bring some in from a file or take them out to one."""

import streamlit as st

from core.contract import utc_now
from core.storage.records import AgentRecord
from dashboard import queries, routes, state
from dashboard.backend import application, principal
from dashboard.components.agent_cards import agent_cards
from dashboard.components.agent_import import import_form, import_summary
from dashboard.components.empty_state import empty_state
from dashboard.components.header import page_header

CARDS_ON_A_PAGE = 24


def list_view() -> None:
    """Draws the page."""
    with page_header(
        "Agents", "A model, its prompts and parameters under one name; every change is a version"
    ):
        if st.button("Import", icon=":material/upload:", key="agents-import"):
            import_dialog()
        st.download_button(
            "Export",
            lambda: application().agents.export_yaml(principal()),
            file_name="agents.yaml",
            mime="application/yaml",
            icon=":material/download:",
            on_click="ignore",
            help="All agents that are not archived, as YAML. It holds no key.",
            key="agents-export",
        )
        if st.button("New agent", type="primary", icon=":material/add:", key="agents-new"):
            st.switch_page(routes.AGENT, query_params={state.AGENT_PAGE_ID: state.AGENT_NEW})
    with st.container(horizontal=True, vertical_alignment="center"):
        search = st.text_input(
            "Search",
            key=state.AGENT_SEARCH,
            bind="query-params",
            placeholder="Search by name, description or model",
            icon=":material/search:",
            label_visibility="collapsed",
        )
        archived = st.toggle("Archived", key=state.AGENT_ARCHIVED, bind="query-params")
    everything = application().agents.list(principal(), archived=archived)
    found = [agent for agent in everything if _matches(agent, search)]
    if not found:
        _nothing(archived=archived, searched=bool(everything))
        return
    pages = -(-len(found) // CARDS_ON_A_PAGE)
    slot = st.container()
    number = st.pagination(pages, key="agents-page") if pages > 1 else 1
    shown = found[(number - 1) * CARDS_ON_A_PAGE : number * CARDS_ON_A_PAGE]
    with slot:
        click = agent_cards(shown, queries.agent_activity(shown), now=utc_now())
    match click:
        case ("open", agent_id):
            st.switch_page(routes.AGENT, query_params={state.AGENT_PAGE_ID: str(agent_id)})
        case ("try", agent_id):
            st.switch_page(routes.PLAYGROUND, query_params={state.AGENT_ID: str(agent_id)})
        case ("unarchive", agent_id):
            agent = application().agents.unarchive(principal(), agent_id)
            queries.forget_all()
            st.toast(f"{agent.name} is back.", icon=":material/unarchive:")
            st.rerun()
        case None:
            pass


@st.dialog("Import agents", width="large", icon=":material/upload:")
def import_dialog() -> None:
    """Asks for a file, shows what it would do, and does it."""
    agents = application().agents
    text = import_form(plan=lambda text: agents.plan_import(principal(), text))
    if text is None:
        return
    report = agents.import_yaml(principal(), text)
    queries.forget_all()
    st.session_state[state.AGENT_SAVED] = f"Import: {import_summary(report)}."
    st.rerun()


def _matches(agent: AgentRecord, search: str | None) -> bool:
    text = f"{agent.name} {agent.description} {agent.version.config.get('model_name', '')}".casefold()
    return all(word in text for word in (search or "").casefold().split())


def _nothing(*, archived: bool, searched: bool) -> None:
    if searched:
        with empty_state("No agent matches", "Search for other words.", icon=":material/search_off:"):
            pass
    elif archived:
        with empty_state(
            "Nothing is archived",
            "An archived agent keeps its runs and its versions.",
            icon=":material/archive:",
        ):
            pass
    else:
        with empty_state(
            "No agents yet",
            "An agent is a model with its prompts and parameters, under a name and in versions.",
            icon=":material/smart_toy:",
        ):
            routes.page_link(
                routes.AGENT,
                "Make the first one",
                icon=":material/add:",
                params={state.AGENT_PAGE_ID: state.AGENT_NEW},
            )
