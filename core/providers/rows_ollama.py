"""Ollama as a row of the registry: models on one's own machines."""

from typing import Final

from core.providers.spec import Feature, ModelRule, ProviderSpec

# Sources: docs.ollama.com, the pages on chat, thinking, vision and the cloud, and the docstrings of ollama 0.6.3,
# whose `think` is true, false, "low", "medium" or "high". Checked 2026-11-22. Which model can see or think is
# known to the server only: it refuses what a model lacks, and says so.
_OLLAMA_MODELS: Final = (
    ModelRule(
        # Its thinking has levels and cannot be switched off: "false" is ignored. Text only.
        pattern=r"(.*/)?gpt-oss.*",
        without=frozenset({Feature.IMAGES}),
        efforts=("low", "medium", "high"),
    ),
    ModelRule(pattern=r".*", efforts=("none", "low", "medium", "high")),
)

OLLAMA: Final = ProviderSpec(
    name="OLLAMA",
    label="Ollama",
    module="core.providers.ollama",
    features=frozenset(Feature) - {Feature.DOCUMENTS},
    default_model="gemma4",
    color="#6c6a94",
    description="Models on a machine of your own, or on Ollama's cloud; no key for your own.",
    api_key_variable="OLLAMA_API_KEY",
    api_key_optional=True,
    base_url_variable="OLLAMA_HOST",
    own_base_url="http://127.0.0.1:11434",
    bare_host_port=11434,
    self_hosted=True,
    cloud_host="ollama.com",
    cloud_models=r".*[:-]cloud",
    key_help="ollama.com > Settings > API keys; only Ollama's cloud wants one",
    sdk="ollama",
    model_rules=_OLLAMA_MODELS,
    # Those of ollama.com/search?c=embedding, whose names do not all say so.
    not_for_chat=r"(.*/)?(.*embed.*|bge-.*|all-minilm.*|paraphrase-multilingual.*)",
)
