"""Gemini as a row of the registry: what its models take, and where they differ."""

from types import MappingProxyType
from typing import Final

from core.providers.spec import Feature, ModelRule, ProviderSpec

_SAMPLING: Final = frozenset({Feature.TEMPERATURE, Feature.TOP_P})
_BUDGET: Final = MappingProxyType({Feature.REASONING_EFFORT: "thinkingBudget"})

# Sources: the Gemini API's documentation (ai.google.dev), pages "Gemini thinking", "What's new in Gemini 3.8 Flash",
# "Gemini 4 Argon" and "Image understanding"; Google Cloud's page "Thinking" and its developers' guides to 3.5, 3.7
# and 3.8 Flash, which have a table of levels for each model. Checked 2026-11-22.
# Generation 2.5 takes a budget of tokens, later ones a level; sending the other one, or a level that the model
# does not know, is a 400. Only 2.5 Flash and Flash-Lite can switch thinking off. Since 3.6 Flash and 3.5
# Flash-Lite the models ignore temperature and top_p, so a request for them is refused here instead of being
# answered as if they had counted.
_GEMINI_MODELS: Final = (
    ModelRule(
        pattern=r"gemini-2\.5-pro.*",
        names=_BUDGET,
        efforts=("minimal", "low", "medium", "high"),
    ),
    ModelRule(
        pattern=r"gemini-2\.5-.*",
        names=_BUDGET,
        efforts=("none", "minimal", "low", "medium", "high"),
    ),
    ModelRule(
        # The price list has some of the generation 1.5 with the number behind.
        pattern=r"(gemini-[12]\.\d+-.*|gemini-(pro|flash)-1\.5.*|gemini-pro|gemma-[123](\D.*)?|learnlm-.*)",
        without=frozenset({Feature.REASONING_EFFORT}),
    ),
    ModelRule(pattern=r"gemini-3-pro.*", efforts=("low", "high")),
    ModelRule(
        pattern=r"(gemini-3\.1-pro.*|gemini-pro-latest)",
        efforts=("low", "medium", "high"),
    ),
    ModelRule(
        pattern=r"(gemini-3\.[789]-flash(?!-lite).*|gemini-flash-latest|gemini-([4-9]|\d\d)(\.\d+)?-.*)",
        without=_SAMPLING,
        efforts=("low", "medium", "high"),
    ),
    ModelRule(
        pattern=r"(gemini-3\.[6-9]-flash.*|gemini-3\.5-flash-lite.*|gemini-flash-lite-latest)",
        without=_SAMPLING,
        efforts=("minimal", "low", "medium", "high"),
    ),
    ModelRule(
        pattern=r"gemini-3(\.\d+)?-flash.*",
        efforts=("minimal", "low", "medium", "high"),
    ),
    ModelRule(
        # Of a model that is not known here, only that no level of the API is called "none" or "max".
        pattern=r"gemini-.*",
        efforts=("minimal", "low", "medium", "high", "xhigh"),
    ),
)

GEMINI: Final = ProviderSpec(
    name="GEMINI",
    label="Google Gemini",
    module="core.providers.gemini",
    features=frozenset(Feature),
    default_model="gemini-3.8-flash",
    color="#4285f4",
    description="Google's Gemini models, over the Gemini API (a key of Google AI Studio).",
    api_key_variable="GEMINI_API_KEY",
    api_key_variable_first="GOOGLE_API_KEY",
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
    own_base_url="https://generativelanguage.googleapis.com",
    cloud_host="generativelanguage.googleapis.com",
    price_provider="google",
    key_help="aistudio.google.com > API keys",
    unknown_model_hint=(
        "Some models are in v1beta only, such as those whose names end in -latest: set GOOGLE_GENAI_API_VERSION to "
        "beta, or end the base URL in /v1beta."
    ),
    sdk="google.genai",
    model_rules=_GEMINI_MODELS,
    model_prefix="models/",
    unreadable=frozenset({"image/gif"}),
    # The catalogue's list is also that of Vertex AI, another API of Google's, which serves other makers' models.
    not_for_chat=(
        r"(.*(embedding|computer-use|native-audio|nano-banana).*|.*-(tts|image|live)(-.*)?"
        r"|(imagen|veo|lyria|aqa|claude).*|.*-maas)"
    ),
)
