"""The settings' section on AWS Lambda: what is configured, the checks of `doctor`, and a test of the function."""

from collections.abc import Sequence
from uuid import UUID

import streamlit as st

from core.services.health import Check
from core.services.installation import SettingShown
from core.services.live_runs import RunOutcome
from core.services.remedies import remedy_for
from dashboard import formatting, routes
from dashboard.components.failure import literal, told
from dashboard.components.settings_health import check_list
from dashboard.components.settings_table import settings_table


def in_use(settings: Sequence[SettingShown]) -> None:
    """Draws the settings that say which function, and when it is used."""
    settings_table(
        "Configuration in use",
        settings,
        note="From the environment or `.env`, read at the start: change it there, and start again.",
        key="settings-lambda-in-use",
    )


def checked(checks: Sequence[Check]) -> bool:
    """Draws what the checks found; True when they are to be made again."""
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(gap=None, width="stretch"):
                st.markdown("**Checks**")
                st.caption("As in `agent-launcher doctor`: nothing is executed, and nothing billed.")
            again = st.button("Check again", icon=":material/refresh:", key="settings-lambda-check")
        check_list(checks)
    return again


def function_test(outcome: RunOutcome | None, refused: str | None) -> bool:
    """Draws the test and what it came to; True when it is to be made.

    Args:
        outcome: Of the last test of this session.
        refused: Why it was not even begun.
    """
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(gap=None, width="stretch"):
                st.markdown("**Test the function**")
                st.caption(
                    "One run of the offline demo on AWS Lambda, and nowhere else: no tokens, one execution billed. It "
                    "is stored as every run."
                )
            pressed = st.button("Test", icon=":material/play_arrow:", key="settings-lambda-test")
        if refused is not None:
            st.error(told(refused), icon=":material/error:", title="Not started")
        elif outcome is not None:
            _came_to(outcome)
    return pressed


def _came_to(outcome: RunOutcome) -> None:
    error, run_id = outcome.response.error, outcome.run_id
    if error is None:
        last = outcome.records[-1]
        facts = [f"Answered in {formatting.duration(outcome.latency_us)}"]
        facts += ["a cold start"] if last.lambda_cold_start else []
        facts += [f"{last.lambda_billed_ms:,} ms billed"] if last.lambda_billed_ms is not None else []
        facts += [f"compute {formatting.money(last.lambda_compute_nanousd)}"]
        facts += [f"request {formatting.money(last.lambda_request_nanousd)}"]
        st.success(literal(", ".join(facts)), icon=":material/check_circle:", title="The function works")
    else:
        remedy = remedy_for(error.code.value)
        more = f"\n\n{told(remedy.remedy)}" if remedy else ""
        st.error(
            f"{told(error.message)}{more}\n\n:small[`{error.code.value}`]",
            icon=":material/error:",
            title=remedy.title if remedy else "It failed",
        )
    _link(run_id)


def _link(run_id: UUID) -> None:
    routes.run_link(run_id, "Open the run", icon=":material/arrow_outward:")
