"""An agent's form beside the panel that saves it; for a new agent too."""

import streamlit as st

from core.contract import utc_now
from core.errors import AgentLauncherError
from core.services.agent_config import AgentConfig
from core.services.agents import checked
from core.services.request_diff import diff_requests
from core.storage.records import AgentRecord
from dashboard import queries, routes, state
from dashboard.agents import actions, drafts
from dashboard.agents.drafts import Draft
from dashboard.agents.form_view import form_view, prompt_variables
from dashboard.backend import application, principal
from dashboard.components.agent_save import conflict_panel, save_bar
from dashboard.components.header import page_header


def edit_view(agent: AgentRecord) -> None:
    """Draws the form of a stored agent."""
    draft = drafts.draft_of(agent)
    # Empty as a rule, so that the form has one place: else it stands there twice while the page is drawn anew.
    above = st.container()
    if draft.base is not None and draft.base.revision != agent.revision:
        st.session_state.pop(_failure_key(draft), None)
        with above:
            _settle_conflict(draft, agent)
        form_view(draft)
        return
    form_view(draft)
    config, fault = _config(draft)
    failure = st.session_state.pop(_failure_key(draft), None)
    if not draft.changed and failure is None:
        return
    changes = _changes(draft, agent, config)
    pressed = save_bar(
        draft.key,
        version=agent.version.number + 1,
        changes=changes,
        fault=fault,
        failure=failure,
    )
    match pressed:
        case "save" if config is not None:
            _save(draft, agent, config)
        case "drop":
            drafts.drop(draft)
            st.rerun()
        case _:
            pass


def new_view() -> None:
    """Draws the form for a new agent."""
    routes.page_link(routes.AGENTS, "Agents", icon=":material/arrow_back:")
    with page_header("New agent", "A model with its prompts and parameters, under a name and in versions"):
        pass
    draft = drafts.draft_of_new(queries.preferences())
    form_view(draft)
    config, fault = _config(draft)
    if fault is None and not drafts.name_of(draft).strip():
        fault = "Give the agent a name."
    pressed = save_bar(
        draft.key,
        version=None,
        changes=("New agent",) if draft.changed else (),
        fault=fault,
        failure=st.session_state.pop(_failure_key(draft), None),
    )
    match pressed:
        case "save" if config is not None:
            _create(draft, config)
        case "drop":
            drafts.drop(draft)
            st.switch_page(routes.AGENTS)
        case _:
            pass


def _config(draft: Draft) -> tuple[AgentConfig | None, str | None]:
    names, _ = prompt_variables(draft)
    try:
        config = drafts.config_of(draft, variables=drafts.variable_values(draft, names))
        return checked(config, base_url=drafts.server_of(draft)), None
    except AgentLauncherError as exc:
        return None, str(exc)


def _create(draft: Draft, config: AgentConfig) -> None:
    try:
        agent = application().agents.create(
            principal(),
            name=drafts.name_of(draft),
            description=drafts.description_of(draft),
            config=config,
            note=str(draft.value("note") or ""),
        )
    except AgentLauncherError as exc:
        st.session_state[_failure_key(draft)] = str(exc)
        st.rerun()
    drafts.drop(draft)
    actions.say(f"{agent.name} was created.")
    st.switch_page(routes.AGENT, query_params={state.AGENT_PAGE_ID: str(agent.id)})


def _save(draft: Draft, agent: AgentRecord, config: AgentConfig) -> None:
    base = draft.base or agent
    try:
        saved = application().agents.save(
            principal(),
            agent.id,
            name=drafts.name_of(draft),
            description=drafts.description_of(draft),
            config=config,
            note=str(draft.value("note") or ""),
            expected_revision=base.revision,
        )
    except AgentLauncherError as exc:
        # If somebody else was faster, the next drawing finds another revision and shows both.
        st.session_state[_failure_key(draft)] = str(exc)
        st.rerun()
    drafts.drop(draft)
    same = saved.version.number == agent.version.number
    actions.say("Name and description are saved." if same else f"Version {saved.version.number} is saved.")
    st.rerun()


def _settle_conflict(draft: Draft, agent: AgentRecord) -> None:
    config, _ = _config(draft)
    theirs = {"Name": agent.name, "Description": agent.description, **agent.version.config}
    mine = {
        "Name": drafts.name_of(draft).strip(),
        "Description": drafts.description_of(draft).strip(),
        **(config.to_json() if config else agent.version.config),
    }
    match conflict_panel(agent, diff_requests(theirs, mine), zone=queries.zone(), now=utc_now()):
        case "mine":
            draft = drafts.rebase(draft, agent)
            if config is not None:
                _save(draft, agent, config)
            st.rerun()
        case "theirs":
            drafts.drop(draft)
            st.rerun()
        case _:
            pass


def _changes(draft: Draft, agent: AgentRecord, config: AgentConfig | None) -> list[str]:
    changes = [
        label
        for label, before, after in (
            ("Name", agent.name, drafts.name_of(draft).strip()),
            ("Description", agent.description, drafts.description_of(draft).strip()),
        )
        if before != after
    ]
    if config is None:
        return changes
    diff = diff_requests(agent.version.config, config.to_json())
    changes += [field.label for field in diff.fields if field.changed]
    changes += [text.label for text in diff.texts if not text.diff.same]
    if agent.version.config.get("credential_id") != config.to_json().get("credential_id"):
        changes.append("Credential")
    return changes


def _failure_key(draft: Draft) -> str:
    return draft.key("failure")
