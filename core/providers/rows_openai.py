"""OpenAI as a row of the registry: what its models take, and where they differ."""

from types import MappingProxyType
from typing import Final

from core.providers.spec import Feature, ModelRule, ProviderSpec

_SAMPLING: Final = frozenset({Feature.TEMPERATURE, Feature.TOP_P})
_MAX_COMPLETION_TOKENS: Final = MappingProxyType({Feature.MAX_TOKENS: "max_completion_tokens"})

# Sources: developers.openai.com/api/docs, guides "Reasoning" and "Using the latest model" (parameter
# compatibility), the model pages and the API reference of chat completions; the docstrings of openai 3.54.
# Checked 2026-11-22. `stop` is documented as refused by o3 and o4-mini; gpt-5 answers 400 "Unsupported
# parameter: 'stop'" to it. `seed` is accepted everywhere. The optional prefixes are a gateway's
# ("openai/gpt-5") and a fine-tuned model's.
_OPENAI_MODELS: Final = (
    ModelRule(
        # Chat variants of the reasoning generations: no effort to choose.
        pattern=r"(openai/|ft:)?gpt-([5-9]|\d\d)(\.\d+)?-chat.*|(openai/)?gpt-chat-latest",
        without=frozenset({Feature.REASONING_EFFORT}),
        names=_MAX_COMPLETION_TOKENS,
    ),
    ModelRule(
        pattern=r"(openai/|ft:)?(o3-mini|o1-mini|o1-preview).*",
        without=_SAMPLING | {Feature.STOP, Feature.IMAGES, Feature.DOCUMENTS},
        names=_MAX_COMPLETION_TOKENS,
    ),
    ModelRule(
        # These cannot switch reasoning off: the first generation of gpt-5, what is made for depth or code, and
        # all of the o series, whatever follows its number (o3-pro, o3-deep-research).
        pattern=(
            r"(openai/|ft:)?(gpt-5(-(pro|mini|nano|codex|search).*)?(-20\d\d.*)?|gpt-.*-(pro|codex).*"
            r"|o\d+(-.*)?)"
        ),
        without=_SAMPLING | {Feature.STOP},
        names=_MAX_COMPLETION_TOKENS,
    ),
    ModelRule(
        # Later generations sample like a chat model while their reasoning is off.
        pattern=r"(openai/|ft:)?(gpt-([5-9]|\d\d)(\.\d+)?(-.*)?)",
        without=frozenset({Feature.STOP}),
        without_while_reasoning=_SAMPLING,
        names=_MAX_COMPLETION_TOKENS,
    ),
    ModelRule(
        pattern=r"(ft:)?(gpt-3\.5.*|gpt-4(-0314|-0613|-32k.*)?)",
        without=frozenset(
            {Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA, Feature.IMAGES, Feature.DOCUMENTS}
        ),
        own_endpoint_only=True,
    ),
    ModelRule(
        # Text only, says its model page. A gateway may read files for it.
        pattern=r"gpt-oss-.*",
        without=frozenset({Feature.IMAGES, Feature.DOCUMENTS}),
        efforts=("low", "medium", "high"),
        own_endpoint_only=True,
    ),
    ModelRule(
        pattern=r"(ft:)?gpt-4-.*",
        without=frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA, Feature.DOCUMENTS}),
        own_endpoint_only=True,
    ),
    ModelRule(
        pattern=r"(ft:)?(gpt-4o|gpt-4\.\d|chatgpt-4o).*",
        without=frozenset({Feature.REASONING_EFFORT}),
        own_endpoint_only=True,
    ),
)

OPENAI: Final = ProviderSpec(
    name="OPENAI",
    label="OpenAI",
    module="core.providers.openai",
    features=frozenset(Feature),
    default_model="gpt-5.4-mini",
    color="#10a37f",
    description="OpenAI, and any server that speaks its chat completions API (give its base URL).",
    api_key_variable="OPENAI_API_KEY",
    base_url_variable="OPENAI_BASE_URL",
    own_base_url="https://api.openai.com/v1",
    cloud_host="api.openai.com",
    price_provider="openai",
    key_help="platform.openai.com > API keys",
    unknown_model_hint="It often ends in /v1.",
    sdk="openai",
    model_rules=_OPENAI_MODELS,
    # The last line: those "only supported in v1/responses and not in v1/chat/completions", as the API itself answers
    # (aaif-goose/goose issue 2564, pgadmin-org/pgadmin4 issue 9795, egoist/chatwise-releases issues 1122 and 1256).
    not_for_chat=(
        r"(text-|omni-|ft:)?(embedding|moderation|davinci|babbage|curie|ada).*"
        r"|(whisper|tts|dall-e|sora|computer-use)-?.*"
        r"|gpt-(image|audio|realtime|live|transcribe).*"
        r"|.*-(transcribe|tts|realtime|audio|image|instruct)(-.*)?"
        r"|(o\d|gpt-[5-9](\.\d+)?)-pro(-20.*)?|codex-.*|gpt-.*-codex(-.*)?|.*-deep-research(-.*)?"
    ),
)
