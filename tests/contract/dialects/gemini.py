"""Gemini's `generateContent`.

Bodies after ai.google.dev/api/generate-content, /api/models and /gemini-api/docs/troubleshooting, compared with
the types and converters of google-genai 3.4 (`types.py`: `GenerateContentResponse`, `FinishReason`,
`BlockedReason`; `models.py`), on 2026-11-22. The bodies of single errors are from public reports, named beside
them.
"""

import json
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_TYPE = "type.googleapis.com/google.rpc."

_FAILURES: dict[Failure, dict[str, Any]] = {
    Failure.BAD_PARAMETER: {
        "code": 400,
        "message": f"Invalid value at 'generation_config.{REFUSED_PARAMETER}' (TYPE_FLOAT), \"x\"",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": f"{_TYPE}BadRequest",
                "fieldViolations": [
                    {
                        "field": f"generation_config.{REFUSED_PARAMETER}",
                        "description": f"Invalid value at 'generation_config.{REFUSED_PARAMETER}' (TYPE_FLOAT)",
                    }
                ],
            }
        ],
    },
    # google-gemini/gemini-cli issue 4231
    Failure.CONTEXT_LENGTH: {
        "code": 400,
        "message": "The input token count (3475108) exceeds the maximum number of tokens allowed (1048576).",
        "status": "INVALID_ARGUMENT",
    },
    # continuedev/continue issue 10290
    Failure.BAD_KEY: {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": f"{_TYPE}ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
            {
                "@type": f"{_TYPE}LocalizedMessage",
                "locale": "en-US",
                "message": "API key not valid. Please pass a valid API key.",
            },
        ],
    },
    Failure.FORBIDDEN: {
        "code": 403,
        "message": "Your project has been denied access. Please contact support.",
        "status": "PERMISSION_DENIED",
    },
    Failure.UNKNOWN_MODEL: {
        "code": 404,
        "message": "models/gemini-nonesuch is not found for API version v1, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and their supported methods.",
        "status": "NOT_FOUND",
    },
    # google-gemini/gemini-cli issue 8437
    Failure.RATE_LIMIT: {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": f"{_TYPE}QuotaFailure",
                "violations": [
                    {
                        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                        "quotaDimensions": {"location": "global", "model": "gemini-3.8-flash"},
                        "quotaValue": "10",
                    }
                ],
            },
        ],
    },
    # langgenius/dify issue 19838
    Failure.QUOTA: {
        "code": 429,
        "message": "You exceeded your current quota. Go to https://aistudio.google.com/apikey to upgrade your "
        "quota tier.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": f"{_TYPE}QuotaFailure",
                "violations": [
                    {
                        "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
                        "quotaId": "GenerateRequestsPerDayPerProjectPerModel",
                    }
                ],
            },
            {"@type": f"{_TYPE}RetryInfo", "retryDelay": "34.074824224s"},
        ],
    },
    Failure.SERVER_ERROR: {
        "code": 500,
        "message": "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
        "status": "INTERNAL",
    },
    Failure.OVERLOADED: {
        "code": 503,
        "message": "The model is overloaded. Please try again later.",
        "status": "UNAVAILABLE",
    },
}

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


class GeminiDialect(Dialect):
    """See the module."""

    provider = "GEMINI"
    model = "gemini-3.5-flash"
    reasoning_model = "gemini-3.8-flash"
    refused_by_reasoning_model = frozenset({"temperature", "top_p"})
    can_refuse = False
    streams_end_with_the_reason = True

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    @override
    def whole(self, answer: Answer) -> Reply:
        return Reply.json(_chunk(answer, answer.text, last=True), headers=_HEADERS)

    @override
    def events(self, answer: Answer) -> list[bytes]:
        texts = ["", *answer.pieces]
        return [
            *(_event(_chunk(answer, text, last=False)) for text in texts),
            _event(_chunk(answer, "", last=True)),
        ]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return Reply.sse(events, last=None, pause_s=pause_s, headers=_HEADERS)

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        if failure is Failure.PROMPT_FILTERED:
            body = {
                "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
                "modelVersion": self.model,
                "responseId": "blocked-0",
            }
            return Reply.json(body, headers=_HEADERS)
        if failure is Failure.TOO_LARGE:  # comes from the front end before the API: HTML
            page = "<html lang=en><title>Error 413 (Request Entity Too Large)!!1</title></html>"
            return Reply.text(message or page, content_type="text/html; charset=UTF-8", status=413)
        error: dict[str, Any] = _FAILURES[failure]
        if message is not None:
            error = {**error, "message": message}
        return Reply.json(
            {"error": error}, status=error["code"], headers={"Server": "scaffolding on HTTPServer2"}
        )

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        error = _FAILURES[failure]
        return _event({"error": error | {"message": message or error["message"]}})

    @override
    def models(self, names: Sequence[str]) -> Reply:
        models = [
            {
                "name": f"models/{name}",
                "version": "001",
                "displayName": name.title(),
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            }
            for name in names
        ]
        return Reply.json({"models": models})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        assert request.method == "POST"
        path, _, query = request.path.partition("?")
        name, _, verb = path.removeprefix("/v1/models/").partition(":")
        streamed = verb == "streamGenerateContent"
        assert (verb, query) == (
            ("streamGenerateContent", "alt=sse") if streamed else ("generateContent", "")
        )
        body = dict(request.json)
        system = body.pop("systemInstruction", None)
        turns: list[tuple[str, str]] = []
        files: list[tuple[str, str]] = []
        for content in body.pop("contents"):
            role = {"user": "user", "model": "assistant"}[content["role"]]
            turns.append((role, "".join(part.get("text", "") for part in content["parts"])))
            files += [
                (part["inlineData"]["mimeType"], part["inlineData"]["data"])
                for part in content["parts"]
                if "inlineData" in part
            ]
        parameters = _parameters(body.pop("generationConfig", {}))
        assert body == {}
        return Seen(
            model=name,
            system=None if system is None else "".join(part["text"] for part in system["parts"]),
            turns=turns,
            files=files,
            parameters=parameters,
            key=request.headers.get("x-goog-api-key"),
            streamed=streamed,
        )


_HEADERS = {"x-gemini-service-tier": "standard"}

_NAMES = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
    "seed": "seed",
}


def _parameters(config: dict[str, Any]) -> dict[str, Any]:
    parameters = {ours: config.pop(theirs) for theirs, ours in _NAMES.items() if theirs in config}
    if "responseJsonSchema" in config:
        assert config.pop("responseMimeType") == "application/json"
        parameters["response_schema"] = config.pop("responseJsonSchema")
    if "thinkingConfig" in config:
        parameters["reasoning_effort"] = config.pop("thinkingConfig")["thinkingLevel"]
    assert config == {}
    return parameters


def _chunk(answer: Answer, text: str, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if last and answer.finish is not None:
        candidate["finishReason"] = _FINISH[answer.finish]
    chunk: dict[str, Any] = {
        "candidates": [candidate],
        "modelVersion": answer.model,
        "responseId": answer.request_id,
    }
    if answer.usage is not None:
        chunk["usageMetadata"] = (
            _usage(answer.usage) if last else {"promptTokenCount": answer.usage.input_tokens}
        )
    return chunk


def _event(data: object) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\r\n\r\n".encode()


def _usage(usage: TokenUsage) -> dict[str, Any]:
    thoughts = usage.reasoning_tokens
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - (thoughts or 0),
        "totalTokenCount": usage.total_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
        "thoughtsTokenCount": thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input_tokens}],
    }
    return {name: count for name, count in counts.items() if count is not None}
