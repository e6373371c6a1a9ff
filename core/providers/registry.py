"""The providers, as rows of data (`rows_*.py`); a provider's module, and so its SDK, is imported when it is first used.

A package can add a provider by an entry point in the group `agent_launcher.providers` whose object is a
`ProviderSpec`. Nothing here is edited for that (docs/adding-a-provider.md). One that cannot be loaded is passed over
with a line in the log: it must not take the other providers with it.
"""

import os
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Final, cast

from core.contract import invalid_provider_message
from core.errors import UnknownProvider
from core.loggers import get_logger
from core.providers.base import Provider
from core.providers.keys import know_key_variables
from core.providers.rows_anthropic import ANTHROPIC
from core.providers.rows_bedrock import BEDROCK
from core.providers.rows_demo import DEMO
from core.providers.rows_gemini import GEMINI
from core.providers.rows_ollama import OLLAMA
from core.providers.rows_openai import OPENAI
from core.providers.spec import ProviderSpec

log = get_logger("agent_launcher.providers")

ENTRY_POINT_GROUP: Final = "agent_launcher.providers"

BUILT_IN: Final = (
    DEMO,
    BEDROCK,
    ANTHROPIC,
    OPENAI,
    GEMINI,
    OLLAMA,
)


_lock = threading.RLock()
_specs: Final[dict[str, ProviderSpec]] = {}
_providers: Final[dict[str, Provider]] = {}


def _after_fork() -> None:
    # Another thread of the parent may have held it, for as long as it imports an SDK.
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def specs() -> Mapping[str, ProviderSpec]:
    """All registered providers by name, the built-in ones first."""
    if not _specs:
        with _lock:
            if not _specs:
                _specs.update(_find_specs())
    return _specs


def _find_specs() -> dict[str, ProviderSpec]:
    # Not at the top: `importlib.metadata` brings `email` and `zipfile`, a fifth of what importing this
    # package costs.
    from importlib.metadata import entry_points

    rows = {spec.name: spec for spec in BUILT_IN}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            spec = cast(object, entry_point.load())
        except Exception as exc:  # another's code: whatever it raises when it is imported
            log.warning("the provider %s cannot be loaded: %r. Update its package.", entry_point.value, exc)
            continue
        if isinstance(spec, ProviderSpec):
            rows.setdefault(spec.name, spec)
            know_key_variables(spec)
        else:
            log.warning("the provider %s is no ProviderSpec. Update its package.", entry_point.value)
    return rows


def get_spec(name: str) -> ProviderSpec:
    """The provider's row.

    Raises:
        UnknownProvider: No such provider; the message lists the known names.
    """
    try:
        return specs()[name]
    except KeyError:
        raise UnknownProvider(invalid_provider_message(name, specs()), sent=False) from None


def load(name: str) -> Provider:
    """The provider itself; its SDK is imported here, on the first call for this name.

    Raises:
        UnknownProvider: No such provider.
    """
    provider = _providers.get(name)
    if provider is None:
        module = get_spec(name).module
        with _lock:  # one instance, whose connections and clients all threads share
            provider = _providers.get(name)
            if provider is None:
                provider = _providers[name] = cast(Provider, import_module(module).create())
    return provider
