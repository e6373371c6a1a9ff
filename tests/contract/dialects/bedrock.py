"""Amazon Bedrock's Converse and ConverseStream.

Bodies after docs.aws.amazon.com/bedrock/latest/APIReference (Converse, ConverseStream, ListFoundationModels,
ListInferenceProfiles, "Common error types"), compared with the service models of botocore 1.44, on 2026-11-22. Frames
after smithy.io/2.0/aws/amazon-eventstream.html, which has the byte layout. The wording of single errors is from public
reports, named beside them.
"""

import base64
import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered", None: None}

_FAILURES: dict[Failure, tuple[int, str, str]] = {
    # docs.aws.amazon.com, "Request and response" of Anthropic Claude, and public reports of its words
    Failure.BAD_PARAMETER: (
        400,
        "ValidationException",
        f"The model returned the following errors: `temperature` and `{REFUSED_PARAMETER}` cannot both be specified "
        "for this model. Please use only one.",
    ),
    # aaif-goose/goose pull request 7504
    Failure.CONTEXT_LENGTH: (
        400,
        "ValidationException",
        "The model returned the following errors: prompt is too long: 227255 tokens > 200000 maximum",
    ),
    Failure.PROMPT_FILTERED: (
        400,
        "ValidationException",
        "The model returned the following errors: Output blocked by content filtering policy",
    ),
    Failure.BAD_KEY: (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    Failure.FORBIDDEN: (
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    Failure.UNKNOWN_MODEL: (
        404,
        "ResourceNotFoundException",
        "Could not resolve the foundation model from the provided model identifier.",
    ),
    Failure.TOO_LARGE: (413, "RequestEntityTooLargeException", "Request body is too large."),
    Failure.RATE_LIMIT: (
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    ),
    Failure.SERVER_ERROR: (
        500,
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    Failure.OVERLOADED: (
        503,
        "ServiceUnavailableException",
        "Bedrock is unable to process your request.",
    ),
}


class BedrockDialect(Dialect):
    """See the module."""

    provider = "BEDROCK"
    model = "us.anthropic.claude-sonnet-4-6"
    reasoning_model = "us.anthropic.claude-opus-4-7"
    refused_by_reasoning_model = frozenset({"temperature", "top_p"})
    # A quota that is used up has words of its own: tests/unit/test_bedrock_provider.py.
    failures = frozenset(_FAILURES)

    @override
    def told(self, answer: Answer) -> Answer:
        # Reasoning is within the output tokens, and not told apart.
        usage = answer.usage
        if usage is not None:
            usage = usage.model_copy(update={"reasoning_tokens": None})
        return replace(answer, usage=usage)

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    @override
    def whole(self, answer: Answer) -> Reply:
        body: dict[str, Any] = {
            "output": {"message": {"role": "assistant", "content": _content(answer)}},
            "stopReason": _stop_reason(answer),
            **_metadata(answer),
        }
        return Reply.json(body, headers={"x-amzn-RequestId": answer.request_id})

    @override
    def events(self, answer: Answer) -> list[bytes]:
        deltas = [
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abcdefgh"})
            for piece in answer.pieces
        ]
        return [
            event("messageStart", {"role": "assistant", "p": "abcd"}),
            *deltas,
            event("contentBlockStop", {"contentBlockIndex": 0, "p": "abcdef"}),
            event("messageStop", {"stopReason": _stop_reason(answer), "p": "abc"}),
            event("metadata", {**_metadata(answer), "p": "ab"}),
        ]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return Reply(
            headers={
                "Content-Type": "application/vnd.amazon.eventstream",
                "x-amzn-RequestId": "req_0123456789",
            },
            chunks=tuple(events),
            streamed=True,
            pause_s=pause_s,
        )

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        status, code, words = _FAILURES[failure]
        return Reply.json(
            {"message": message or words},
            status=status,
            headers={
                "x-amzn-RequestId": "req_failed",
                "x-amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/",
            },
        )

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        _, code, words = _FAILURES[failure]
        return exception(code[0].lower() + code[1:], message or words)

    @override
    def models(self, names: Sequence[str]) -> Reply:
        summaries = [
            {
                "modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{name}",
                "modelId": name,
                "modelName": name.title(),
                "providerName": "Vendor",
                "inputModalities": ["TEXT"],
                "outputModalities": ["TEXT"],
                "responseStreamingSupported": True,
                "inferenceTypesSupported": ["ON_DEMAND"],
                "modelLifecycle": {"status": "ACTIVE"},
            }
            for name in names
        ]
        # One server plays both lists; each asks for its own half.
        return Reply.json({"modelSummaries": summaries, "inferenceProfileSummaries": []})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        start, model, operation = request.path.removeprefix("/").split("/")
        assert (request.method, start) == ("POST", "model")
        body = dict(request.json)
        turns: list[tuple[str, str]] = []
        files: list[tuple[str, str]] = []
        for message in body.pop("messages"):
            turns.append((message["role"], "".join(block.get("text", "") for block in message["content"])))
            for block in message["content"]:
                files += _files(block)
        parameters: dict[str, Any] = {}
        names = {
            "maxTokens": "max_tokens",
            "temperature": "temperature",
            "topP": "top_p",
            "stopSequences": "stop",
        }
        for name, value in body.pop("inferenceConfig", {}).items():
            parameters[names[name]] = value
        output = body.pop("outputConfig", {})
        if "textFormat" in output:
            form = output["textFormat"]
            assert form["type"] == "json_schema"
            assert form["structure"]["jsonSchema"]["name"]
            parameters["response_schema"] = json.loads(form["structure"]["jsonSchema"]["schema"])
        if "effort" in output:
            parameters["reasoning_effort"] = output["effort"]
            assert body.pop("additionalModelRequestFields") == {"thinking": {"type": "adaptive"}}
        system = body.pop("system", None)
        assert body == {}
        authorization = request.headers.get("authorization")
        return Seen(
            model=unquote(model),
            system=None if system is None else "".join(block["text"] for block in system),
            turns=turns,
            files=files,
            parameters=parameters,
            key=None if authorization is None else authorization.removeprefix("Bearer "),
            streamed={"converse": False, "converse-stream": True}[operation],
        )


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of an event stream: lengths and their sum, headers of type string, payload, the whole's sum."""
    head = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", 7, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 12 + len(head) + len(payload) + 4, len(head))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + head + payload
    return message + struct.pack("!I", binascii.crc32(message))


def event(name: str, body: object) -> bytes:
    """An event of a stream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(body, ensure_ascii=False).encode())


def exception(name: str, message: str) -> bytes:
    """A modelled error in the middle of a stream."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


def _content(answer: Answer) -> list[dict[str, str]]:
    return [{"text": answer.text}] if answer.text else []


def _stop_reason(answer: Answer) -> str | None:
    return "guardrail_intervened" if answer.refused else _STOP_REASONS[answer.finish]


def _metadata(answer: Answer) -> dict[str, Any]:
    # A prompt router chose the model: the only case in which an answer names one.
    router = {"invokedModelId": f"arn:aws:bedrock:us-east-1::foundation-model/{answer.model}"}
    metadata: dict[str, Any] = {"metrics": {"latencyMs": 551}, "trace": {"promptRouter": router}}
    if answer.usage is not None:
        metadata["usage"] = _usage(answer.usage)
    return metadata


def _usage(usage: TokenUsage) -> dict[str, int]:
    cached, written = usage.cached_input_tokens, usage.cache_write_input_tokens
    body = {
        "inputTokens": usage.input_tokens - (cached or 0) - (written or 0),
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
    }
    if cached is not None:
        body["cacheReadInputTokens"] = cached
    if written is not None:
        body["cacheWriteInputTokens"] = written
    return body


def _files(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "image" in block:
        image = block["image"]
        return [(f"image/{image['format']}", _standard(image["source"]["bytes"]))]
    if "document" in block:
        document = block["document"]
        assert document["name"]
        return [(f"application/{document['format']}", _standard(document["source"]["bytes"]))]
    return []


def _standard(text: str) -> str:
    return base64.b64encode(base64.b64decode(text, validate=True)).decode()
