"""What can be done with an agent besides editing it: clone, archive, restore a version."""

import streamlit as st

from core.errors import AgentLauncherError
from core.services.agent_yaml import MAX_NAME_CHARS
from core.storage.records import AgentRecord
from dashboard import queries, routes, state
from dashboard.agents import drafts
from dashboard.backend import application, principal
from dashboard.components.failure import literal


def say(text: str) -> None:
    """Says it on the page that is drawn next."""
    queries.forget_all()
    st.session_state[state.AGENT_SAVED] = text


def said() -> None:
    """Draws what was just done, once."""
    text = st.session_state.pop(state.AGENT_SAVED, None)
    if text:
        st.toast(literal(text), icon=":material/check_circle:")


@st.dialog("Clone the agent", icon=":material/content_copy:")
def clone_dialog(agent: AgentRecord) -> None:
    """Asks for the copy's name and makes it."""
    st.caption(
        f"A new agent with the configuration of version {agent.version.number}. It has a history of its own."
    )
    name = st.text_input(
        "Name", value=f"{agent.name} (copy)", max_chars=MAX_NAME_CHARS, key="agents-clone-name"
    )
    if st.button("Clone", type="primary", icon=":material/content_copy:", key="agents-clone"):
        try:
            copy = application().agents.clone(principal(), agent.id, name=name)
        except AgentLauncherError as exc:
            st.error(literal(str(exc)), icon=":material/error:")
            return
        say(f"{copy.name} was made.")
        st.switch_page(routes.AGENT, query_params={state.AGENT_PAGE_ID: str(copy.id)})


@st.dialog("Restore a version", icon=":material/history:")
def restore_dialog(agent: AgentRecord, number: int) -> None:
    """Says what a restore does, and does it."""
    st.markdown(
        f"The configuration of version {number} becomes version {agent.version.number + 1}, the current one. "
        "The versions in between stay in the history."
    )
    if drafts.draft_of(agent).changed:
        st.warning("What is typed in the form and not saved is dropped.", icon=":material/warning:")
    if st.button(
        f"Restore version {number}", type=("primary"), icon=":material/history:", key="agents-restore"
    ):
        try:
            restored = application().agents.restore(
                principal(), agent.id, number=number, expected_revision=agent.revision
            )
        except AgentLauncherError as exc:
            st.error(literal(str(exc)), icon=":material/error:")
            return
        drafts.drop(drafts.draft_of(agent))
        say(f"Version {number} is current again, as version {restored.version.number}.")
        st.rerun()


def archive(agent: AgentRecord) -> None:
    """Takes it out of lists and pickers, or brings it back."""
    agents = application().agents
    if agent.archived_at is None:
        agents.archive(principal(), agent.id)
        say(f"{agent.name} is archived. Find it in the list with “Archived”.")
    else:
        agents.unarchive(principal(), agent.id)
        say(f"{agent.name} is back.")
    st.rerun()
