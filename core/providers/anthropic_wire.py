"""Anthropic's Messages as data: a request to its JSON, its JSON to an answer. No request is made here.

Shapes after platform.claude.com/docs/en/api (Messages: create, streaming; "Stop reasons"), API version
2026-10-21, and anthropic 2.12's types, 2026-11-22.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from core.contract import (
    MAX_SERVICE_TIER_CHARS,
    AgentRequest,
    Attachment,
    FinishReason,
    ReasoningEffort,
    TokenUsage,
)
from core.errors import InvalidRequest
from core.loggers import get_logger
from core.providers.rows_anthropic import thinking_of
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

log = get_logger("agent_launcher.providers")

API_VERSION: Final = "2026-10-21"
SAMPLING_API_VERSION: Final = "2023-06-01"
"""The last version that takes `temperature` and `top_p`, from the models that have them."""

MAX_TOKENS_VARIABLE: Final = "AGENT_LAUNCHER_DEFAULT_MAX_TOKENS"
_DEFAULT_MAX_TOKENS: Final = 2_000
_MOST_MAX_TOKENS: Final = 10_000_000

_Effort = Literal["low", "medium", "high", "xhigh", "max"]

_BUDGETS: Final[Mapping[_Effort, int]] = {
    "low": 1_024,  # the API's least
    "medium": 4_096,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 24_576,
}
"""Tokens to think, for models that know no effort; with an answer they stay below the least of their limits, 32,000."""

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor said.

    Attributes:
        text: The answer, or why it was refused.
        refused: Nothing was written before the refusal; the text is the vendor's explanation, if it gave one.
        finish_reason: None if the vendor gave none.
        model: None if the vendor named none.
        usage: None if the vendor reported none.
        service_tier: At which tier the vendor says that it worked; None if it does not say.
    """

    text: str
    refused: bool
    finish_reason: FinishReason | None
    model: str | None
    usage: TokenUsage | None
    service_tier: str | None


def render(request: AgentRequest, *, stream: bool) -> dict[str, Any]:
    """The body of a Messages request: only what the contract request sets, and `max_tokens`.

    Raises:
        InvalidRequest: The model takes no such combination of parameters.
    """
    if request.temperature is not None and request.top_p is not None:
        raise InvalidRequest(
            "Anthropic's models take temperature or top_p, not both in one request. Leave one of them out.",
            sent=False,
        )
    thinking, budget, effort = _thinking(request)
    body: dict[str, Any] = {
        "model": request.model_name,
        "max_tokens": request.max_tokens or default_max_tokens() + budget,
        "messages": _messages(request),
    }
    output: dict[str, Any] = {} if effort is None else {"effort": effort}
    if request.response_schema is not None:
        output["format"] = {"type": "json_schema", "schema": closed(request.response_schema)}
    for name, value in (
        ("system", request.system_prompt or None),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("stop_sequences", request.stop or None),
        ("thinking", thinking),
        ("output_config", output or None),
        ("stream", stream or None),
    ):
        if value is not None:
            body[name] = value
    return body


def api_version(body: Mapping[str, object]) -> str:
    """The version of the API that takes this body.

    The current one refuses `temperature` and `top_p` at any value, from any model; the one before takes them
    still, from the models that sample.
    """
    return SAMPLING_API_VERSION if "temperature" in body or "top_p" in body else API_VERSION


def default_max_tokens(environment: Mapping[str, str] | None = None) -> int:
    """What is sent where a request sets no `max_tokens`, which the API requires.

    Raises:
        InvalidRequest: The environment's value is no such number.
    """
    variables = os.environ if environment is None else environment
    value = variables.get(MAX_TOKENS_VARIABLE, "").strip()
    if not value:
        return _DEFAULT_MAX_TOKENS
    if value.isascii() and value.isdigit() and 1 <= int(value) <= _MOST_MAX_TOKENS:
        return int(value)
    raise InvalidRequest(
        f"{MAX_TOKENS_VARIABLE} must be a whole number from 1 to {_MOST_MAX_TOKENS}. Correct it where this "
        "program was started, or set max_tokens in the request.",
        sent=False,
    )


