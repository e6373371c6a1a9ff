"""A Converse request and its answer as data. No request is made here.

Shapes after docs.aws.amazon.com/bedrock/latest/APIReference (Converse, ConverseStream) and the service model of
botocore 1.44, 2026-11-22.
"""

import base64
import json
import re
from collections.abc import Mapping
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
from core.providers.answer import Answer
from core.providers.rows_bedrock import ReasonsBy, reasoning_of
from core.providers.schemas import closed
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

log = get_logger("agent_launcher.providers")

_Effort = Literal["low", "medium", "high", "xhigh", "max"]

_BUDGETS: Final[Mapping[_Effort, int]] = {
    "low": 1_024,  # the least that the models take
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
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "tool_use": "tool_calls",
}


def render(request: AgentRequest, *, model: str) -> dict[str, Any]:
    """The parameters of `converse` and `converse_stream`: only what the contract request sets.

    Args:
        request: What is asked.
        model: The model behind its `model_name`, which decides how reasoning is asked for.

    Raises:
        InvalidRequest: The model takes no such combination of parameters.
    """
    parameters: dict[str, Any] = {"modelId": request.model_name, "messages": _messages(request)}
    if request.system_prompt:
        parameters["system"] = [{"text": request.system_prompt}]
    inference = {
        name: value
        for name, value in (
            ("maxTokens", request.max_tokens),
            ("temperature", request.temperature),
            ("topP", request.top_p),
            ("stopSequences", request.stop or None),
        )
        if value is not None
    }
    if inference:
        parameters["inferenceConfig"] = inference
    output, more = _reasoning(request, model)
    if request.response_schema is not None:
        output["textFormat"] = _json_schema(request.response_schema)
    if output:
        parameters["outputConfig"] = output
    if more:
        parameters["additionalModelRequestFields"] = more
    return parameters


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The body that boto3 makes of `render`'s parameters: without the model, which is in the path, bytes as base64."""
    return {name: _plain(value) for name, value in parameters.items() if name != "modelId"}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if (node := as_object(value)) is not None:
        return {name: _plain(part) for name, part in node.items()}
    if (items := as_list(value)) is not None:
        return [_plain(part) for part in items]
    return value


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in request.turns():
        if not messages or messages[-1]["role"] != turn.role:
            messages.append({"role": turn.role, "content": []})
        # Converse refuses two turns of the same role in a row: they are blocks of one.
        messages[-1]["content"].append({"text": turn.content})
    if request.attachments:
        names: set[str] = set()
        parts = [_part(attachment, names) for attachment in request.attachments]
        messages[-1]["content"][-1:-1] = parts
    return messages


def _part(attachment: Attachment, names: set[str]) -> dict[str, Any]:
    source = {"bytes": base64.b64decode(attachment.data)}
    if attachment.media_type == "application/pdf":
        return {
            "document": {"format": "pdf", "name": _document_name(attachment.name, names), "source": source}
        }
    return {"image": {"format": attachment.media_type.removeprefix("image/"), "source": source}}


def _document_name(name: str | None, taken: set[str]) -> str:
    """A name of the characters that Converse takes, another one for each document of the request."""
    stem = re.sub(r"\.pdf$", "", name or "", flags=re.IGNORECASE)
    stem = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]+", " ", stem)).strip()[:150] or "document"
    number, found = 1, stem
    while found.lower() in taken:
        number += 1
        found = f"{stem} {number}"
    taken.add(found.lower())
    return found


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    title = schema.get("title")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_")[:64] if isinstance(title, str) else ""
    text = json.dumps(closed(schema), ensure_ascii=False)
    return {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": text, "name": name or "answer"}},
    }


