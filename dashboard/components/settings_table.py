"""A table of settings: each with its variable, its value and whether it was given."""

from collections.abc import Sequence

import streamlit as st

from core.services.installation import SettingShown


def settings_table(title: str, settings: Sequence[SettingShown], *, note: str, key: str) -> None:
    """Draws a row for each setting, in a box with a title and a note; the key is the table's."""
    with st.container(border=True):
        with st.container(gap=None):
            st.markdown(f"**{title}**")
            st.caption(note)
        st.dataframe(
            [
                {"variable": s.variable, "value": s.value or None, "from": "set" if s.given else "default"}
                for s in settings
            ],
            hide_index=True,
            height="content",
            placeholder="not set",
            column_config={
                "variable": st.column_config.TextColumn("Variable", width="medium"),
                "value": st.column_config.TextColumn("Value", width="large"),
                "from": st.column_config.TextColumn("From", width="small"),
            },
            key=key,
        )
