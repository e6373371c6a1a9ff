"""Cohere's ordinary dialogue against aimock, a maintained server that speaks its wire."""

from typing import TYPE_CHECKING, Any

import pytest

from core.contract import AgentResponse, parse_request
from core.invocation import invoke
from core.providers import registry

if TYPE_CHECKING:
    from tests.support.aimock_server import Aimock

STORY = "Once upon a time there was a package that nobody had heard of, and it was in every list. " * 5


def ask(aimock: "Aimock", prompt: str, pieces: list[str] | None = None, **fields: Any) -> AgentResponse:
    at = {
        "provider": "COHERE",
        "model_name": "command-a-03-2025",
        "api_key": "cohere-key",
        "base_url": aimock.url,
    }
    request = parse_request(
        {**at, "prompt": prompt, "timeout_seconds": 30, **fields}, providers=registry.specs()
    )
    return invoke(request, None if pieces is None else pieces.append)


@pytest.mark.parametrize("pieces", [None, []], ids=["whole", "streamed"])
def test_text(aimock: "Aimock", pieces: list[str] | None) -> None:
    aimock.on(
        "capital of France", "Paris.", usage={"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
    )
    response = ask(aimock, "What is the capital of France?", pieces, system_prompt="Be brief.")
    assert response.error is None
    assert response.response == "Paris."
    assert response.finish_reason == "stop"
    assert response.token_usage is not None
    assert (response.token_usage.input_tokens, response.token_usage.output_tokens) == (12, 2)
    assert response.provider_request_id or pieces is None
    assert len(aimock.requests()) == 1


def test_stream(aimock: "Aimock") -> None:
    pieces: list[str] = []
    aimock.on("story", STORY, chunkSize=7)
    assert ask(aimock, "Tell me a story.", pieces).response == STORY == "".join(pieces)
    assert len(pieces) > 50


def test_truncated_stream(aimock: "Aimock") -> None:
    pieces: list[str] = []
    aimock.on("story", STORY, chunkSize=7, latency=10, truncateAfterChunks=5)
    response = ask(aimock, "Tell me a story.", pieces)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert response.response == ("".join(pieces) or None)


@pytest.mark.parametrize(("status", "code"), [(401, "AUTHENTICATION_FAILED"), (429, "RATE_LIMITED")])
def test_error(aimock: "Aimock", status: int, code: str) -> None:
    aimock.fail_next(status, message="not now")
    response = ask(aimock, "Hello")
    assert response.error is not None
    assert response.error.code == code
    assert len(aimock.requests()) == 1
