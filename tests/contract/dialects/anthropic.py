"""Anthropic's Messages.

Bodies after platform.claude.com/docs/en/api (Messages: create, streaming; models: list; "Errors") and
/docs/en/build-with-claude ("Streaming messages", "Stop reasons and fallback", "Handle streaming refusals"),
API version 2026-10-21, compared with the types of anthropic 2.12 (`types/message.py`, `types/usage.py`,
`types/raw_*_event.py`, `types/model_info.py`), on 2026-11-22. The wording of single errors is from public
reports, named beside them.
"""

import json
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_FAILURES: dict[Failure, tuple[int, str, str]] = {
    # aido-dev/aido release 1.4.2
    Failure.BAD_PARAMETER: (
        400,
        "invalid_request_error",
        f"`{REFUSED_PARAMETER}` is deprecated for this model.",
    ),
    # anthropics/claude-code issue 12186
    Failure.CONTEXT_LENGTH: (
        400,
        "invalid_request_error",
        "prompt is too long: 208310 tokens > 200000 maximum",
    ),
    # anthropics/claude-code issue 58367
    Failure.PROMPT_FILTERED: (
        400,
        "invalid_request_error",
        "Output blocked by content filtering policy",
    ),
    Failure.BAD_KEY: (401, "authentication_error", "invalid x-api-key"),
    Failure.FORBIDDEN: (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    Failure.UNKNOWN_MODEL: (404, "not_found_error", "model: claude-nonesuch"),
    Failure.TOO_LARGE: (413, "request_too_large", "Request exceeds the maximum size"),
    Failure.RATE_LIMIT: (
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    Failure.QUOTA: (402, "billing_error", "There is an issue with your billing or payment information."),
    Failure.SERVER_ERROR: (500, "api_error", "Internal server error"),
    Failure.OVERLOADED: (529, "overloaded_error", "Overloaded"),
}

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", None: None}


class AnthropicDialect(Dialect):
    """See the module."""

    provider = "ANTHROPIC"
    model = "claude-sonnet-4-6"
    reasoning_model = "claude-sonnet-5-5"
    refused_by_reasoning_model = frozenset({"temperature", "top_p"})
    always_sent = MappingProxyType({"max_tokens": 2000})
    one_of = ("temperature", "top_p")

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    @override
    def whole(self, answer: Answer) -> Reply:
        content = [{"type": "thinking", "thinking": "", "signature": "c2ln"}]
        if not answer.refused:
            content.append({"type": "text", "text": answer.text})
        message = _message(answer) | {"content": content} | _end(answer)
        if answer.usage is not None:
            message["usage"] = _usage(answer.usage) | {"service_tier": "standard"}
        return Reply.json(message, headers={"request-id": answer.request_id})

    @override
    def events(self, answer: Answer) -> list[bytes]:
        """The first piece is the thinking and all else that comes before the text."""
        message = _message(answer) | {"content": [], "stop_reason": None, "stop_sequence": None}
        if answer.usage is not None:
            message["usage"] = _usage(answer.usage) | {"output_tokens": 1, "service_tier": "standard"}
        begin = [
            _event("message_start", message=message),
            _event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
            _event("ping"),
            _event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"}),
            _event("content_block_stop", index=0),
        ]
        end = _event("message_delta", delta=_end(answer), **_final_usage(answer.usage))
        stop = _event("message_stop")
        if answer.refused:
            return [b"".join(begin), end, stop]
        begin.append(_event("content_block_start", index=1, content_block={"type": "text", "text": ""}))
        pieces = [
            _event("content_block_delta", index=1, delta={"type": "text_delta", "text": piece})
            for piece in answer.pieces
        ]
        return [b"".join(begin), *pieces, _event("content_block_stop", index=1), end, stop]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return Reply.sse(events, last=None, pause_s=pause_s, headers={"request-id": "req_0123456789"})

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        status, kind, words = _FAILURES[failure]
        body = _error(kind, words if message is None else message)
        return Reply.json(body, status=status, headers={"request-id": "req_failed"})

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        _, kind, words = _FAILURES[failure]
        return _event("error", **_error(kind, message or words))

    @override
    def models(self, names: Sequence[str]) -> Reply:
        data = [
            {
                "type": "model",
                "id": name,
                "display_name": name.title(),
                "created_at": "2026-10-07T00:00:00Z",
                "lifecycle": "active",
                "max_input_tokens": 1_000_000,
                "max_tokens": 128_000,
            }
            for name in names
        ]
        return Reply.json({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        assert (request.method, request.path) == ("POST", "/v1/messages")
        body = dict(request.json)
        samples = "temperature" in body or "top_p" in body
        assert request.headers["anthropic-version"] == ("2023-06-01" if samples else "2026-10-21")
        assert "x-api-key" not in request.headers
        turns: list[tuple[str, str]] = []
        files: list[tuple[str, str]] = []
        for message in body.pop("messages"):
            content: Any = message["content"]
            blocks: list[dict[str, Any]] = (
                [{"type": "text", "text": content}] if isinstance(content, str) else content
            )
            turns.append((message["role"], "".join(b["text"] for b in blocks if b["type"] == "text")))
            for block in blocks:
                if block["type"] == "text":
                    continue
                source = block["source"]
                assert source["type"] == "base64"
                is_document = source["media_type"] == "application/pdf"
                assert block["type"] == ("document" if is_document else "image")
                files.append((source["media_type"], source["data"]))
        model, system, streamed = body.pop("model"), body.pop("system", None), body.pop("stream", False)
        if "stop_sequences" in body:
            body["stop"] = body.pop("stop_sequences")
        output = body.pop("output_config", {})
        if "effort" in output:
            body["reasoning_effort"] = output["effort"]
        if "format" in output:
            assert output["format"]["type"] == "json_schema"
            body["response_schema"] = output["format"]["schema"]
        authorization = request.headers.get("authorization")
        return Seen(
            model=model,
            system=system,
            turns=turns,
            files=files,
            parameters=body,
            key=None if authorization is None else authorization.removeprefix("Bearer "),
            streamed=streamed,
        )


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({**fields, "type": kind}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _error(kind: str, words: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_failed"}


def _message(answer: Answer) -> dict[str, Any]:
    return {"id": "msg_0", "type": "message", "role": "assistant", "model": answer.model}


def _end(answer: Answer) -> dict[str, Any]:
    details = None
    if answer.refused:
        details = {"type": "refusal", "category": "cyber", "explanation": answer.text}
    return {
        "stop_reason": "refusal" if answer.refused else _STOP_REASONS[answer.finish],
        "stop_sequence": None,
        "stop_details": details,
    }


def _usage(usage: TokenUsage) -> dict[str, Any]:
    cached, written = usage.cached_input_tokens, usage.cache_write_input_tokens
    thinking = usage.reasoning_tokens
    return {
        "input_tokens": usage.input_tokens - (cached or 0) - (written or 0),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": None if thinking is None else {"thinking_tokens": thinking},
    }


def _final_usage(usage: TokenUsage | None) -> dict[str, Any]:
    return {} if usage is None else {"usage": _usage(usage)}
