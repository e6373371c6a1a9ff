"""A project's defaults: what a new playground or agent starts with, and the zone in which days begin."""

from dataclasses import asdict, dataclass
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from core.errors import InvalidInput
from core.providers import registry
from core.providers.rows_demo import DEMO
from core.services.principal import Principal
from core.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The defaults. `time_zone` is an IANA name."""

    provider: str = DEMO.name
    model_name: str = DEMO.default_model
    time_zone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The zone, for computing days."""
        return ZoneInfo(self.time_zone)


@cache
def time_zones() -> frozenset[str]:
    """The IANA names that this machine knows. Read once: it means walking a folder tree."""
    return frozenset(available_timezones())


class PreferenceService:
    """See the module."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, principal: Principal) -> Preferences:
        """What is stored over what is built in.

        A value that is no longer valid (a provider that is not installed any more) gives way to the built-in
        one.
        """
        stored = self._store.preferences.get(principal.project_id)
        known = {key: str(value) for key, value in stored.items() if key in Preferences.__dataclass_fields__}
        if known.get("time_zone", "UTC") not in time_zones():
            del known["time_zone"]
        if known.get("provider", DEMO.name) not in registry.specs():
            known.pop("provider")
            known.pop("model_name", None)
        return Preferences(**known)

    def put(self, principal: Principal, preferences: Preferences) -> None:
        """Stores them. Raises InvalidInput, UnknownProvider, StoreError."""
        registry.get_spec(preferences.provider)
        if preferences.time_zone not in time_zones():
            raise InvalidInput(
                f"{preferences.time_zone!r} is not an IANA time zone, such as Europe/Berlin or UTC."
            )
        model_name = preferences.model_name.strip()
        if not 1 <= len(model_name) <= 200 or not model_name.isprintable():
            raise InvalidInput("Name a default model, in at most 200 characters.")
        stored = {**asdict(preferences), "model_name": model_name}
        self._store.preferences.put(principal.project_id, stored)
