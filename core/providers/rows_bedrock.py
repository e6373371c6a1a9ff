"""Amazon Bedrock as a row of the registry: what the models behind Converse take, and how each of them reasons."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

from core.providers.spec import Feature, ModelRule, ProviderSpec

_SAMPLING: Final = frozenset({Feature.TEMPERATURE, Feature.TOP_P})
_NO_REASONING: Final = frozenset({Feature.REASONING_EFFORT})
_TEXT_ONLY: Final = frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA, Feature.IMAGES})

_BEFORE: Final = r"(arn:[^/]*:(foundation-model|inference-profile)/)?([a-z-]+\.)?"
"""An ARN's beginning, and where an inference profile sends requests: `us.`, `eu.`, `apac.`, `jp.`, `global.`"""
_CLAUDE: Final = _BEFORE + r"anthropic\.claude-"
_VERSION: Final = r"(-\d{8})?(-v\d+)?(:.*)?"
_ASKED: Final = ("minimal", "low", "medium", "high", "xhigh", "max")

# Sources: docs.aws.amazon.com/bedrock, User Guide: "Supported models and model features" (Converse), "Get validated
# JSON results from models", "Inference request parameters" of each vendor; Amazon Nova 2 User Guide, "Extended
# thinking"; platform.claude.com/docs, "Thinking" and "Effort"; the service model of botocore 1.44. Checked
# 2026-11-22. Converse has no seed. Claude 4.5 on Bedrock takes temperature or top_p, not both: it says so itself.
# An ARN that names no model (an application inference profile) is resolved when the request is sent.
_BEDROCK_MODELS: Final = (
    ModelRule(pattern=_CLAUDE + r"(v2|instant).*", without=_TEXT_ONLY),
    ModelRule(pattern=_CLAUDE + r"3-5-haiku.*", without=_TEXT_ONLY),
    ModelRule(
        pattern=_CLAUDE + r"3-(opus|sonnet|haiku|5).*",
        without=frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA}),
    ),
    ModelRule(
        pattern=_CLAUDE + rf"(3-7-.*|(opus|sonnet)-4(-[01])?{_VERSION})",
        without=frozenset({Feature.RESPONSE_SCHEMA}),
        without_while_reasoning=_SAMPLING,
        reasons_unasked=False,
    ),
    ModelRule(
        # The last that sample, as long as they do not reason, which they do only when asked to.
        pattern=_CLAUDE + rf"(opus|sonnet|haiku)-4-[56]{_VERSION}",
        without_while_reasoning=_SAMPLING,
        reasons_unasked=False,
    ),
    ModelRule(
        pattern=_CLAUDE + rf"((fable|mythos)-.*|opus-5-5{_VERSION})", without=_SAMPLING, efforts=_ASKED
    ),
    ModelRule(pattern=_CLAUDE + r".*", without=_SAMPLING),
    ModelRule(pattern=_BEFORE + r"amazon\.nova-micro.*", without=_TEXT_ONLY | {Feature.DOCUMENTS}),
    ModelRule(
        pattern=_BEFORE + r"amazon\.nova-2-.*",
        without=frozenset({Feature.RESPONSE_SCHEMA}),
        efforts=("none", "minimal", "low", "medium", "high"),
    ),
    ModelRule(
        pattern=_BEFORE + r"(amazon\.nova-.*|meta\.llama(3-2-(11|90)b|4-).*)",
        without=frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA}),
    ),
    ModelRule(
        pattern=_BEFORE
        + r"(amazon\.titan-.*|meta\.llama.*|ai21\..*|cohere\.command.*|deepseek\.r1.*"
        + r"|mistral\.(mistral-7b|mixtral-|mistral-(large|small)-24).*)",
        without=_TEXT_ONLY,
    ),
    ModelRule(
        pattern=_BEFORE + r"openai\.gpt-oss-.*",
        without=frozenset({Feature.IMAGES, Feature.DOCUMENTS}),
        efforts=("minimal", "low", "medium", "high"),
    ),
    ModelRule(
        # The model cards name text alone.
        pattern=_BEFORE
        + r"(nvidia\.nemotron-(nano-9b|nano-3|super-3)-.*|qwen\.qwen3-(\d+b|coder)-.*|writer\.palmyra-x.*)",
        without=_NO_REASONING | {Feature.IMAGES},
    ),
    ModelRule(pattern=r"(?!arn:).*|arn:[^/]*:(foundation-model|inference-profile)/.*", without=_NO_REASONING),
)


