"""Ollama's chat.

Bodies after docs.ollama.com/api (chat, streaming, errors, tags) and docs.ollama.com/capabilities (thinking, vision,
structured outputs), compared with the types of ollama 0.6.3, on 2026-11-22. The wording of single errors is that of
the server's own sources (github.com/ollama/ollama: `api/types.go`, `server/routes.go`, `server/sched.go`).

It says less than others: of tokens only how many were read and written, nothing of a request's id, and of a failure
nothing but a status and words.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from core.contract import TokenUsage
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure, Seen
from tests.support.vendor_server import ReceivedRequest, Reply

_FAILURES: Final[dict[Failure, tuple[int, str]]] = {
    Failure.BAD_PARAMETER: (400, f'option "{REFUSED_PARAMETER}" must be of type float32'),
    Failure.BAD_KEY: (401, "unauthorized"),
    Failure.FORBIDDEN: (403, "this model requires a subscription, upgrade for access"),
    Failure.UNKNOWN_MODEL: (404, "model 'nonesuch' not found"),
    Failure.TOO_LARGE: (413, "http: request body too large"),
    Failure.RATE_LIMIT: (429, "too many concurrent requests"),
    Failure.SERVER_ERROR: (500, "llama runner process has terminated: signal: killed"),
    Failure.OVERLOADED: (503, "server busy, please try again.  maximum pending requests exceeded"),
}
_OPTIONS: Final[dict[str, str]] = {"num_predict": "max_tokens"}


class OllamaDialect(Dialect):
    """See the module."""

    provider = "OLLAMA"
    model = "gemma4"
    reasoning_model = "gpt-oss:20b"
    refused_by_reasoning_model = frozenset()
    names_requests = False
    can_refuse = False
    can_filter = False
    names_file_types = False
    failures = frozenset(_FAILURES)
    failures_in_a_stream = frozenset({Failure.SERVER_ERROR})

    @override
    def told(self, answer: Answer) -> Answer:
        usage = answer.usage
        if usage is not None:
            usage = TokenUsage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                total_tokens=usage.total_tokens,
            )
        return replace(answer, usage=usage)

    @override
    def connection(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    @override
    def whole(self, answer: Answer) -> Reply:
        return Reply.json(_line(answer, answer.text, thinking="The user asks ...", end=True))

    @override
    def events(self, answer: Answer) -> list[bytes]:
        lines = [_line(answer, "", thinking="The user asks ...")]
        lines += [_line(answer, piece) for piece in answer.pieces]
        lines.append(_line(answer, "", end=True))
        return [json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines]

    @override
    def streamed(self, events: Sequence[bytes], *, pause_s: float = 0.0) -> Reply:
        return replace(Reply.lines([]), chunks=tuple(events), pause_s=pause_s)

    @override
    def failure(self, failure: Failure, *, message: str | None = None) -> Reply:
        status, words = _FAILURES[failure]
        return Reply.json({"error": words if message is None else message}, status=status)

    @override
    def error_event(self, failure: Failure, *, message: str | None = None) -> bytes:
        return json.dumps({"error": message or _FAILURES[failure][1]}).encode() + b"\n"

    @override
    def models(self, names: Sequence[str]) -> Reply:
        rows = [
            {
                "name": name,
                "model": name,
                "modified_at": "2026-10-03T23:34:03.409490317-07:00",
                "size": 3_338_801_804,
                "digest": "a2af6cc3eb7fa8be8504abaf9b04e88f17a119ec3f04a3addf55f92841195f5a",
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "gemma",
                    "families": ["gemma"],
                    "parameter_size": "4.3B",
                    "quantization_level": "Q4_K_M",
                },
            }
            for name in names
        ]
        return Reply.json({"models": rows})

    @override
    def seen(self, request: ReceivedRequest) -> Seen:
        assert (request.method, request.path) == ("POST", "/api/chat")
        body = dict(request.json)
        messages = body.pop("messages")
        system = messages.pop(0)["content"] if messages[0]["role"] == "system" else None
        model, streamed = body.pop("model"), body.pop("stream")
        assert body.pop("tools") == []  # the SDK's own
        options: dict[str, Any] = body.pop("options", {})
        found = {_OPTIONS.get(name, name): value for name, value in options.items()}
        if "format" in body:
            found["response_schema"] = body.pop("format")
        if "think" in body:
            found["reasoning_effort"] = body.pop("think") or "none"
        found |= body
        authorization = request.headers.get("authorization")
        return Seen(
            model=model,
            system=system,
            turns=[(message["role"], message["content"]) for message in messages],
            files=[("", image) for image in messages[-1].get("images", [])],
            parameters=found,
            key=None if authorization is None else authorization.removeprefix("Bearer "),
            streamed=streamed,
        )


def _line(answer: Answer, text: str, *, thinking: str | None = None, end: bool = False) -> dict[str, Any]:
    line: dict[str, Any] = {
        "model": answer.model,
        "created_at": "2026-11-22T17:21:21.196249Z",
        "message": {"role": "assistant", "content": text, **({"thinking": thinking} if thinking else {})},
        "done": end,
    }
    if not end:
        return line
    if answer.finish is not None:
        line["done_reason"] = answer.finish
    line |= {"total_duration": 4_883_583_458, "load_duration": 1_334_875, "eval_duration": 4_535_599_000}
    if answer.usage is not None:
        line |= {
            "prompt_eval_count": answer.usage.input_tokens,
            "prompt_eval_duration": 342_546_000,
            "eval_count": answer.usage.output_tokens,
        }
    return line
