"""The stored keys: a row each, and the dialogs that add, replace, rename and delete them.

A key that was typed is in its field until it is stored, and nowhere after that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st

from core.services.credentials import MAX_NAME_CHARS, CredentialPublic, EnvironmentKey
from dashboard import formatting, state
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal, told
from dashboard.components.marks import provider_label, provider_mark
from dashboard.components.settings_forms import fault, finished, submit


class Change(StrEnum):
    """What can be done to a stored key."""

    REPLACE = "Replace key"
    RENAME = "Rename"
    REFER = "On AWS Lambda"
    DELETE = "Delete"


_ICONS = {
    Change.REPLACE: ":material/key:",
    Change.RENAME: ":material/edit:",
    Change.REFER: ":material/cloud:",
    Change.DELETE: ":material/delete:",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the section shows.

    Attributes:
        fault: What is wrong with the master key; "" when all is well.
        unreadable: Why the master key does not open a credential, by its id.
        environment: The vendors' own variables.
        tests: What the connection tests said, by the credential's id: (whether it answered, text).
    """

    stored: Sequence[CredentialPublic]
    fault: str
    unreadable: Mapping[UUID, str]
    environment: Sequence[EnvironmentKey]
    tests: Mapping[UUID, tuple[bool, str]]
    master_key: str
    now: datetime
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialActions:
    """What the section asks for; each raises AgentLauncherError with a text for the operator."""

    add: Callable[[str, str, str, str], None]
    """Name, provider, key, base URL."""
    replace: Callable[[UUID, str], None]
    rename: Callable[[UUID, str], None]
    refer: Callable[[UUID, str], None]
    """The reference that AWS Lambda gets instead of the key; "" for none."""
    delete: Callable[[UUID], None]
    test: Callable[[CredentialPublic], None]


def credential_section(data: Credentials, actions: CredentialActions) -> None:
    """Draws the section."""
    _key_trouble(data)
    if not data.stored:
        with empty_state(
            "No credentials yet",
            "The offline demo works without one. To ask a provider's models, store its key here: it is "
            "sealed, and never shown again.",
            icon=":material/key:",
        ):
            if st.button("Add a credential", type="primary", icon=":material/add:"):
                _add_dialog(_providers(data), actions)
    else:
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium"
        ):
            st.caption("Write-only: what is stored is sealed with the master key, and never shown again.")
            if st.button("Add a credential", type="primary", icon=":material/add:"):
                _add_dialog(_providers(data), actions)
        for credential in data.stored:
            _row(credential, data, actions)
    _around(data)


def _key_trouble(data: Credentials) -> None:
    if data.fault:
        st.error(
            told(data.fault),
            icon=":material/lock:",
            title="The master key of the stored keys cannot be used",
        )
        return
    if not data.unreadable:
        return
    names = ", ".join(literal(c.name) for c in data.stored if c.id in data.unreadable)
    st.error(
        f"{names}: {told(next(iter(data.unreadable.values())))}",
        icon=":material/lock:",
        title=f"The master key does not open {len(data.unreadable)} of {len(data.stored)} stored keys",
    )


def _row(credential: CredentialPublic, data: Credentials, actions: CredentialActions) -> None:
    with st.container(border=True, gap="small"):
        what, when, buttons = st.columns([5, 3, 4], vertical_alignment="center")
        with what, st.container(gap=None):
            st.markdown(f"**{literal(credential.name)}**")
            ending = f" · ends in {credential.last4}" if credential.last4 else ""
            # As code, since a plain address becomes a link.
            server = f" · `{credential.base_url.replace('`', '%60')}`" if credential.base_url else ""
            st.caption(f"{provider_mark(credential.provider)}{ending}{server}")
            if reference := (credential.api_key_ref or "").replace("`", ""):
                st.caption(f":material/cloud: AWS Lambda reads it by `{reference}`: it is not sent.")
        with when, st.container(gap=None):
            used, changed = credential.last_used_at, credential.updated_at
            exact = f"Changed {formatting.exact_time(changed, data.zone)}"
            if used:
                exact += f"; used {formatting.exact_time(used, data.zone)}"
            st.caption(f"Used {formatting.ago(used, data.now)}" if used else "Not used yet", help=exact)
            st.caption(f"Changed {formatting.ago(changed, data.now)}")
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            if credential.id in data.unreadable:
                st.badge("Cannot be opened", icon=":material/lock:", color="red")
            else:
                st.button(
                    "Test",
                    icon=":material/network_check:",
                    help="Asks the provider for its list of models: costs nothing.",
                    key=f"settings.test.{credential.id}",
                    on_click=actions.test,
                    args=(credential,),
                )
            chosen = st.menu_button(
                "Change",
                list(Change),
                format_func=lambda change: f"{_ICONS[change]} {change.value}",
                key=f"settings.change.{credential.id}",
            )
        if result := data.tests.get(credential.id):
            _test_result(*result)
    if chosen:
        _open(chosen, credential, actions)


def _test_result(answered: bool, text: str) -> None:
    if answered:
        st.success(literal(text), icon=":material/check_circle:")
    else:
        st.error(told(text), icon=":material/error:")


