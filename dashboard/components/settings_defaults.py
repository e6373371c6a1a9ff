"""The project's defaults: what a new playground or agent starts with, and where days begin."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.services.preferences import Preferences
from dashboard import state
from dashboard.components.marks import provider_label
from dashboard.components.settings_forms import fault, submit


def default_section(
    current: Preferences,
    *,
    providers: Sequence[str],
    time_zones: Sequence[str],
    models_of: Callable[[str], Sequence[str]],
    save: Callable[[Preferences], None],
) -> None:
    """Draws the section.

    Args:
        current: What holds now.
        providers: Their names.
        time_zones: IANA names.
        models_of: The models that are known of a provider; others can be typed.
        save: Raises AgentLauncherError with a text for the operator.
    """
    with st.container(border=True, width=640):
        provider = st.selectbox(
            "Default provider",
            providers,
            index=providers.index(current.provider),
            format_func=provider_label,
            help="What a new playground or agent starts with.",
            key=state.SETTINGS_PROVIDER,
        )
        with st.form("defaults", border=False):
            st.selectbox(
                "Default model",
                _with_first(
                    current.model_name if provider == current.provider else None, models_of(provider)
                ),
                accept_new_options=True,
                help="From the list, or typed as the provider names it.",
                key=state.settings_model(provider),
            )
            st.selectbox(
                "Time zone",
                time_zones,
                index=time_zones.index(current.time_zone),
                help="Where days begin in charts and filters, and in which times are shown.",
                key=state.SETTINGS_TIME_ZONE,
            )
            fault()
            submit("Save", lambda: save(_entered(provider)), said="Saved")


def _entered(provider: str) -> Preferences:
    return Preferences(
        provider=provider,
        model_name=st.session_state[state.settings_model(provider)] or "",
        time_zone=st.session_state[state.SETTINGS_TIME_ZONE],
    )


def _with_first(first: str | None, others: Sequence[str]) -> list[str]:
    return list(others) if first is None else [first, *(name for name in others if name != first)]
