"""The checks of `agent-launcher doctor`, with a verdict and a remedy each."""

from collections.abc import Sequence

import streamlit as st

from core.services.health import Check, Verdict
from dashboard.components.failure import literal, told

_ICONS = {
    Verdict.OK: ":green[:material/check_circle:]",
    Verdict.WARNING: ":orange[:material/warning:]",
    Verdict.FAILED: ":red[:material/error:]",
}


def health_section(checks: Sequence[Check]) -> None:
    """Draws the section."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium"
    ):
        st.markdown(_summary(checks))
        st.button("Check again", icon=":material/refresh:")
    with st.container(border=True, gap="small"):
        check_list(checks)
    st.caption("The same checks as `agent-launcher doctor`. They send nothing and change nothing.")


def check_list(checks: Sequence[Check]) -> None:
    """Draws a row for each check."""
    for check in checks:
        _row(check)


def _row(check: Check) -> None:
    icon, text = st.columns([1, 3.4], gap="small")
    icon.markdown(f"{_ICONS[check.verdict]} **{literal(check.name)}**")
    with text, st.container(gap=None):
        st.markdown(told(check.detail[:1].upper() + check.detail[1:]))
        if check.remedy:
            st.caption(told(check.remedy))


def _summary(checks: Sequence[Check]) -> str:
    broken = sum(check.verdict is Verdict.FAILED for check in checks)
    warned = sum(check.verdict is Verdict.WARNING for check in checks)
    if broken:
        return f"{_ICONS[Verdict.FAILED]} **{broken} broken**, {warned} to look at, of {len(checks)} checks"
    if warned:
        return (
            f"{_ICONS[Verdict.WARNING]} **{warned} to look at**, of {len(checks)} checks; nothing is broken"
        )
    return f"{_ICONS[Verdict.OK]} **All {len(checks)} checks are in order**"
