"""What a page shows instead of a stack trace."""

import re
import secrets
from typing import Final

import streamlit as st

from core.errors import AgentLauncherError, StoreError
from core.loggers import get_logger

log = get_logger("agent_launcher.dashboard")

# What is quoted in back quotes, and addresses without the sign that ends the sentence.
_VERBATIM: Final = re.compile(r"(`[^`\n]+`|https?://[^\s`]*[^\s`.,:;!?'\")\]])")


def show_failure(exc: Exception) -> bool:
    """Draws a calm text in the page's place, and logs what the operator needs.

    An error of ours becomes its own text, which names the remedy. Anything else is a fault of the program:
    the page shows an id, and the log has the whole story under it.

    Returns:
        True, which tells Streamlit that the exception has been shown.
    """
    if isinstance(exc, AgentLauncherError):
        log.warning("a page showed %s: %s", type(exc).__name__, exc)
        what = "The database cannot be used" if isinstance(exc, StoreError) else "This cannot be done"
        st.error(told(str(exc)), icon=":material/error:", title=f"{what} right now")
        return True
    error_id = secrets.token_hex(4)
    log.error("error id %s: %s in a page", error_id, type(exc).__name__, exc_info=exc)
    st.error(
        "This is a fault in Agent Launcher; nothing that was stored is lost. The log has its cause under the "
        f"error id `{error_id}`. Reload the page to go on.",
        icon=":material/error:",
        title="Something went wrong in this page",
    )
    return True


def literal(text: str) -> str:
    """The text with Markdown's signs made literal: an error may quote a path, a pattern or a price."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#$~|:" else char for char in text)


def told(text: str) -> str:
    """An error's text as Markdown: its signs literal, its commands and addresses as code.

    A plain address would become a link, and lead to a server that did not answer a moment ago.
    """
    parts = _VERBATIM.split(text)
    return "".join(f"`{part.strip('`')}`" if index % 2 else literal(part) for index, part in enumerate(parts))
