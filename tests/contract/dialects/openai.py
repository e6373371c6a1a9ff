"""OpenAI's chat completions.

Bodies after developers.openai.com/api/reference (chat completions: create, streaming events; models: list)
and /api/docs/guides/error-codes, compared with the types of openai 3.54 (`types/chat/chat_completion*.py`,
`types/completion_usage.py`), on 2026-11-22. The wording of single errors is from public reports, named beside
them.
"""

import json
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_JSON = {"Content-Type": "application/json"}

_FAILURES: dict[Failure, tuple[int, dict[str, Any]]] = {
    # huggingface/smolagents issue 1671
    Failure.BAD_PARAMETER: (
        400,
        {
            "message": f"Unsupported parameter: '{REFUSED_PARAMETER}' is not supported with this model.",
            "type": "invalid_request_error",
            "param": REFUSED_PARAMETER,
            "code": "unsupported_parameter",
        },
    ),
    Failure.CONTEXT_LENGTH: (
        400,
        {
            "message": "This model's maximum context length is 8192 tokens. However, your messages resulted "
            "in 9001 tokens. Please reduce the length of the messages.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
    ),
    # learn.microsoft.com, Azure OpenAI, "Content filtering"
    Failure.PROMPT_FILTERED: (
        400,
        {
            "message": "The response was filtered due to the prompt triggering our content policy.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
        },
    ),
    Failure.BAD_KEY: (
        401,
        {
            "message": "Incorrect API key provided: sk-ab**cd. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        },
    ),
    Failure.FORBIDDEN: (
        403,
        {
            "message": "Country, region, or territory not supported",
            "type": "request_forbidden",
            "param": None,
            "code": "unsupported_country_region_territory",
        },
    ),
    Failure.UNKNOWN_MODEL: (
        404,
        {
            "message": "The model `gpt-nonesuch` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        },
    ),
    Failure.TOO_LARGE: (413, {}),  # comes from the proxy before the API: HTML
    Failure.RATE_LIMIT: (
        429,
        {
            "message": "Rate limit reached for gpt-4o in organization org-0 on requests per min (RPM): "
            "Limit 3, Used 3, Requested 1. Please try again in 20s.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        },
    ),
    Failure.QUOTA: (
        429,
        {
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        },
    ),
    Failure.SERVER_ERROR: (
        500,
        {
            "message": "The server had an error while processing your request. Sorry about that!",
            "type": "server_error",
            "param": None,
            "code": None,
        },
    ),
    Failure.OVERLOADED: (
        503,
        {
            "message": "The engine is currently overloaded, please try again later.",
            "type": "server_error",
            "param": None,
            "code": None,
        },
    ),
}


class OpenAIDialect(Dialect):
    """See the module."""

    provider = "OPENAI"
    model = "gpt-4o"
    reasoning_model = "o4-mini"
    refused_by_reasoning_model = frozenset({"temperature", "top_p", "stop"})

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": f"{url}/v1"}

    @override
    def whole(self, answer: Answer) -> Reply:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [],
        }
        if answer.refused:
            message |= {"content": None, "refusal": answer.text}
        body: dict[str, Any] = {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": answer.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
            "service_tier": "default",
            "system_fingerprint": "fp_0",
        }
        if answer.usage is not None:
            body["usage"] = _usage(answer.usage)
        return Reply.json(body, headers={"x-request-id": answer.request_id})

    @override
    def events(self, answer: Answer) -> list[bytes]:
        def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
            return _event(
                {
                    "id": "chatcmpl-0",
                    "object": "chat.completion.chunk",
                    "created": 1_700_000_000,
                    "model": answer.model,
                    "service_tier": "default",
                    "system_fingerprint": "fp_0",
                    "choices": choices,
                    "usage": usage,
                    "obfuscation": "aBcD",
                }
            )

        def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
            return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

        part = "refusal" if answer.refused else "content"
        events = [chunk(choice({"role": "assistant", "content": "", "refusal": None}))]
        events += [chunk(choice({part: piece})) for piece in answer.pieces]
        if answer.finish is not None:
            events.append(chunk(choice({}, answer.finish)))
        if answer.usage is not None:
            events.append(chunk([], _usage(answer.usage)))  # stream_options.include_usage
        return [*events, _event("[DONE]")]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return Reply.sse(events, last=None, pause_s=pause_s, headers={"x-request-id": "req_0123456789"})

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        status, error = _FAILURES[failure]
        if not error:
            page = "<html><head><title>413 Request Entity Too Large</title></head></html>"
            return Reply.text(message or page, content_type="text/html", status=status)
        if message is not None:
            error = error | {"message": message}
        return Reply.json({"error": error}, status=status, headers={"x-request-id": "req_failed"})

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        error = _FAILURES[failure][1]
        return _event({"error": error | {"message": message or error["message"]}})

    @override
    def models(self, names: Sequence[str]) -> Reply:
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in names]
        return Reply.json({"object": "list", "data": data})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        assert (request.method, request.path) == ("POST", "/v1/chat/completions")
        body = dict(request.json)
        messages = body.pop("messages")
        system = messages.pop(0)["content"] if messages[0]["role"] == "system" else None
        turns: list[tuple[str, str]] = []
        files: list[tuple[str, str]] = []
        for message in messages:
            content: Any = message["content"]
            parts: list[dict[str, Any]] = (
                [{"type": "text", "text": content}] if isinstance(content, str) else content
            )
            turns.append((message["role"], "".join(p["text"] for p in parts if p["type"] == "text")))
            for part in parts:
                if part["type"] == "image_url":
                    files.append(_data_url(part["image_url"]["url"]))
                elif part["type"] == "file":
                    assert part["file"]["filename"]
                    files.append(_data_url(part["file"]["file_data"]))
        model, streamed = body.pop("model"), body.pop("stream", False)
        if streamed:
            assert body.pop("stream_options") == {"include_usage": True}
        if "max_completion_tokens" in body:
            assert "max_tokens" not in body
            body["max_tokens"] = body.pop("max_completion_tokens")
        if "response_format" in body:
            form = body.pop("response_format")
            assert form["type"] == "json_schema"
            assert form["json_schema"]["name"]
            body["response_schema"] = form["json_schema"]["schema"]
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


def _event(data: object) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def _data_url(url: str) -> tuple[str, str]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), data


def _usage(usage: TokenUsage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
