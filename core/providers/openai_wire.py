"""A chat completion as data: a contract request to its JSON, its JSON to an answer. No request is made here.

Shapes after developers.openai.com/api/reference, "Chat completions", and openai 3.54's types, 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from core.contract import MAX_SERVICE_TIER_CHARS, AgentRequest, FinishReason, Message, TokenUsage
from core.loggers import get_logger
from core.providers.answer import Answer
from core.providers.rows_openai import OPENAI
from core.providers.spec import Feature
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

log = get_logger("agent_launcher.providers")

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


def render(request: AgentRequest, *, stream: bool) -> dict[str, Any]:
    """The body of a chat completion request: only what the contract request sets."""
    rule = OPENAI.rule_for(request.model_name, base_url=request.base_url)
    names: Mapping[Feature, str] = rule.names if rule is not None else {}
    body: dict[str, Any] = {"model": request.model_name, "messages": _messages(request)}
    for feature, value in (
        (Feature.MAX_TOKENS, request.max_tokens),
        (Feature.TEMPERATURE, request.temperature),
        (Feature.TOP_P, request.top_p),
        (Feature.STOP, request.stop or None),
        (Feature.SEED, request.seed),
        (Feature.REASONING_EFFORT, request.reasoning_effort),
    ):
        if value is not None:
            body[names.get(feature, feature.value)] = value
    if request.response_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": _json_schema(request.response_schema),
        }
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    turns = request.turns()
    messages: list[dict[str, Any]] = []
    if request.system_prompt:
        messages.append({"role": "system", "content": request.system_prompt})
    messages += [{"role": turn.role, "content": turn.content} for turn in turns]
    if request.attachments:
        messages[-1]["content"] = _parts(request, turns[-1])
    return messages


def _parts(request: AgentRequest, turn: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for number, attachment in enumerate(request.attachments or (), start=1):
        url = f"data:{attachment.media_type};base64,{attachment.data}"
        if attachment.media_type == "application/pdf":
            name = attachment.name or f"document-{number}.pdf"  # the API wants one
            parts.append({"type": "file", "file": {"filename": name, "file_data": url}})
        else:
            parts.append({"type": "image_url", "image_url": {"url": url}})
    return [*parts, {"type": "text", "text": turn.content}]


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    title = schema.get("title")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_")[:64] if isinstance(title, str) else ""
    return {"name": name or "answer", "schema": dict(schema), "strict": not strict_schema_faults(schema)}


_STRICT_MAX_DEPTH: Final = 10
_NOT_IN_STRICT: Final = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
     "patternProperties", "unevaluatedProperties", "propertyNames", "contains", "uniqueItems", "prefixItems"}
)  # fmt: skip


def strict_schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Why a schema cannot be guaranteed by the vendor; empty if it can.

    Strict mode takes a subset of JSON Schema: every object lists all its properties as required and allows no
    others, the root is an object, and some keywords are missing
    (developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas", 2026-11-22).
    """
    faults: list[str] = []
    if schema.get("type") != "object":
        faults.append("the root is not of type 'object'")
    _find_faults(schema, where="root", depth=0, faults=faults)
    return faults


def _find_faults(schema: object, *, where: str, depth: int, faults: list[str]) -> None:
    node = as_object(schema)
    if node is None:
        faults.append(f"{where} is not a schema object")
        return
    if depth > _STRICT_MAX_DEPTH:
        faults.append(f"{where} is nested more than {_STRICT_MAX_DEPTH} levels deep")
        return
    faults += [f"{where} uses {keyword!r}" for keyword in sorted(_NOT_IN_STRICT & node.keys())]
    properties = as_object(node.get("properties")) or {}
    types = as_list(node.get("type")) or [node.get("type")]
    if "object" in types or properties:
        if node.get("additionalProperties") is not False:
            faults.append(f"{where} does not say additionalProperties: false")
        if missing := sorted(properties.keys() - {str(name) for name in as_list(node.get("required")) or []}):
            faults.append(f"{where} does not require {', '.join(missing)}")
    for name, part in properties.items():
        _find_faults(part, where=f"{where}.{name}", depth=depth + 1, faults=faults)
    for keyword in ("$defs", "definitions"):
        for name, part in (as_object(node.get(keyword)) or {}).items():
            _find_faults(part, where=f"{keyword}.{name}", depth=depth, faults=faults)
    for part in as_list(node.get("anyOf")) or []:
        _find_faults(part, where=f"{where}.anyOf", depth=depth, faults=faults)
    if "items" in node:
        _find_faults(node["items"], where=f"{where}[]", depth=depth + 1, faults=faults)


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    choices = as_list(body.get("choices"))
    choice = as_object(choices[0]) if choices else None
    message = as_object(choice.get("message")) if choice is not None else None
    if choice is None or message is None:
        raise ValueError("has no message in it")
    content, refusal = _content(message.get("content")), as_text(message.get("refusal"))
    if content is None:
        raise ValueError("has a message that is not text")
    return Answer(
        text=mend(content or refusal or ""),
        refused=bool(refusal),
        finish_reason=_finish_reason(choice.get("finish_reason")),
        model=_model(body.get("model")),
        usage=read_usage(body.get("usage")),
        service_tier=_service_tier(body.get("service_tier")),
    )


