"""The ordinary dialogue against aimock, a maintained server that speaks the vendors' wires."""

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection
from tests.contract.conftest import CANARY, Caller
from tests.support.aimock_vendors import VENDORS

if TYPE_CHECKING:
    from tests.support.aimock_server import Aimock

STORY = "Once upon a time there was a server that spoke five languages, and never got one of them wrong. " * 5

READ_WHOLE = ["OPENAI"]
"""Of whose requests aimock also reads the answer's format and the files, and for whom it has a list of models."""


@pytest.fixture(params=[provider for provider, _, _ in VENDORS])
def at(request: pytest.FixtureRequest, aimock: "Aimock") -> dict[str, Any]:
    """The fields of a request that lead a provider to aimock."""
    model, path = next((model, path) for provider, model, path in VENDORS if provider == request.param)
    return {
        "provider": request.param,
        "model_name": model,
        "api_key": CANARY,
        "base_url": f"{aimock.url}{path}",
        "timeout_seconds": 30,
    }


def test_text(aimock: "Aimock", at: dict[str, Any], call: Caller, stream: bool):
    aimock.on(
        "capital of France", "Paris.", usage={"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
    )
    response = call(
        at | {"prompt": "What is the capital of France?", "system_prompt": "Be brief."}, stream=stream
    )
    assert response.error is None
    assert response.response == "Paris."
    assert response.finish_reason == "stop"
    assert response.token_usage is not None
    counts = (response.token_usage.input_tokens, response.token_usage.output_tokens)
    if at["provider"] == "OLLAMA":
        assert counts == (0, 0)  # aimock's own, whatever a fixture says; and Ollama gives no request an id
    else:
        assert counts == (12, 2)
        assert response.provider_request_id or at["provider"] == "BEDROCK"  # to which aimock gives no id
    assert len(aimock.requests()) == 1


def test_stream(aimock: "Aimock", at: dict[str, Any], call: Caller):
    aimock.on("story", STORY, chunkSize=7)
    response = call(at | {"prompt": "Tell me a story."}, stream=True)
    assert response.error is None
    assert response.response == STORY == "".join(call.deltas)
    assert len(call.deltas) > 50


def test_multi_turn(aimock: "Aimock", at: dict[str, Any], call: Caller, stream: bool):
    aimock.on("my name", "Your name is Ada.", match={"turnIndex": 1})
    response = call(
        at
        | {
            "agent_type": "chat",
            "messages": [
                {"role": "user", "content": "I am Ada."},
                {"role": "assistant", "content": "Hello Ada."},
            ],
            "prompt": "What is my name?",
        },
        stream=stream,
    )
    assert response.error is None
    assert response.response == "Your name is Ada."


def test_schema(aimock: "Aimock", at: dict[str, Any], call: Caller, stream: bool):
    asked = {"responseFormat": "json_schema"} if at["provider"] in READ_WHOLE else None
    aimock.on("France as JSON", {"city": "Paris"}, match=asked)
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    response = call(
        at | {"prompt": "The capital of France as JSON", "response_schema": schema}, stream=stream
    )
    assert response.error is None
    assert json.loads(response.response or "") == {"city": "Paris"}


def test_image(aimock: "Aimock", at: dict[str, Any], call: Caller, stream: bool):
    aimock.on("in this picture", "A cat.")
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    response = call(
        at
        | {
            "prompt": "What is in this picture?",
            "attachments": [{"media_type": "image/png", "data": picture, "name": "cat.png"}],
        },
        stream=stream,
    )
    assert response.error is None
    assert response.response == "A cat."
    if at["provider"] in READ_WHOLE:
        assert picture in json.dumps(aimock.requests()[-1]["body"])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "AUTHENTICATION_FAILED"),
        (429, "RATE_LIMITED"),
        (500, "PROVIDER_UNAVAILABLE"),
        (503, "PROVIDER_UNAVAILABLE"),
    ],
)
def test_error(aimock: "Aimock", at: dict[str, Any], call: Caller, stream: bool, status: int, code: str):
    aimock.fail_next(status, message="not now", type="server_error")
    response = call(at | {"prompt": "Hello"}, stream=stream)
    assert response.error is not None
    assert response.error.code == code
    assert response.error.provider_status == status
    assert len(aimock.requests()) == 1


def test_truncated_stream(aimock: "Aimock", at: dict[str, Any], call: Caller):
    aimock.on("story", STORY, chunkSize=7, latency=10, truncateAfterChunks=5)
    response = call(at | {"prompt": "Tell me a story."}, stream=True)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert response.response == "".join(call.deltas)
    assert STORY.startswith(response.response or "x")


@pytest.mark.parametrize("at", [*READ_WHOLE, "OLLAMA"], indirect=True)
def test_models(at: dict[str, Any]):
    connection = Connection(api_key=CANARY, base_url=at["base_url"])
    models = registry.load(at["provider"]).list_models(connection, Limits(timeout_seconds=20))
    names = [model.name for model in models]
    assert names == sorted(names)
    assert names