def _around(data: Credentials) -> None:
    lines = [] if data.fault else [f"Master key: {literal(data.master_key)}."]
    for key in data.environment:
        found = "is set and serves" if key.is_set else "is not set; it would serve"
        lines.append(
            f"{provider_label(key.provider)}: `{key.variable}` {found} where no stored credential does."
        )
    st.caption("  \n".join(lines))


def _open(change: Change, credential: CredentialPublic, actions: CredentialActions) -> None:
    match change:
        case Change.REPLACE:
            _replace_dialog(credential, actions)
        case Change.RENAME:
            _rename_dialog(credential, actions)
        case Change.REFER:
            _refer_dialog(credential, actions)
        case Change.DELETE:
            _delete_dialog(credential, actions)
        case _:
            assert_never(change)


# Dialogs


@st.dialog("Add a credential", icon=":material/key:")
def _add_dialog(providers: Sequence[str], actions: CredentialActions) -> None:
    finished()

    def store() -> None:
        entered = st.session_state
        provider = entered[state.SETTINGS_CREDENTIAL_PROVIDER]
        name = entered[state.SETTINGS_CREDENTIAL_NAME]
        actions.add(name, provider, entered[state.SETTINGS_KEY], entered[state.SETTINGS_CREDENTIAL_BASE_URL])

    with st.form("credential-add", border=False):
        st.selectbox(
            "Provider", providers, format_func=provider_label, key=state.SETTINGS_CREDENTIAL_PROVIDER
        )
        st.text_input(
            "Name",
            placeholder="OpenAI production",
            help="By which agents name it.",
            max_chars=MAX_NAME_CHARS,
            required=True,
            key=state.SETTINGS_CREDENTIAL_NAME,
        )
        _key_field()
        st.text_input(
            "Base URL",
            placeholder="Only for another server than the provider's own: https://host/v1",
            help="The key is sent to this server only.",
            key=state.SETTINGS_CREDENTIAL_BASE_URL,
        )
        fault()
        submit("Store", store, said="Stored", clear=(state.SETTINGS_KEY,))


@st.dialog("Replace the key", icon=":material/key:")
def _replace_dialog(credential: CredentialPublic, actions: CredentialActions) -> None:
    finished()
    st.caption(
        f"Agents that use **{literal(credential.name)}** go on with the new key. The old one is forgotten."
    )
    with st.form("credential-replace", border=False):
        _key_field()
        fault()
        submit(
            "Replace",
            lambda: actions.replace(credential.id, st.session_state[state.SETTINGS_KEY]),
            said="Replaced",
            clear=(state.SETTINGS_KEY,),
        )


@st.dialog("Rename the credential", icon=":material/edit:")
def _rename_dialog(credential: CredentialPublic, actions: CredentialActions) -> None:
    finished()
    with st.form("credential-rename", border=False):
        st.text_input(
            "Name",
            credential.name,
            max_chars=MAX_NAME_CHARS,
            required=True,
            key=state.SETTINGS_CREDENTIAL_NAME,
        )
        fault()
        submit(
            "Rename",
            lambda: actions.rename(credential.id, st.session_state[state.SETTINGS_CREDENTIAL_NAME]),
            said="Renamed",
        )


@st.dialog("The key on AWS Lambda", icon=":material/cloud:")
def _refer_dialog(credential: CredentialPublic, actions: CredentialActions) -> None:
    finished()
    st.caption(
        f"Without a reference the key of **{literal(credential.name)}** is sent with each run on AWS Lambda, over TLS. "
        "With one the function reads the key itself, and only the reference is sent. What runs here takes the stored "
        "key in either case."
    )
    with st.form("credential-refer", border=False):
        st.text_input(
            "Reference",
            credential.api_key_ref or "",
            placeholder="arn:aws:secretsmanager:... or env:NAME; empty sends the key",
            help="The ARN of a secret in AWS Secrets Manager that the function's role may read, or env: and the name "
            "of one of the function's own variables.",
            key=state.SETTINGS_CREDENTIAL_REFERENCE,
        )
        fault()
        submit(
            "Store",
            lambda: actions.refer(credential.id, st.session_state[state.SETTINGS_CREDENTIAL_REFERENCE]),
            said="Stored",
        )


@st.dialog("Delete the credential", icon=":material/delete:")
def _delete_dialog(credential: CredentialPublic, actions: CredentialActions) -> None:
    finished()
    st.markdown(
        f"The key of **{literal(credential.name)}** is removed for good. Agents that name it say so when "
        "they run; their earlier runs stay."
    )
    with st.form("credential-delete", border=False):
        fault()
        submit("Delete", lambda: actions.delete(credential.id), said="Deleted")


def _key_field() -> None:
    st.text_input(
        "Key",
        type="password",
        autocomplete="off",
        placeholder="Pasted as the provider shows it",
        required=True,
        key=state.SETTINGS_KEY,
    )


def _providers(data: Credentials) -> list[str]:
    return [key.provider for key in data.environment]
