"""What a column's menu opens: the code to copy, and the two ways to save."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

import streamlit as st

from core.errors import AgentLauncherError, Conflict
from core.providers import registry
from core.services import snippets
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.request_diff import diff_requests
from core.storage.records import AgentRecord
from dashboard import state
from dashboard.backend import application, principal
from dashboard.components import playground_draft as draft
from dashboard.components.failure import show_failure
from dashboard.components.playground_copy import copy_dialog
from dashboard.components.playground_save import agent_dialog, version_dialog
from dashboard.playground import actions
from dashboard.playground.actions import Column


class MenuItem(StrEnum):
    """What a column's menu offers."""

    COPY = ":material/code: Copy as code"
    SAVE_VERSION = ":material/save: Save as new version"
    SAVE_AGENT = ":material/smart_toy: Save as new agent"
    REMOVE = ":material/close: Remove this column"


def menu(column: Column, *, chat: bool) -> None:
    """Draws a column's menu, and opens what was chosen in it."""
    items = [MenuItem.COPY, MenuItem.SAVE_AGENT]
    if column.agent is not None:
        items.insert(1, MenuItem.SAVE_VERSION)
    if len(draft.slots()) > 1 and not chat:
        items.append(MenuItem.REMOVE)
    key = state.playground_field(column.slot, "menu")
    chosen = st.menu_button(
        "",
        items,
        key=key,
        icon=":material/more_vert:",
        type="tertiary",
        help="Copy, save",
        on_click=_remove_if_chosen,
        args=(column.slot, key),
    )
    match chosen:
        case MenuItem.COPY:
            _copy(column, chat=chat)
        case MenuItem.SAVE_VERSION if column.agent is not None:
            _save_version(column.slot, application().agents.get(principal(), column.agent.id), chat=chat)
        case MenuItem.SAVE_AGENT:
            _save_agent(column, chat=chat)
        case _:
            return


def _remove_if_chosen(slot: int, key: str) -> None:
    # In a callback: once the page is drawn, the fields of the columns that stay cannot be filled any more.
    if st.session_state.get(key) == MenuItem.REMOVE:
        draft.remove_slot(slot)


def _copy(column: Column, *, chat: bool) -> None:
    try:
        spec = actions.spec_to_copy(column.slot, chat=chat)
        request = application().runs.check(principal(), spec)
        # The default is the installation's; to write it down would only make the text longer.
        request = request.model_copy(update={"timeout_seconds": spec.config.timeout_seconds})
        curl = snippets.curl(request)
    except AgentLauncherError as exc:
        show_failure(exc)
        return
    is_current = column.agent is not None and spec.agent_version_id == column.agent.version.id
    if column.agent is not None and is_current:
        spec = replace(spec, config=config_of(column.agent.version))
    texts = {
        "curl|bash": curl,
        "Python|python": snippets.python(request),
        "Command line|bash": snippets.command_line(spec, by_agent=is_current),
    }
    copy_dialog(texts, provider_label=registry.get_spec(request.provider).label)


def _save_version(slot: int, agent: AgentRecord, *, chat: bool) -> None:
    try:
        configs = _configs(slot, chat=chat)
    except AgentLauncherError as exc:
        show_failure(exc)
        return

    def save() -> None:
        config = configs[bool(st.session_state.get(state.PLAYGROUND_SAVE_VALUES))]
        try:
            note = st.session_state.get(state.PLAYGROUND_SAVE_NOTE) or ""
            saved = actions.save_version(slot, config, note=note, expected_revision=agent.revision)
        except Conflict as exc:
            _saved(f"{exc} Close this and open it again to see what changed.")
        except AgentLauncherError as exc:
            _saved(str(exc))
        else:
            _saved("", notice=f"Saved as version {saved.version.number}")

    diffs = {
        with_values: diff_requests(agent.version.config, config.to_json())
        for with_values, config in configs.items()
    }
    version_dialog(agent, diffs, values=_new_values(configs), save=save)


def _save_agent(column: Column, *, chat: bool) -> None:
    try:
        configs = _configs(column.slot, chat=chat)
    except AgentLauncherError as exc:
        show_failure(exc)
        return

    def save() -> None:
        config = configs[bool(st.session_state.get(state.PLAYGROUND_SAVE_VALUES))]
        try:
            saved = actions.save_agent(
                column.slot,
                config,
                name=st.session_state.get(state.PLAYGROUND_SAVE_NAME) or "",
                description=st.session_state.get(state.PLAYGROUND_SAVE_DESCRIPTION) or "",
                note="Saved from the playground",
            )
        except AgentLauncherError as exc:
            _saved(str(exc))
        else:
            _saved("", notice=f"{saved.name} is saved")

    suggested = f"{column.agent.name} (copy)" if column.agent else ""
    agent_dialog(suggested, values=_new_values(configs), save=save)


def _configs(slot: int, *, chat: bool) -> dict[bool, AgentConfig]:
    """What can be saved: without the variables' values of now, and with them."""
    return {
        with_values: actions.config_to_save(slot, chat=chat, with_values=with_values)
        for with_values in (False, True)
    }


def _new_values(configs: Mapping[bool, AgentConfig]) -> list[str]:
    """The variables whose value of now is not their standing one."""
    standing, now = configs[False].variables or {}, configs[True].variables or {}
    return [name for name, value in now.items() if standing.get(name) != value]


def _saved(result: str, *, notice: str | None = None) -> None:
    st.session_state[state.PLAYGROUND_SAVED] = result
    if notice is not None:
        st.session_state[state.PLAYGROUND_NOTICE] = notice
