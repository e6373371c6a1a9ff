"""The choice of the stored key that a configuration is asked with."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.providers.spec import ProviderSpec
from core.redaction import redact
from core.services.credentials import CredentialPublic, Unnamed


def credential_field(
    key: str,
    credentials: Sequence[CredentialPublic],
    unnamed: Unnamed,
    *,
    spec: ProviderSpec,
    label_visibility: Literal["visible", "collapsed"] = "visible",
) -> None:
    """Draws it; the first choice leaves it to the rule, and says what that comes to.

    Args:
        key: The widget's.
        credentials: Those stored for the provider.
        unnamed: What serves where none is chosen.
        spec: The provider.
        label_visibility: As the widget has it.
    """
    names = {"": unnamed_text(unnamed, spec)} | {str(one.id): _name(one) for one in credentials}
    if st.session_state.get(key, "") not in names:
        # Of another provider, or deleted since.
        st.session_state[key] = ""
    st.selectbox(
        "Credential",
        list(names),
        format_func=names.__getitem__,
        key=key,
        persist_state="session",
        label_visibility=label_visibility,
        icon=":material/key:" if label_visibility == "collapsed" else None,
    )


def unnamed_text(unnamed: Unnamed, spec: ProviderSpec) -> str:
    """What serves where no credential is chosen."""
    if unnamed.several:
        return "None chosen: several are stored"
    if unnamed.credential is not None:
        only = "The only one for this server" if unnamed.elsewhere else "The only one stored"
        return f"{only}: {unnamed.credential.name}"
    variable = spec.api_key_variable or ""
    if not unnamed.elsewhere:
        # No longer than the field is wide.
        return f"None stored: {variable} {'if it is set' if spec.api_key_optional else 'of the environment'}"
    whose = ", ".join(f"{one.name} is for {_server(one, spec)}" for one in unnamed.elsewhere[:2])
    if unnamed.variable is not None:
        return f"{unnamed.variable} of the environment ({whose})"
    return f"None chosen: {whose}"


def _name(credential: CredentialPublic) -> str:
    ending = f" (ends in {credential.last4})" if credential.last4 else ""
    server = f", {redact(credential.base_url)}" if credential.base_url else ""
    return f"{credential.name}{ending}{server}"


def _server(credential: CredentialPublic, spec: ProviderSpec) -> str:
    return redact(credential.base_url) if credential.base_url else f"{spec.label}'s own server"
