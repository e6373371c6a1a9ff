"""The parameters of a request, as fields; only those that the chosen model takes."""

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from core.contract import MAX_TIMEOUT_SECONDS, ReasoningEffort
from core.providers.spec import Feature

MODEL_DEFAULT: Final = "default"
_MAX_SAFE_INTEGER: Final = 2**53 - 1
"""What a browser's number can hold without rounding."""


def parameter_fields(
    takes: frozenset[Feature],
    *,
    efforts: Sequence[ReasoningEffort],
    key: Callable[[str], str],
    stops: Sequence[str],
) -> None:
    """Draws the fields; their values are in the session's state.

    Args:
        takes: What the chosen model takes.
        efforts: The values of `reasoning_effort` that it knows.
        key: The key of a field's widget, by the field's name in the contract.
        stops: The stop sequences that are chosen now.
    """
    with st.grid(2, min_column_width=150):
        if Feature.MAX_TOKENS in takes:
            _whole(
                "Max tokens", key("max_tokens"), 1, 10_000_000, 100, "The longest answer, reasoning included."
            )
        if Feature.TEMPERATURE in takes:
            _share("Temperature", key("temperature"), 2.0, "0 is the most steady, 2 the most varied.")
        if Feature.TOP_P in takes:
            _share("Top P", key("top_p"), 1.0, "Only the likeliest tokens, up to this share of probability.")
        if Feature.REASONING_EFFORT in takes:
            effort_field(key("reasoning_effort"), efforts)
        if Feature.SEED in takes:
            _whole(
                "Seed",
                key("seed"),
                -_MAX_SAFE_INTEGER,
                _MAX_SAFE_INTEGER,
                1,
                "The same seed asks for the same answer; no provider promises it.",
            )
        st.number_input(
            "Time-out (seconds)",
            min_value=0.1,
            max_value=MAX_TIMEOUT_SECONDS,
            value=None,
            step=10.0,
            format="%.0f",
            key=key("timeout_seconds"),
            persist_state="session",
            placeholder=MODEL_DEFAULT,
            help="For a whole run, retries included; empty takes this installation's.",
        )
        if Feature.STOP in takes:
            st.multiselect(
                "Stop sequences",
                list(stops),
                key=key("stop"),
                persist_state="session",
                accept_new_options=True,
                max_selections=4,
                placeholder="Type, then Enter",
                help="The answer ends before the first of these texts.",
            )


def effort_field(key: str, efforts: Sequence[ReasoningEffort]) -> None:
    """Draws the choice of an effort; one that was chosen for another model stays, marked, until it is changed.

    Args:
        key: Of the widget.
        efforts: Those that the chosen model knows.
    """
    chosen: ReasoningEffort | None = st.session_state.get(key)
    st.selectbox(
        "Reasoning effort",
        efforts if chosen is None or chosen in efforts else [*efforts, chosen],
        index=None,
        format_func=lambda effort: effort if effort in efforts else f"{effort} (not for this model)",
        key=key,
        persist_state="session",
        placeholder=MODEL_DEFAULT,
        help="How long the model thinks before it answers; the thinking is billed as output.",
    )


def _whole(label: str, key: str, lowest: int, highest: int, step: int, help: str) -> None:
    st.number_input(
        label,
        min_value=lowest,
        max_value=highest,
        value=None,
        step=step,
        key=key,
        persist_state="session",
        placeholder=MODEL_DEFAULT,
        help=help,
    )


def _share(label: str, key: str, highest: float, help: str) -> None:
    st.number_input(
        label,
        min_value=0.0,
        max_value=highest,
        value=None,
        step=0.1,
        format="%.2f",
        key=key,
        persist_state="session",
        placeholder=MODEL_DEFAULT,
        help=help,
    )
