"""What this installation is, where it keeps things, and the settings in effect."""

import streamlit as st

from core.services.installation import Installation
from dashboard import formatting
from dashboard.components.failure import literal
from dashboard.components.settings_table import settings_table


def installation_section(found: Installation) -> None:
    """Draws the section."""
    database = found.database
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch"):
        _facts(
            "Database",
            {
                "Kind": "SQLite" if database["dialect"] == "sqlite" else "Postgres",
                "Place": str(database["place"]),
                "Size": _size(database["size_bytes"]),
                "Schema": str(database["schema"]),
                "Rows": ", ".join(
                    _rows(name, database[f"{name}s"]) for name in ("run", "agent", "credential")
                ),
                "Writable": "yes" if database["writable"] else "no: the file is read-only",
            },
        )
    with right, st.container(border=True, height="stretch"):
        _facts(
            "Program",
            {
                "Version": found.version,
                "Contract": found.contract_version,
                "Python": found.python_version,
                "Data directory": str(found.data_dir),
                "Log": f"{found.log_file}, level {found.log_level}",
                "Master key": found.master_key,
            },
        )
    with st.container(border=True):
        with st.container(gap=None):
            st.markdown("**Backup**")
            st.caption(
                "One verified file, while the program runs. The master key is not in it: keep a copy apart."
            )
        st.code("agent-launcher backup agent-launcher-backup.db", language="shell")
    settings_table(
        "Settings in effect",
        found.settings,
        note="From the environment or `.env`, read at the start; secrets are not shown.",
        key="settings-in-effect",
    )


def _facts(title: str, facts: dict[str, str]) -> None:
    st.markdown(f"**{title}**")
    for name, value in facts.items():
        label, text = st.columns([1, 3], gap="small")
        label.caption(name)
        text.markdown(literal(value))


def _rows(name: str, number: int) -> str:
    return f"{formatting.count(number)} {name}{'' if number == 1 else 's'}"


def _size(size_bytes: int) -> str:
    mib = size_bytes / 1024**2
    return f"{mib:,.1f} MiB" if mib < 1024 else f"{mib / 1024:,.1f} GiB"