def _thinking(request: AgentRequest) -> tuple[dict[str, Any] | None, int, _Effort | None]:
    """`thinking`, the tokens in it, and `output_config.effort` for the request's `reasoning_effort`."""
    if request.reasoning_effort is None:
        return None, 0, None
    model = thinking_of(request.model_name)
    effort = _effort(request.reasoning_effort)
    if effort is None:
        if model.asked_by is not None:
            return None, 0, None
        if model.off_by is None:
            raise InvalidRequest(
                f"The model {request.model_name} always reasons: reasoning_effort 'none' is not possible. "
                "Choose 'low', leave it out, or choose another model.",
                sent=False,
            )
        return {"type": model.off_by}, 0, None
    match model.asked_by:
        case None:
            return None, 0, effort
        case "adaptive":
            return {"type": "adaptive"}, 0, effort
        case "enabled":
            budget = _BUDGETS[effort]
            if request.max_tokens is not None and request.max_tokens <= budget:
                raise InvalidRequest(
                    f"reasoning_effort {request.reasoning_effort!r} lets {request.model_name} think for up to "
                    f"{budget} tokens, and max_tokens, which counts them too, has to be larger. Raise it, or "
                    "lower the effort.",
                    sent=False,
                )
            return {"type": "enabled", "budget_tokens": budget}, budget, None
        case _:
            assert_never(model.asked_by)


def _effort(asked: ReasoningEffort) -> _Effort | None:
    match asked:
        case "none":
            return None
        case "minimal":
            return "low"  # the vendor's least
        case "low" | "medium" | "high" | "xhigh" | "max":
            return asked
        case _:
            assert_never(asked)


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    # Turns of the same role in a row are one turn to the API, so they need no joining here.
    messages: list[dict[str, Any]] = [
        {"role": turn.role, "content": turn.content} for turn in request.turns()
    ]
    if request.attachments:
        text = {"type": "text", "text": messages[-1]["content"]}
        messages[-1]["content"] = [*(_block(attachment) for attachment in request.attachments), text]
    return messages


def _block(attachment: Attachment) -> dict[str, Any]:
    source = {"type": "base64", "media_type": attachment.media_type, "data": attachment.data}
    if attachment.media_type != "application/pdf":
        return {"type": "image", "source": source}
    block: dict[str, Any] = {"type": "document", "source": source}
    if attachment.name is not None:
        block["title"] = attachment.name
    return block


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with `additionalProperties: false` in each object that says nothing of it.

    The API takes no other objects. What fits the closed schema fits the open one too.
    """
    return {name: _closed_part(name, value) for name, value in _with_closed_object(schema).items()}


_SCHEMAS_BY_NAME: Final = frozenset({"properties", "$defs", "definitions"})
_SCHEMAS_IN_LIST: Final = frozenset({"anyOf", "allOf", "oneOf"})


def _with_closed_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = as_list(schema.get("type")) or [schema.get("type")]
    if ("object" in kinds or "properties" in schema) and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return dict(schema)


def _closed_part(name: str, value: Any) -> Any:
    by_name, listed = as_object(value), as_list(value)
    if name in _SCHEMAS_BY_NAME and by_name is not None:
        return {key: _closed_or_as_is(part) for key, part in by_name.items()}
    if name in _SCHEMAS_IN_LIST and listed is not None:
        return [_closed_or_as_is(part) for part in listed]
    return _closed_or_as_is(value) if name == "items" else value


def _closed_or_as_is(value: object) -> object:
    schema = as_object(value)
    return value if schema is None else closed(schema)


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    blocks = as_list(body.get("content"))
    if blocks is None:
        raise ValueError("has no content in it")
    texts = [_text_of(as_object(block) or {}) for block in blocks]
    return _answer(
        mend("".join(texts)),
        reason=body.get("stop_reason"),
        details=body.get("stop_details"),
        model=body.get("model"),
        usage=as_object(body.get("usage")),
    )


class EventReader:
    """Collects the events of a stream."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._reason: object = None
        self._details: object = None
        self._model: object = None
        self._usage: dict[str, object] | None = None
        self.begun = False
        """Whether a message began at all."""
        self.finished = False
        """Whether the vendor's end mark came."""

    def add(self, event: Mapping[str, object]) -> str:
        """The text that an event brings, empty if none. Events of kinds that are not known here bring none."""
        match event.get("type"):
            case "message_start":
                self.begun = True
                message = as_object(event.get("message")) or {}
                self._model = message.get("model") or self._model
                # What it says of output is where the count begins, not what was written.
                self._count(message.get("usage"), but="output_tokens")
            case "content_block_start":
                return self._join(_text_of(as_object(event.get("content_block")) or {}))
            case "content_block_delta":
                delta = as_object(event.get("delta")) or {}
                return self._join(_text_of(delta, kind="text_delta"))
            case "message_delta":
                delta = as_object(event.get("delta")) or {}
                self._reason = delta.get("stop_reason") or self._reason
                self._details = delta.get("stop_details") or self._details
                self._count(event.get("usage"))
            case "message_stop":
                self.finished = True
                if not self._joiner.text and self._reason == "refusal":
                    return self._join(_explanation(self._details))
            case _:
                pass
        return ""

    def _join(self, piece: str) -> str:
        return self._joiner.add(piece) if piece else ""

    def _count(self, value: object, *, but: str | None = None) -> None:
        usage = as_object(value)
        if usage is not None:
            told = {name: count for name, count in usage.items() if count is not None and name != but}
            self._usage = {**(self._usage or {}), **told}

    def answer(self) -> Answer:
        """All of it."""
        return _answer(
            self._joiner.text,
            reason=self._reason,
            details=self._details,
            model=self._model,
            usage=self._usage,
        )


