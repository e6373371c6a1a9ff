"""Cohere as a row of the registry: what its models take, and where they differ. Imports no SDK."""

from typing import Final

from core.providers.spec import Feature, ModelRule, ProviderSpec

_SEES_NOTHING: Final = frozenset({Feature.IMAGES})
_EFFORTS: Final = ("none", "low", "medium", "high", "max")

# Sources: docs.cohere.com, "An overview of Cohere's models" with the page of each model, "Reasoning", "Image
# inputs", "Structured outputs" and the reference of v2/chat; the types of cohere 7.3.1. Checked 2026-11-22.
_MODELS: Final = (
    ModelRule(pattern=r"command-a-plus-.*", efforts=_EFFORTS),
    ModelRule(pattern=r"command-a-reasoning-.*", without=_SEES_NOTHING, efforts=_EFFORTS),
    ModelRule(pattern=r"(command-a|c4ai-aya)-vision-.*", without=frozenset({Feature.REASONING_EFFORT})),
    ModelRule(
        pattern=r"(command-(a|r|light|nightly)|c4ai-|tiny-aya-).*|command",
        without=_SEES_NOTHING | {Feature.REASONING_EFFORT},
    ),
    # Whatever comes after these may do everything: Cohere refuses what it does not, and says so.
    ModelRule(pattern=r".*", efforts=_EFFORTS),
)

COHERE: Final = ProviderSpec(
    name="COHERE",
    label="Cohere",
    module="agent_launcher_cohere.provider",
    features=frozenset(Feature) - {Feature.DOCUMENTS},
    default_model="command-a-03-2025",
    color="#b8509c",
    description="Cohere's Command models, and any server that speaks its v2 chat API (give its base URL).",
    api_key_variable="CO_API_KEY",
    base_url_variable="CO_API_URL",
    own_base_url="https://api.cohere.com",
    price_provider="cohere",
    key_help="dashboard.cohere.com > API keys",
    sdk="cohere",
    model_rules=_MODELS,
    not_for_chat=r"(embed|rerank|parse|classify)-.*",
)
