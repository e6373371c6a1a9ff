"""`generateContent` as data: a contract request to its JSON, its JSON to an answer. No request is made here.

Shapes after ai.google.dev/api/generate-content and google-genai 3.4's types and converters, 2026-11-22. A field
that is zero or empty is left out of the JSON (it is protocol buffers' mapping).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.contract import AgentRequest, FinishReason, ReasoningEffort, TokenUsage
from core.loggers import get_logger
from core.providers.rows_gemini import GEMINI
from core.providers.spec import Feature
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

log = get_logger("agent_launcher.providers")

_THINKING_BUDGETS: Final[Mapping[ReasoningEffort, int]] = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
"""In tokens; those that Google's own OpenAI-compatible API puts for these words
(ai.google.dev/gemini-api/docs/openai, "Thinking", 2026-11-22)."""

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the request's own limit, with a token to go on from; one call is one request
    "FUNCTION_CALL": "tool_calls",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION"),
            *("MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        ),
        "content_filter",
    ),
}
_VERSION: Final = re.compile(r"(.*)/(v\d+[a-z0-9]*)", re.DOTALL)
_ACCOUNT_LIMITED: Final = "PUP_LIMITED_DISABLED"
_UNSPECIFIED: Final = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})


class Ending(StrEnum):
    """What the vendor's end of an answer means beyond its finish reason."""

    ANSWERED = "answered"
    FILTERED = "filtered"
    """A filter cut the answer."""
    PROMPT_BLOCKED = "prompt-blocked"
    """There is no answer: the prompt was refused."""
    ACCOUNT_LIMITED = "account-limited"
    """Generation stopped because the account broke the vendor's policies."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor said.

    Attributes:
        text: The answer, without the model's thoughts.
        finish_reason: None if the vendor gave none.
        model: None if the vendor named none.
        usage: None if the vendor reported none.
        response_id: The vendor's id of the answer.
        ending: Whether it is one at all.
    """

    text: str
    finish_reason: FinishReason | None
    model: str | None
    usage: TokenUsage | None
    response_id: str | None
    ending: Ending


def split_version(base_url: str, environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """A base URL as the server's address and the API's version.

    The version is the one at the address's end, else the one that the SDK's own variable
    GOOGLE_GENAI_API_VERSION names, else v1, as in the SDK.

    Args:
        base_url: Without a slash at its end.
        environment: Instead of `os.environ`.
    """
    if versioned := _VERSION.fullmatch(base_url):
        return versioned[1], versioned[2]
    variables = os.environ if environment is None else environment
    version = variables.get("GOOGLE_GENAI_API_VERSION", "").strip() or "v1"
    return base_url, "v1beta" if version == "beta" else version


def resource_of(model_name: str) -> str:
    """The model as it stands in the API's path."""
    return model_name if model_name.startswith(("models/", "tunedModels/")) else f"models/{model_name}"


def render(request: AgentRequest) -> dict[str, Any]:
    """The body of a `generateContent` request: only what the contract request sets."""
    body: dict[str, Any] = {"contents": _contents(request)}
    if request.system_prompt:
        body["systemInstruction"] = {"parts": [{"text": request.system_prompt}]}
    config: dict[str, Any] = {}
    for name, value in (
        ("maxOutputTokens", request.max_tokens),
        ("temperature", request.temperature),
        ("topP", request.top_p),
        ("stopSequences", request.stop or None),
        ("seed", request.seed),
        ("thinkingConfig", _thinking(request)),
    ):
        if value is not None:
            config[name] = value
    if request.response_schema is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": request.response_schema}
    if config:
        body["generationConfig"] = config
    return body


def _contents(request: AgentRequest) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = [
        {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.content}]}
        for turn in request.turns()
    ]
    files = [
        {"inlineData": {"mimeType": attachment.media_type, "data": attachment.data}}
        for attachment in request.attachments or ()
    ]
    contents[-1]["parts"] = [*files, *contents[-1]["parts"]]
    return contents


def _thinking(request: AgentRequest) -> dict[str, Any] | None:
    effort = request.reasoning_effort
    if effort is None:
        return None
    rule = GEMINI.rule_for(request.model_name, base_url=request.base_url)
    if effort == "none" or (rule is not None and Feature.REASONING_EFFORT in rule.names):
        return {"thinkingBudget": _THINKING_BUDGETS[effort]}
    return {"thinkingLevel": effort}


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    reader = ChunkReader()
    reader.add(body)
    if not reader.began:
        raise ValueError("has no candidate in it")
    return reader.answer()


