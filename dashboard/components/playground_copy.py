"""The dialog that shows a run as text to paste elsewhere."""

import streamlit as st

from core.services.snippets import BODY_FILE, Snippet


@st.dialog("Copy as code", width="large", icon=":material/code:")
def copy_dialog(snippets: dict[str, Snippet | None], *, provider_label: str) -> None:
    """Shows each snippet in a tab.

    Args:
        snippets: By the tab's name, with its language as Streamlit names it after a "|".
        provider_label: Whose API `curl` would ask; for the text where there is none.
    """
    st.caption("No key is in any of them: each finds it where it runs.")
    names = [name.partition("|")[0] for name in snippets]
    for tab, (name, snippet) in zip(st.tabs(names), snippets.items(), strict=True):
        with tab:
            _snippet(snippet, language=name.partition("|")[2], provider_label=provider_label)


def _snippet(snippet: Snippet | None, *, language: str, provider_label: str) -> None:
    if snippet is None:
        st.info(f"{provider_label} has no API to ask with curl.", icon=":material/info:")
        return
    st.code(snippet.text, language=language, wrap_lines=True)
    if snippet.body is not None:
        st.download_button(
            f"Download {BODY_FILE}",
            snippet.body,
            file_name=BODY_FILE,
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption("The command reads this file from the folder in which it is run.")
    if snippet.missing:
        st.warning(
            f"This cannot say: {', '.join(snippet.missing)}. Use Python, or save the configuration as an "
            "agent and run that by its name.",
            icon=":material/warning:",
        )
