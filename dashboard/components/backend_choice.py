"""Where a run goes: the choice, what would become of it now, and how its key gets there."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from core.execution.choice import BackendChoice
from core.services.key_travel import KeyJourney, KeyTravel
from core.services.lambda_outlook import Outlook
from dashboard.components.failure import literal

BACKEND_CHOICES: Final[Mapping[str, str]] = {
    BackendChoice.AUTO.value: "Auto",
    BackendChoice.LAMBDA.value: "Lambda",
    BackendChoice.LOCAL.value: "Local",
}


def backend_choice(key: str) -> None:
    """Draws the choice; its value is in the session's state."""
    st.segmented_control(
        "Backend of this run",
        list(BACKEND_CHOICES),
        format_func=BACKEND_CHOICES.__getitem__,
        required=True,
        key=key,
        persist_state="session",
        help="Auto: AWS Lambda where it is set up and switched on, and this machine where Lambda completed nothing. "
        "It changes this run only; an agent's own backend is in its form.",
    )


def whereabouts_line(outlook: Outlook, journey: KeyJourney, *, offline: bool) -> None:
    """Draws what would become of a run now.

    Args:
        outlook: Where it goes.
        journey: How its key gets there.
        offline: Whether its provider takes no key at all.
    """
    icon = ":material/cloud:" if outlook.on_lambda else ":material/computer:"
    text = f"{icon} {literal(outlook.sentence)}"
    st.caption(f":orange[{text}]" if outlook.attention else text)
    if outlook.on_lambda and not offline and (line := _key_line(journey)):
        st.caption(line)


def _key_line(journey: KeyJourney) -> str:
    whose = f" ({literal(journey.credential)})" if journey.credential else ""
    if journey.travel is KeyTravel.REFERENCE and journey.reference is not None:
        return f":material/key: {journey.travel.sentence} `{journey.reference}`{whose}"
    return f":material/key: {journey.travel.sentence}{whose}"
