"""Pages under plain `streamlit run`, which nobody checked the address for."""

import pytest
import streamlit as st

from core.errors import SettingsError
from dashboard import backend


@pytest.mark.parametrize("address", ["0.0.0.0", None])
def test_pages_refuse_a_server_that_others_can_reach(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": address}[name])
    backend.install(None)
    with pytest.raises(SettingsError, match="sign-in does not exist yet"):
        backend.application()


def test_pages_open_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": "127.0.0.1"}[name])
    backend.install(None)
    application = backend.application()
    try:
        assert application.store.describe()["dialect"] == "sqlite"
    finally:
        backend.install(None)
        application.close()
