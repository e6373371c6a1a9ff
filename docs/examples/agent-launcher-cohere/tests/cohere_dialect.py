"""Cohere's v2 chat, as the contract suite of Agent Launcher speaks it.

Bodies after docs.cohere.com/reference (chat, chat-stream, list-models, errors) and docs.cohere.com/docs (streaming,
reasoning, image-inputs), compared with the types of cohere 7.3.1, on 2026-11-22. The wording of single errors is that
of the errors page; 498 is described in the API's OpenAPI document.

It says less than others: of a failure nothing but a status and words, in a stream words only; nothing of thinking
tokens; and it names no model in an answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_FAILURES: Final[dict[Failure, tuple[int, str]]] = {
    Failure.BAD_PARAMETER: (
        400,
        f"invalid request: {REFUSED_PARAMETER} must be between 0.01 and 0.99 inclusive.",
    ),
    Failure.CONTEXT_LENGTH: (
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a "
        "shorter prompt, or enabling prompt truncating.",
    ),
    Failure.BAD_KEY: (401, "invalid api token"),
    Failure.QUOTA: (402, "Please add or update your payment method to continue"),
    Failure.FORBIDDEN: (403, "this key may not use this model"),
    Failure.UNKNOWN_MODEL: (
        404,
        "model 'nonesuch' not found, make sure the correct model ID was used and that you have access to the model.",
    ),
    Failure.TOO_LARGE: (413, "request entity too large"),
    Failure.RATE_LIMIT: (
        429,
        "You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key "
        "for free or upgrade to a Production key with higher rate limits.",
    ),
    Failure.PROMPT_FILTERED: (498, "the request contains a deny-listed token"),
    Failure.SERVER_ERROR: (500, "internal server error, this has been reported to our developers"),
    Failure.OVERLOADED: (503, "the service is currently unavailable"),
}
_REASONS: Final = {"stop": "COMPLETE", "length": "MAX_TOKENS"}
_PARAMETERS: Final[Mapping[str, str]] = {"p": "top_p", "stop_sequences": "stop"}
_EFFORTS: Final = {None: "max", 1_024: "low", 4_096: "medium", 16_384: "high"}
_PREAMBLE_TOKENS: Final = 480
"""What Cohere adds to a prompt, and bills nobody for."""


class CohereDialect(Dialect):
    """See the module."""

    provider = "COHERE"
    model = "command-a-plus-05-2026"
    reasoning_model = "command-a-reasoning-08-2025"
    refused_by_reasoning_model = frozenset()
    can_refuse = False
    can_filter = False
    failures = frozenset(_FAILURES)
    failures_in_a_stream = frozenset({Failure.SERVER_ERROR})

    @override
    def told(self, answer: Answer) -> Answer:
        usage = answer.usage
        if usage is not None:
            usage = usage.model_copy(update={"reasoning_tokens": None})
        return replace(answer, usage=usage, model=self.model)

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    @override
    def whole(self, answer: Answer) -> Reply:
        content = [
            {"type": "thinking", "thinking": "The user asks ..."},
            {"type": "text", "text": answer.text},
        ]
        return Reply.json(
            {
                "id": answer.request_id,
                "message": {"role": "assistant", "content": content},
                **_end(answer),
            }
        )

    @override
    def events(self, answer: Answer) -> list[bytes]:
        def content(kind: str, index: int, **block: str) -> bytes:
            return _event(kind, index=index, delta={"message": {"content": block}})

        start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        begin = [
            _event("message-start", id=answer.request_id, delta={"message": start}),
            content("content-start", 0, type="thinking", thinking=""),
            content("content-delta", 0, thinking="The user asks ..."),
            _event("content-end", index=0),
            content("content-start", 1, type="text", text=""),
        ]
        pieces = [content("content-delta", 1, text=piece) for piece in answer.pieces]
        return [
            b"".join(begin),
            *pieces,
            _event("content-end", index=1),
            _event("message-end", id=answer.request_id, delta=_end(answer)),
        ]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return Reply.sse(events, last=None, pause_s=pause_s)

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        status, words = _FAILURES[failure]
        return Reply.json(
            {"id": "req_failed", "message": words if message is None else message}, status=status
        )

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        words = _FAILURES[failure][1] if message is None else message
        return _event("message-end", delta={"finish_reason": "ERROR", "error": words})

    @override
    def models(self, names: Sequence[str]) -> Reply:
        rows = [
            {
                "name": name,
                "is_deprecated": False,
                "endpoints": ["generate", "chat", "summarize"],
                "finetuned": False,
                "context_length": 256_000,
                "tokenizer_url": "https://storage.googleapis.com/cohere-public/tokenizers/command.json",
                "default_endpoints": [],
                "features": ["json_mode", "json_schema", "safety_modes", "strict_tools", "tools"],
            }
            for name in names
        ]
        return Reply.json({"models": rows, "next_page_token": ""})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        assert (request.method, request.path) == ("POST", "/v2/chat")
        body: dict[str, Any] = dict(request.json)
        messages = body.pop("messages")
        system = messages.pop(0)["content"] if messages[0]["role"] == "system" else None
        turns: list[tuple[str, str]] = []
        files: list[tuple[str, str]] = []
        for message in messages:
            content: Any = message["content"]
            parts: list[dict[str, Any]] = (
                [{"type": "text", "text": content}] if isinstance(content, str) else content
            )
            turns.append((message["role"], "".join(part["text"] for part in parts if part["type"] == "text")))
            for part in parts:
                if part["type"] == "image_url":
                    head, _, data = part["image_url"]["url"].partition(";base64,")
                    files.append((head.removeprefix("data:"), data))
        model, streamed = body.pop("model"), body.pop("stream")
        parameters: dict[str, Any] = {_PARAMETERS.get(name, name): value for name, value in body.items()}
        if "response_format" in parameters:
            form = parameters.pop("response_format")
            assert form["type"] == "json_object"
            parameters["response_schema"] = form["json_schema"]
        if "thinking" in parameters:
            thinking = parameters.pop("thinking")
            enabled = thinking["type"] == "enabled"
            parameters["reasoning_effort"] = _EFFORTS[thinking.get("token_budget")] if enabled else "none"
        authorization = request.headers.get("authorization")
        return Seen(
            model=model,
            system=system,
            turns=turns,
            files=files,
            parameters=parameters,
            key=None if authorization is None else authorization.removeprefix("Bearer "),
            streamed=streamed,
        )


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _end(answer: Answer) -> dict[str, Any]:
    end: dict[str, Any] = {}
    if answer.finish is not None:
        end["finish_reason"] = _REASONS[answer.finish]
    if answer.usage is not None:
        end["usage"] = _usage(answer.usage)
    return end


def _usage(usage: TokenUsage) -> dict[str, Any]:
    told: dict[str, Any] = {
        "billed_units": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "tokens": {
            "input_tokens": usage.input_tokens + _PREAMBLE_TOKENS,
            "output_tokens": usage.output_tokens,
        },
    }
    if usage.cached_input_tokens is not None:
        told["cached_tokens"] = usage.cached_input_tokens
    return told