class ChunkReader:
    """Collects the chunks of a stream."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._refused = False
        self._reason: object = None
        self._model: object = None
        self._usage: object = None
        self._service_tier: object = None

    @property
    def finished(self) -> bool:
        """Whether the vendor said why the answer ended; after that, only usage is to come."""
        return self._reason is not None

    def add(self, chunk: Mapping[str, object]) -> str:
        """The text that a chunk brings, empty if none."""
        self._model = self._model or chunk.get("model")
        self._usage = chunk.get("usage") or self._usage
        self._service_tier = chunk.get("service_tier") or self._service_tier
        text = ""
        for item in as_list(chunk.get("choices")) or ():
            choice = as_object(item) or {}
            if choice.get("index"):
                continue  # never asked for: n is 1
            delta = as_object(choice.get("delta")) or {}
            piece = delta.get("content")
            if not piece and (piece := delta.get("refusal")):
                self._refused = True
            if isinstance(piece, str) and piece:
                text += self._joiner.add(piece)
            self._reason = choice.get("finish_reason") or self._reason
        return text

    def answer(self) -> Answer:
        """All of it."""
        return Answer(
            text=self._joiner.text,
            refused=self._refused,
            finish_reason=_finish_reason(self._reason),
            model=_model(self._model),
            usage=read_usage(self._usage),
            service_tier=_service_tier(self._service_tier),
        )


def _content(value: object) -> str | None:
    """The text of a message; some servers send it in parts. None if it is neither."""
    if value is None or isinstance(value, str):
        return value or ""
    parts = as_list(value)
    if parts is None:
        return None
    return "".join(as_text((as_object(part) or {}).get("text")) or "" for part in parts)


def _finish_reason(value: object) -> FinishReason | None:
    reason = as_text(value)
    return None if reason is None else _FINISH_REASONS.get(reason, "other")


def _model(value: object) -> str | None:
    name = as_text(value)
    return None if name is None else mend(name)[:200]


def _service_tier(value: object) -> str | None:
    name = as_text(value)
    return None if name is None else mend(name)[:MAX_SERVICE_TIER_CHARS]


def read_usage(value: object) -> TokenUsage | None:
    """Tokens, normalised; None unless both counts are there and all figures agree.

    OpenAI counts reasoning within `completion_tokens`. Some compatible servers (xAI, Gemini's, gateways) count
    it beside them and say so by the total only, which is then larger than both: the difference was written,
    and billed as output.
    """
    body = as_object(value)
    if body is None:
        return None
    read, answered = as_count(body.get("prompt_tokens")), as_count(body.get("completion_tokens"))
    if read is None or answered is None:
        return None
    of_read = as_object(body.get("prompt_tokens_details")) or {}
    of_written = as_object(body.get("completion_tokens_details")) or {}
    total = as_count(body.get("total_tokens"))
    cached, cache_written = (
        as_count(of_read.get("cached_tokens")),
        as_count(of_read.get("cache_write_tokens")),
    )
    reasoning = as_count(of_written.get("reasoning_tokens"))
    beside = 0 if total is None else total - read - answered
    if beside < 0 or (cached or 0) + (cache_written or 0) > read or (reasoning or 0) > max(answered, beside):
        # Any price of it would be a guess.
        log.warning(
            "usage that contradicts itself, taken as unknown: prompt=%s completion=%s total=%s cached=%s "
            "cache_write=%s reasoning=%s",
            *(read, answered, total, cached, cache_written, reasoning),
        )
        return None
    return TokenUsage(
        input_tokens=read,
        output_tokens=answered + beside,
        total_tokens=read + answered + beside,
        cached_input_tokens=cached,
        cache_write_input_tokens=cache_written,
        reasoning_tokens=reasoning,
    )
