"""The one place where pages get the core: an open `Application`, and the principal who asks."""

import threading

import streamlit as st

from core.services.application import Application
from core.services.principal import LOCAL, Principal
from core.settings import check_bind_host, load_settings

_lock = threading.Lock()
_application: Application | None = None


def install(application: Application | None) -> None:
    """Hands pages the application that the server (or a test) has opened; None takes it back."""
    global _application
    with _lock:
        _application = application
    st.cache_data.clear()


def application() -> Application:
    """The process's application; opened here when the pages run under plain `streamlit run`.

    Raises:
        SettingsError: A setting cannot be used, or this server can be reached from other machines.
        StoreError: The text says what to do.
    """
    global _application
    with _lock:
        if _application is None:
            # Nobody asked the command's own check here, and Streamlit without an address listens on all of them.
            check_bind_host(st.get_option("server.address") or "0.0.0.0")
            _application = Application.open(load_settings(), kind="dashboard")
            _application.housekeeping.start()
        return _application


def notice() -> str:
    """What every page should say of the store; "" when all is well. Raises as `application`."""
    store = application().store
    if not store.in_place:
        return (
            "The database file was removed, moved or replaced while this program has it open: what is stored now is "
            "lost when it ends. End it, put the file back, or a backup with `agent-launcher restore`, and start again."
        )
    if store.writable:
        return ""
    return (
        "The database is open for reading only: it, its folder or the disk is read-only for this user. What was stored "
        "is shown; to run and change things, make them writable and start again."
    )


def principal() -> Principal:
    """Who is looking; until sign-in exists, the one local principal."""
    return LOCAL