def _reasoning(request: AgentRequest, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `reasoning_effort` puts into `outputConfig`, and into the fields that only some models have."""
    asked = request.reasoning_effort
    if asked is None:
        return {}, {}
    how, effort = reasoning_of(model), _effort(asked)
    if effort is None:
        # The others do not reason unless they are asked to.
        return {}, {} if how.off_by is None else {"thinking": {"type": how.off_by}}
    match how.by:
        case ReasonsBy.EFFORT:
            return {"effort": effort}, {}
        case ReasonsBy.ADAPTIVE:
            return {"effort": effort}, {"thinking": {"type": "adaptive"}}
        case ReasonsBy.BUDGET:
            budget = _BUDGETS[effort]
            if request.max_tokens is not None and request.max_tokens <= budget:
                raise InvalidRequest(
                    f"reasoning_effort {asked!r} lets {model} think for up to {budget} tokens, and max_tokens, "
                    "which counts them too, has to be larger. Raise it, or lower the effort."
                )
            return {}, {"thinking": {"type": "enabled", "budget_tokens": budget}}
        case ReasonsBy.NOVA:
            return {}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        case ReasonsBy.GPT_OSS:
            return {}, {"reasoning_effort": effort}
        case _:
            assert_never(how.by)


def _effort(asked: ReasoningEffort) -> _Effort | None:
    match asked:
        case "none":
            return None
        case "minimal":
            return "low"  # the least that there is
        case "low" | "medium" | "high" | "xhigh" | "max":
            return asked
        case _:
            assert_never(asked)


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    message = as_object((as_object(body.get("output")) or {}).get("message"))
    content = as_list(message.get("content")) if message is not None else None
    if content is None:
        raise ValueError("has no message in it")
    text = "".join(as_text((as_object(block) or {}).get("text")) or "" for block in content)
    return _answer(mend(text), body.get("stopReason"), body)


class EventReader:
    """Collects the events of a stream."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._stopped = False
        self._reason: object = None
        self._metadata: Mapping[str, object] | None = None

    @property
    def complete(self) -> bool:
        """Whether both end marks came: why the answer ended, and what it took."""
        return self._stopped and self._metadata is not None

    def add(self, name: str, event: Mapping[str, object]) -> str:
        """The text that an event brings, empty if none; events of a later day are passed over."""
        if name == "contentBlockDelta":
            piece = as_text((as_object(event.get("delta")) or {}).get("text"))
            return self._joiner.add(piece) if piece else ""
        if name == "messageStop":
            self._stopped, self._reason = True, event.get("stopReason")
        elif name == "metadata":
            self._metadata = event
        return ""

    def answer(self) -> Answer:
        """All of it."""
        return _answer(self._joiner.text, self._reason, self._metadata or {})


def _answer(text: str, reason: object, metadata: Mapping[str, object]) -> Answer:
    stopped = as_text(reason)
    router = as_object((as_object(metadata.get("trace")) or {}).get("promptRouter")) or {}
    invoked = as_text(router.get("invokedModelId"))
    tier = as_text((as_object(metadata.get("serviceTier")) or {}).get("type"))
    return Answer(
        text=text,
        refused=stopped == "guardrail_intervened",
        finish_reason=None if stopped is None else _FINISH_REASONS.get(stopped, "other"),
        model=None if invoked is None else mend(invoked).rpartition("/")[2][:200],
        usage=read_usage(metadata.get("usage")),
        service_tier=None if tier is None else mend(tier)[:MAX_SERVICE_TIER_CHARS],
    )


def read_usage(value: object) -> TokenUsage | None:
    """Tokens, normalised; None unless both counts are there and all figures agree.

    Converse counts what it read from its prompt cache, and wrote to it, beside `inputTokens`; the three are what
    the model read. Reasoning is within `outputTokens`, and is not told apart.
    """
    body = as_object(value)
    if body is None:
        return None
    read, written = as_count(body.get("inputTokens")), as_count(body.get("outputTokens"))
    if read is None or written is None:
        return None
    cached, cache_written = (
        as_count(body.get("cacheReadInputTokens")),
        as_count(body.get("cacheWriteInputTokens")),
    )
    everything = read + (cached or 0) + (cache_written or 0)
    total = as_count(body.get("totalTokens"))
    if total is not None and not read + written <= total <= everything + written:
        # Any price of it would be a guess.
        log.warning(
            "usage that contradicts itself, taken as unknown: input=%s output=%s total=%s cached=%s cache_write=%s",
            *(read, written, total, cached, cache_written),
        )
        return None
    return TokenUsage(
        input_tokens=everything,
        output_tokens=written,
        total_tokens=everything + written,
        cached_input_tokens=cached,
        cache_write_input_tokens=cache_written,
    )
