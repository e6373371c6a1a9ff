"""What was asked: prompts, earlier messages, context, attachments, parameters."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from core.services.request_diff import FIELD_LABELS, JSON_LABELS, short_value
from dashboard.components.failure import told

_SHOWN_ELSEWHERE: Final = frozenset(
    {
        "provider",
        "model_name",
        "agent_name",
        "system_prompt",
        "prompt",
        "messages",
        "attachments",
        "context",
        "response_schema",
        "contract_version",
    }
)
_LONG_CHARS: Final = 1_500
_LONG_PX: Final = 320


def run_request(request: Mapping[str, Any]) -> None:
    """Draws a stored request (`AgentRequest.to_public`)."""
    _text("System prompt", request.get("system_prompt"))
    _messages(request.get("messages") or ())
    _text("Prompt", request.get("prompt"))
    _attachments(request.get("attachments") or ())
    _json(JSON_LABELS["context"], request.get("context"))
    _json(JSON_LABELS["response_schema"], request.get("response_schema"))
    _parameters(request)


def _text(label: str, text: str | None) -> None:
    if not text:
        return
    with st.container(gap="xxsmall"):
        st.caption(label)
        # The text itself and not Markdown of it: what was sent is what is shown, and it can be copied.
        st.code(
            text, language=None, wrap_lines=True, height=_LONG_PX if len(text) > _LONG_CHARS else "content"
        )


def _messages(messages: Sequence[Mapping[str, str]]) -> None:
    if not messages:
        return
    with st.expander(f"Earlier messages ({len(messages)})", icon=":material/forum:"):
        for message in messages:
            st.caption(message.get("role", ""))
            st.code(message.get("content", ""), language=None, wrap_lines=True)


def _attachments(attachments: Sequence[Mapping[str, str]]) -> None:
    if not attachments:
        return
    st.caption("Attachments")
    with st.container(horizontal=True):
        for number, attachment in enumerate(attachments, start=1):
            name = attachment.get("name") or f"Attachment {number}"
            content = base64.b64decode(attachment.get("data", ""))
            if attachment.get("media_type", "").startswith("image/"):
                st.image(content, caption=name, width=200)
            else:
                st.download_button(
                    name,
                    content,
                    file_name=name,
                    mime=attachment.get("media_type"),
                    icon=":material/attach_file:",
                    key=f"run-attachment-{number}",
                    on_click="ignore",
                )


def _json(label: str, value: Mapping[str, Any] | None) -> None:
    if value:
        with st.container(gap="xxsmall"):
            st.caption(label)
            st.json(dict(value), expanded=2)


def _parameters(request: Mapping[str, Any]) -> None:
    names = [name for name in FIELD_LABELS if name in request and name not in _SHOWN_ELSEWHERE]
    names += sorted(request.keys() - FIELD_LABELS.keys() - _SHOWN_ELSEWHERE)
    if not names:
        return
    with st.container(gap="xxsmall"):
        st.caption("Parameters")
        parameters = st.container(horizontal=True, gap="xsmall")
    with parameters:
        for name in names:
            value = told(short_value(name, request[name]) or "")
            st.badge(f"{FIELD_LABELS.get(name, name)}: {value}", color="gray")
