"""Anthropic as a row of the registry: what its models take, where they differ, and how each of them reasons."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from core.providers.spec import Feature, ModelRule, ProviderSpec

_SAMPLING: Final = frozenset({Feature.TEMPERATURE, Feature.TOP_P})
_PREFIX: Final = r"(anthropic/)?claude-"
_DATED: Final = r"(-\d{8}|-latest|@\d{8})?"
_ALWAYS_THINKING: Final = _PREFIX + rf"((fable|mythos)-.*|opus-5[-.]5{_DATED})"

# Sources: platform.claude.com/docs, "Thinking" (with "Sampling parameters"), "Effort", "Structured outputs",
# "PDF support", "What's new in" and "Migrating to" of Opus 5, Opus 5.5, Sonnet 5.5 and Haiku 5.5, and "API
# version 2026-10-21"; the types of anthropic 2.12. Checked 2026-11-22. The optional prefix is a gateway's.
_ANTHROPIC_MODELS: Final = (
    ModelRule(
        pattern=_PREFIX + r"(1|2|v1|instant).*",
        without=frozenset(
            {Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA, Feature.IMAGES, Feature.DOCUMENTS}
        ),
    ),
    ModelRule(
        pattern=_PREFIX + r"(3-(opus|sonnet|haiku).*)",
        without=frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA, Feature.DOCUMENTS}),
    ),
    ModelRule(
        pattern=_PREFIX + r"3[-.]5-.*",
        without=frozenset({Feature.REASONING_EFFORT, Feature.RESPONSE_SCHEMA}),
    ),
    ModelRule(
        pattern=_PREFIX + rf"(3[-.]7-.*|(opus|sonnet)-4([-.][01])?{_DATED}|4-(opus|sonnet){_DATED})",
        without=frozenset({Feature.RESPONSE_SCHEMA}),
        without_while_reasoning=_SAMPLING,
        reasons_unasked=False,
    ),
    ModelRule(
        # The last that sample: 4.5 and 4.6, as long as they do not reason, which they do only when asked to.
        pattern=_PREFIX + rf"(opus|sonnet|haiku)-4[-.]5{_DATED}",
        without_while_reasoning=_SAMPLING,
        reasons_unasked=False,
    ),
    ModelRule(
        pattern=_PREFIX + rf"(opus|sonnet|haiku)-4[-.]6{_DATED}",
        without_while_reasoning=_SAMPLING,
        reasons_unasked=False,
        efforts=("none", "minimal", "low", "medium", "high", "max"),
    ),
    ModelRule(
        pattern=_ALWAYS_THINKING,
        without=_SAMPLING,
        efforts=("minimal", "low", "medium", "high", "xhigh", "max"),
    ),
    ModelRule(pattern=_PREFIX + r".*", without=_SAMPLING),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How some models are told to reason, and to leave it.

    Attributes:
        pattern: Matched against the whole model name, without regard to case.
        asked_by: The `thinking.type` that has to ask for it; None where they reason unasked, as deep as
            `output_config.effort` says. "enabled" takes a budget of tokens and no effort.
        off_by: The `thinking.type` that switches it off; None where nothing does, or nothing has to.
    """

    pattern: str
    asked_by: Literal["adaptive", "enabled"] | None = None
    off_by: Literal["disabled", "between_tools"] | None = None


_THINKING: Final = (
    Thinking(
        pattern=_PREFIX + r"(3[-.]7-.*|(opus|sonnet|haiku)-4([-.][0-5])?|4-(opus|sonnet))" + _DATED,
        asked_by="enabled",
    ),
    Thinking(pattern=_PREFIX + rf"(opus|sonnet|haiku)-4[-.]\d+{_DATED}", asked_by="adaptive"),
    Thinking(pattern=_ALWAYS_THINKING),
    # Without tools, and no request of ours has any, this is thinking off.
    Thinking(pattern=_PREFIX + rf"sonnet-5[-.]5{_DATED}", off_by="between_tools"),
)
_OTHERWISE: Final = Thinking(pattern=".*", off_by="disabled")
"""Opus 5, Sonnet 5, Haiku 5.5, and whatever is not known here."""


@lru_cache(maxsize=1_024)  # names are typed by people and programs
def thinking_of(model_name: str) -> Thinking:
    """How this model is told to reason."""
    for row in _THINKING:
        if re.fullmatch(row.pattern, model_name, re.IGNORECASE):
            return row
    return _OTHERWISE


_SAMPLES_BY_ONE: Final = re.compile(_PREFIX + rf"(opus|sonnet|haiku)-4[-.][156]{_DATED}", re.IGNORECASE)


def samples_by_one(model_name: str) -> bool:
    """Whether this model takes temperature or top_p but not both: 400, "cannot both be specified for this model"."""
    return _SAMPLES_BY_ONE.fullmatch(model_name) is not None


ANTHROPIC: Final = ProviderSpec(
    name="ANTHROPIC",
    label="Anthropic",
    module="core.providers.anthropic",
    features=frozenset(Feature) - {Feature.SEED},
    default_model="claude-haiku-5-5",
    color="#c96442",
    description="Anthropic's Claude, and any server that speaks its Messages API (give its base URL).",
    api_key_variable="ANTHROPIC_API_KEY",
    base_url_variable="ANTHROPIC_BASE_URL",
    own_base_url="https://api.anthropic.com",
    cloud_host="api.anthropic.com",
    price_provider="anthropic",
    key_help="platform.claude.com > Settings > API keys",
    sdk="anthropic",
    model_rules=_ANTHROPIC_MODELS,
)
