"""A chat with Cohere as data: a contract request to its JSON, its JSON to an answer. No request is made here.

Shapes after docs.cohere.com/reference (chat, chat-stream, list-models), docs.cohere.com/docs/reasoning and the types of
cohere 7.3.1, 2026-11-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.contract import AgentRequest, FinishReason, ReasoningEffort, TokenUsage
from core.providers.base import ModelInfo
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

FAILED: Final = "ERROR"
TIMED_OUT: Final = "TIMEOUT"

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
_BUDGETS: Final[Mapping[ReasoningEffort, int]] = {"low": 1_024, "medium": 4_096, "high": 16_384}
"""Tokens to think; "max" sets none, which is what Cohere recommends. All stay below its models' output limits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said.

    Attributes:
        reason: Why it ended, in Cohere's word; None if it gave none.
        said: Cohere's words about an error.
        request_id: Its id of the generation.
    """

    text: str
    reason: str | None
    usage: TokenUsage | None
    request_id: str | None
    said: str | None = None

    @property
    def finish_reason(self) -> FinishReason | None:
        """The contract's word for the reason."""
        return None if self.reason is None else _FINISH_REASONS.get(self.reason, "other")


def render(request: AgentRequest) -> dict[str, Any]:
    """The SDK's arguments for a chat, which are the names on the wire: only what the contract request sets."""
    schema = request.response_schema
    fields = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "p": request.top_p,
        "seed": request.seed,
        "stop_sequences": request.stop or None,
        "response_format": None if schema is None else {"type": "json_object", "json_schema": dict(schema)},
        "thinking": _thinking(request.reasoning_effort),
    }
    return {
        "model": request.model_name,
        "messages": _messages(request),
        **{name: value for name, value in fields.items() if value is not None},
    }


def _thinking(effort: ReasoningEffort | None) -> dict[str, Any] | None:
    if effort is None:
        return None
    if effort == "none":
        return {"type": "disabled"}
    budget = _BUDGETS.get(effort)
    return {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.system_prompt:
        messages.append({"role": "system", "content": request.system_prompt})
    messages += [{"role": turn.role, "content": turn.content} for turn in request.turns()]
    if request.attachments:
        images = [
            {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.data}"}}
            for image in request.attachments
        ]
        messages[-1]["content"] = [{"type": "text", "text": messages[-1]["content"]}, *images]
    return messages


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    message = as_object(body.get("message"))
    if message is None:
        raise ValueError("has no message in it")
    content = message.get("content")
    blocks = [] if content is None else as_list(content)
    if blocks is None:
        raise ValueError("has a message that is not a list of blocks")
    return Answer(
        text=mend("".join(_text_of(block) for block in blocks)),
        reason=as_text(body.get("finish_reason")),
        usage=read_usage(body.get("usage")),
        request_id=as_text(body.get("id")),
    )


class EventReader:
    """Collects the events of a stream. The model's thinking is not part of the answer."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._id: object = None
        self._end: Mapping[str, object] = {}
        self.finished = False
        """Whether the event came that ends an answer."""

    def add(self, event: Mapping[str, object]) -> str:
        """The text that an event brings, empty if none."""
        delta = as_object(event.get("delta")) or {}
        match event.get("type"):
            case "message-start":
                self._id = event.get("id")
            case "content-start" | "content-delta":
                message = as_object(delta.get("message")) or {}
                text = _text_of(message.get("content"))
                return self._joiner.add(text) if text else ""
            case "message-end":
                self._end, self.finished = delta, True
            case _:
                pass  # of tools and citations, which no request of ours asks for
        return ""

    def answer(self) -> Answer:
        """All of it."""
        return Answer(
            text=self._joiner.text,
            reason=as_text(self._end.get("finish_reason")),
            usage=read_usage(self._end.get("usage")),
            request_id=as_text(self._id),
            said=as_text(self._end.get("error")),
        )


def _text_of(block: object) -> str:
    """The text of a block; a block of thinking has none to show."""
    return as_text((as_object(block) or {}).get("text")) or ""


def read_usage(value: object) -> TokenUsage | None:
    """Tokens as they are billed; None unless both counts are there.

    Cohere wraps a prompt in text of its own, which `tokens` counts and nobody pays for; `billed_units` is what the
    price is for. Its cached tokens are counted with that text, so they are told only where they fit.
    """
    usage = as_object(value) or {}
    billed, all_of_them = as_object(usage.get("billed_units")) or {}, as_object(usage.get("tokens")) or {}
    counts = billed if "input_tokens" in billed and "output_tokens" in billed else all_of_them
    read, written = as_count(counts.get("input_tokens")), as_count(counts.get("output_tokens"))
    if read is None or written is None:
        return None
    cached = as_count(usage.get("cached_tokens"))
    return TokenUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        cached_input_tokens=cached if cached is not None and cached <= read else None,
    )


def read_models(body: Mapping[str, object]) -> list[ModelInfo] | None:
    """The models that can chat, by name; None if the answer has no list of models."""
    listed = as_list(body.get("models"))
    if listed is None:
        return None
    found: dict[str, ModelInfo] = {}
    for item in listed:
        row = as_object(item) or {}
        name, endpoints = as_text(row.get("name")), as_list(row.get("endpoints"))
        if name is not None and (endpoints is None or "chat" in endpoints):
            label = "deprecated" if row.get("is_deprecated") is True else None
            found[mend(name)] = ModelInfo(mend(name), label, as_count(row.get("context_length")) or None)
    return [found[name] for name in sorted(found)]