class ReasonsBy(StrEnum):
    """How a model is told how hard to reason."""

    BUDGET = "budget"
    """Claude to 4.5: a budget of tokens."""
    ADAPTIVE = "adaptive"
    """Claude 4.6 to 4.8: asked to, then as deep as the effort says."""
    EFFORT = "effort"
    """Claude 5: unasked, as deep as the effort says."""
    NOVA = "nova"
    GPT_OSS = "gpt-oss"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How some models are told to reason, and to leave it.

    Attributes:
        pattern: Matched against the whole model name, without regard to case.
        by: In which words.
        off_by: The `thinking.type` that switches it off; None where nothing has to, or nothing does.
    """

    pattern: str
    by: ReasonsBy
    off_by: Literal["disabled", "between_tools"] | None = None


_REASONING: Final = (
    Reasoning(_CLAUDE + rf"(3-7-.*|(opus|sonnet|haiku)-4(-[0-5])?{_VERSION})", ReasonsBy.BUDGET),
    Reasoning(_CLAUDE + rf"(opus|sonnet|haiku)-4-\d+{_VERSION}", ReasonsBy.ADAPTIVE),
    Reasoning(_CLAUDE + r"(fable|mythos)-.*|" + _CLAUDE + rf"opus-5-5{_VERSION}", ReasonsBy.EFFORT),
    # Without tools, and no request of ours has any, this is thinking off.
    Reasoning(_CLAUDE + rf"sonnet-5-5{_VERSION}", ReasonsBy.EFFORT, "between_tools"),
    Reasoning(_BEFORE + r"amazon\.nova-.*", ReasonsBy.NOVA),
    Reasoning(_BEFORE + r"openai\.gpt-oss-.*", ReasonsBy.GPT_OSS),
)
_OTHERWISE: Final = Reasoning(".*", ReasonsBy.EFFORT, "disabled")
"""Claude Opus 5, Sonnet 5 and Haiku 5.5, and whatever is not known here."""


@lru_cache(maxsize=1_024)  # names are typed by people and programs
def reasoning_of(model_name: str) -> Reasoning:
    """How this model is told to reason."""
    for row in _REASONING:
        if re.fullmatch(row.pattern, model_name, re.IGNORECASE):
            return row
    return _OTHERWISE


BEDROCK: Final = ProviderSpec(
    name="BEDROCK",
    label="Amazon Bedrock",
    module="core.providers.bedrock",
    features=frozenset(Feature) - {Feature.SEED},
    default_model="global.anthropic.claude-haiku-4-5-20251001-v1:0",
    color="#e07b00",
    description="Every chat model of Amazon Bedrock, with this machine's AWS credentials or a key.",
    api_key_variable="AWS_BEARER_TOKEN_BEDROCK",
    api_key_optional=True,
    other_credentials="core.providers.aws_credentials",
    base_url_variable="AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    price_provider="aws",
    key_help="Amazon Bedrock console > API keys",
    sdk="botocore.session",
    default_model_variable="BEDROCK_MODEL_ID",
    model_rules=_BEDROCK_MODELS,
    not_for_chat=(
        _BEFORE + r"(.*(embed|rerank|sonic|canvas|reel|image|upscale|-sdxl|stable-|style-|voxtral).*"
        # "regional." is the price list's word for the profiles of all regions (us., eu., ...), and no request's.
        r"|(twelvelabs|stability|regional)\..*)"
    ),
)
