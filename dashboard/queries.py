"""Every cached read of the pages.

Roll-ups answer in milliseconds, so the caches are short: they only save the several reruns that one click
causes. Each is keyed by the project and its arguments; `backend.install` empties them all when another
application takes over. After a change that a page shows at once, call `forget_all`.
"""

from zoneinfo import ZoneInfo

import streamlit as st

from core.services.preferences import Preferences
from core.services.usage import Overview, Period
from dashboard.backend import application, principal

FRESH_SECONDS = 2.0
"""How old a figure may be; below what a person takes from starting a run to opening a chart."""


def forget_all() -> None:
    """Empties every cache: after a change that many readers show."""
    st.cache_data.clear()


# Preferences


def preferences() -> Preferences:
    """The project's defaults."""
    return _preferences(principal().project_id)


def zone() -> ZoneInfo:
    """The zone in which days begin and times are shown."""
    return preferences().zone


@st.cache_data(ttl=FRESH_SECONDS, max_entries=32, show_spinner=False)
def _preferences(project_id: str) -> Preferences:
    del project_id
    return application().preferences.get(principal())


# Overview and usage


def overview(period: Period) -> Overview:
    """The overview's figures for the range that ends now."""
    return _overview(principal().project_id, period, zone().key)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=64, show_spinner=False)
def _overview(project_id: str, period: Period, zone_key: str) -> Overview:
    del project_id
    return application().usage.overview(principal(), period, zone=ZoneInfo(zone_key))
