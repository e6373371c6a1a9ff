"""The providers, as rows of data; a provider's module, and with it its SDK, is imported when it is first used.

A package can add a provider by an entry point in the group `agent_launcher.providers` whose object is a
`ProviderSpec`. Nothing here is edited for that.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, cast

from core.contract import invalid_provider_message
from core.errors import UnknownProvider
from core.providers.base import Feature, ModelInfo, Provider, ProviderSpec

ENTRY_POINT_GROUP: Final = "agent_launcher.providers"

DEMO: Final = ProviderSpec(
    name="DEMO",
    label="Demo (offline)",
    module="core.providers.demo",
    features=frozenset(Feature) - {Feature.BASE_URL},
    default_model="demo-echo",
    color="#7a7f8a",
    description="An offline demo model: deterministic text made from the prompt, no key, no network, no cost.",
    offline=True,
    models=(
        ModelInfo("demo-echo", "Answers at once", 128_000),
        ModelInfo("demo-slow", "Answers word by word over several seconds", 128_000),
        ModelInfo("demo-flaky", "Fails every other time with a retryable error", 128_000),
        ModelInfo("demo-error", "Always fails", 128_000),
    ),
)

OPENAI: Final = ProviderSpec(
    name="OPENAI",
    label="OpenAI",
    module="core.providers.openai",
    features=frozenset(Feature),
    default_model="gpt-4o-mini",
    color="#10a37f",
    description="OpenAI, and any server that speaks its chat completions API (give its base URL).",
    api_key_variable="OPENAI_API_KEY",
    base_url_variable="OPENAI_BASE_URL",
    price_provider="openai",
    key_help="platform.openai.com > API keys",
)

BUILT_IN: Final = (DEMO, OPENAI)


@cache
def specs() -> dict[str, ProviderSpec]:
    """All registered providers by name, the built-in ones first."""
    rows = {spec.name: spec for spec in BUILT_IN}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        spec = cast("ProviderSpec", entry_point.load())
        rows.setdefault(spec.name, spec)
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


@cache
def load(name: str) -> Provider:
    """The provider itself; its SDK is imported here, on the first call for this name.

    Raises:
        UnknownProvider: No such provider.
    """
    module = import_module(get_spec(name).module)
    return cast("Provider", module.create())
