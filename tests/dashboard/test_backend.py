"""Pages under plain `streamlit run`, which nobody checked the address for."""

from pathlib import Path

import pytest
import streamlit as st

from core.errors import SettingsError
from core.services.application import Application
from core.services.health import Verdict
from core.services.principal import LOCAL
from dashboard import backend


@pytest.mark.parametrize("address", ["0.0.0.0", None])
def test_pages_refuse_a_server_that_others_can_reach(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": address}[name])
    backend.install(None)
    with pytest.raises(SettingsError, match="sign-in does not exist yet"):
        backend.application()


def test_pages_say_that_the_database_file_is_gone(application: Application) -> None:
    assert backend.notice() == ""
    place = Path(application.store.describe()["place"])
    aside = place.rename(place.with_suffix(".aside"))
    assert "removed, moved or replaced" in backend.notice()
    assert "`agent-launcher restore`" in backend.notice()
    (broken,) = [check for check in application.health.checks(LOCAL) if check.name == "Database"]
    assert broken.verdict is Verdict.FAILED
    assert str(place) in broken.detail
    assert "put back the file" in broken.remedy
    aside.rename(place)
    assert backend.notice() == ""


def test_pages_open_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": "127.0.0.1"}[name])
    backend.install(None)
    application = backend.application()
    try:
        assert application.store.describe()["dialect"] == "sqlite"
    finally:
        backend.install(None)
        application.close()