def _text_of(block: Mapping[str, object], *, kind: str = "text") -> str:
    """The text of a block of the answer; thinking and tools have none to show."""
    return (as_text(block.get("text")) or "") if block.get("type") == kind else ""


def _answer(
    text: str, *, reason: object, details: object, model: object, usage: Mapping[str, object] | None
) -> Answer:
    said, named = as_text(reason), as_text(model)
    explanation = _explanation(details)
    refused = said == "refusal" and text in {"", explanation}
    tier = as_text((usage or {}).get("service_tier"))
    return Answer(
        text=explanation if refused else text,
        refused=refused,
        # What is left is `pause_turn`, of tools that run at the vendor, and what it may add.
        finish_reason=None if said is None else _FINISH_REASONS.get(said, "other"),
        model=None if named is None else mend(named)[:200],
        usage=None if usage is None else read_usage(usage),
        service_tier=None if tier is None else mend(tier)[:MAX_SERVICE_TIER_CHARS],
    )


def _explanation(details: object) -> str:
    return mend(as_text((as_object(details) or {}).get("explanation")) or "")


def read_usage(body: Mapping[str, object]) -> TokenUsage | None:
    """Tokens, normalised; None unless both counts are there and all figures agree.

    The vendor's `input_tokens` are those beside the cache, and all input is their sum with both kinds of
    cached ones. Thinking is within `output_tokens`.
    """
    beside, answered = as_count(body.get("input_tokens")), as_count(body.get("output_tokens"))
    if beside is None or answered is None:
        return None
    cached = as_count(body.get("cache_read_input_tokens"))
    written = as_count(body.get("cache_creation_input_tokens"))
    reasoning = as_count((as_object(body.get("output_tokens_details")) or {}).get("thinking_tokens"))
    if (reasoning or 0) > answered:
        # Any price of it would be a guess.
        log.warning(
            "usage that contradicts itself, taken as unknown: output=%s thinking=%s", answered, reasoning
        )
        return None
    read = beside + (cached or 0) + (written or 0)
    return TokenUsage(
        input_tokens=read,
        output_tokens=answered,
        total_tokens=read + answered,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        reasoning_tokens=reasoning,
    )
