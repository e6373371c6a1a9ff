"""The offline demo model as a row of the registry."""

from typing import Final

from core.providers.base import ModelInfo
from core.providers.spec import Feature, ProviderSpec

DEMO: Final = ProviderSpec(
    name="DEMO",
    label="Offline demo",
    module="core.providers.demo",
    features=frozenset(Feature) - {Feature.BASE_URL},
    default_model="demo-echo",
    color="#7a7f8a",
    description="An offline demo model: text made from the prompt, without key, network or cost.",
    offline=True,
    models=(
        ModelInfo("demo-echo", "Answers at once", 128_000),
        ModelInfo("demo-slow", "Answers word by word over several seconds", 128_000),
        ModelInfo("demo-flaky", "Fails every other time with a retryable error", 128_000),
        ModelInfo("demo-error", "Always fails", 128_000),
    ),
)
