"""The project's defaults, and what becomes of one that is no longer valid."""

from zoneinfo import ZoneInfo

import pytest

from core.errors import InvalidInput, UnknownProvider
from core.services.application import Application
from core.services.preferences import Preferences, time_zones
from core.services.principal import LOCAL, Principal
from tests.support.stored_runs import opened_application


def test_a_new_project_starts_on_the_offline_demo(application: Application) -> None:
    assert application.preferences.get(LOCAL) == Preferences(
        provider="DEMO", model_name="demo-echo", time_zone="UTC"
    )


def test_what_is_saved_is_read_back_also_by_another_process(application: Application) -> None:
    chosen = Preferences(provider="OPENAI", model_name=" gpt-4o ", time_zone="Europe/Paris")
    application.preferences.put(LOCAL, chosen)
    with opened_application() as other:
        found = other.preferences.get(LOCAL)
    assert found == Preferences(provider="OPENAI", model_name="gpt-4o", time_zone="Europe/Paris")
    assert found.zone == ZoneInfo("Europe/Paris")
    assert application.preferences.get(Principal(id="x", project_id="other")) == Preferences()


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        (Preferences(time_zone="Mars/Olympus"), InvalidInput),
        (Preferences(time_zone="../../etc/passwd"), InvalidInput),
        (Preferences(model_name="  "), InvalidInput),
        (Preferences(model_name="x" * 201), InvalidInput),
        (Preferences(model_name="a\nb"), InvalidInput),
        (Preferences(provider="openai"), UnknownProvider),
    ],
)
def test_what_cannot_hold_is_not_saved(
    application: Application, chosen: Preferences, error: type[Exception]
) -> None:
    with pytest.raises(error):
        application.preferences.put(LOCAL, chosen)
    assert application.preferences.get(LOCAL) == Preferences()


def test_what_no_longer_holds_gives_way_to_the_built_in(application: Application) -> None:
    application.store.preferences.put(
        LOCAL.project_id,
        {"provider": "GONE", "model_name": "gone-1", "time_zone": "Mars/Olympus", "colour": "blue"},
    )
    assert application.preferences.get(LOCAL) == Preferences()
    application.store.preferences.put(LOCAL.project_id, {"provider": "OPENAI", "model_name": "gpt-4o"})
    assert application.preferences.get(LOCAL) == Preferences(provider="OPENAI", model_name="gpt-4o")


def test_every_zone_that_is_offered_can_be_used() -> None:
    assert "UTC" in time_zones()
    assert len(time_zones()) > 400
    for name in time_zones():
        ZoneInfo(name)