class ChunkReader:
    """Collects the chunks of a stream, each of which is an answer of its own form."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._reason: str | None = None
        self._blocked = False
        self._model: object = None
        self._usage: object = None
        self._id: object = None
        self.began = False
        """Whether anything of an answer came: a candidate's content or end, or the prompt's refusal."""

    @property
    def finished(self) -> bool:
        """Whether the vendor said why the answer ended, the end mark of its streams."""
        return self._reason is not None or self._blocked

    def add(self, chunk: Mapping[str, object]) -> str:
        """The text that a chunk brings, empty if none."""
        self._model = self._model or chunk.get("modelVersion")
        self._usage = chunk.get("usageMetadata") or self._usage
        self._id = self._id or chunk.get("responseId")
        feedback = as_object(chunk.get("promptFeedback")) or {}
        if _named(feedback.get("blockReason")):
            self._blocked = self.began = True
        text = ""
        for item in as_list(chunk.get("candidates")) or ():
            candidate = as_object(item) or {}
            if candidate.get("index"):
                continue  # never asked for: candidateCount is 1
            content = as_object(candidate.get("content"))
            reason = _named(candidate.get("finishReason"))
            self.began = self.began or content is not None or reason is not None
            self._reason = reason or self._reason
            for entry in as_list((content or {}).get("parts")) or ():
                part = as_object(entry) or {}
                piece = part.get("text")
                if isinstance(piece, str) and piece and not part.get("thought"):
                    text += self._joiner.add(piece)
        return text

    def answer(self) -> Answer:
        """All of it."""
        finish_reason = None if self._reason is None else _FINISH_REASONS.get(self._reason, "other")
        ending = Ending.ANSWERED
        if self._blocked and self._reason is None:
            finish_reason, ending = "content_filter", Ending.PROMPT_BLOCKED
        elif self._reason == _ACCOUNT_LIMITED:
            ending = Ending.ACCOUNT_LIMITED
        elif finish_reason == "content_filter":
            ending = Ending.FILTERED
        return Answer(
            text=self._joiner.text,
            finish_reason=finish_reason,
            model=_short(self._model),
            usage=read_usage(self._usage),
            response_id=_short(self._id),
            ending=ending,
        )


def _named(value: object) -> str | None:
    name = as_text(value)
    return None if name in _UNSPECIFIED else name


def _short(value: object) -> str | None:
    name = as_text(value)
    return None if name is None else GEMINI.bare_name(mend(name))[:200]


def read_tier(header: str | None) -> str | None:
    """The service tier at which the vendor says that it worked; None if it does not say.

    The API's enumeration has words such as "flex", and for nothing said one of its own: the tier is the standard one
    then (`ServiceTier` in google-genai 3.4, 2026-11-22).
    """
    tier = re.sub(r"(?i)^service_tier_", "", (header or "").strip())
    return None if tier.lower() in {"", "unspecified"} else tier


def read_usage(value: object) -> TokenUsage | None:
    """Tokens, normalised; None unless they are there and all figures agree.

    The vendor counts cached tokens within the prompt's, but thoughts beside the answer's tokens and the results
    of tools beside the prompt's, and its total is the sum of the four. A count that is zero is left out.
    """
    body = as_object(value)
    if body is None:
        return None
    prompt, answered = as_count(body.get("promptTokenCount")), as_count(body.get("candidatesTokenCount"))
    thoughts, cached = as_count(body.get("thoughtsTokenCount")), as_count(body.get("cachedContentTokenCount"))
    tools, total = as_count(body.get("toolUsePromptTokenCount")) or 0, as_count(body.get("totalTokenCount"))
    if prompt is None or (answered is None and total is None):
        return None
    read, written = prompt + tools, (answered or 0) + (thoughts or 0)
    beside = 0 if total is None else total - read - written
    if beside and beside > 0 and thoughts is None:
        # Said by the total only: by a gateway that leaves the details out.
        written += beside
        beside = 0
    if beside or (cached or 0) > read:
        # Any price of it would be a guess.
        log.warning(
            "usage that contradicts itself, taken as unknown: prompt=%s candidates=%s thoughts=%s tools=%s "
            "total=%s cached=%s",
            *(prompt, answered, thoughts, tools, total, cached),
        )
        return None
    return TokenUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        cached_input_tokens=cached,
        reasoning_tokens=thoughts,
    )
