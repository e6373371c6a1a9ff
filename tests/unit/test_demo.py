import json
import time
from typing import Any

import pytest

from core.contract import AgentResponse, parse_request
from core.invocation import invoke
from core.providers import registry
from core.providers.rows_demo import DEMO


def ask(
    prompt: str, *, model: str = "demo-echo", deltas: list[str] | None = None, **fields: Any
) -> AgentResponse:
    payload = {"provider": "DEMO", "model_name": model, "prompt": prompt, **fields}
    return invoke(
        parse_request(payload, providers=registry.specs()), None if deltas is None else deltas.append
    )


def test_the_answer_is_made_from_the_prompt_and_always_the_same():
    first, again, other = ask("What is up?"), ask("What is up?"), ask("What is down?")
    assert first.response == again.response != other.response
    assert "What is up?" in (first.response or "")
    assert "offline demo" in (first.response or "")
    assert first.token_usage == again.token_usage


def test_it_needs_neither_key_nor_network():
    spec = registry.get_spec("DEMO")
    assert spec.offline
    assert not spec.needs_api_key
    assert spec.label == "Offline demo"


@pytest.mark.parametrize("model", [model.name for model in DEMO.models])
def test_every_listed_model_does_something(model: str):
    response = ask("[[words=5]] Hello", model=model)
    if model == "demo-error":
        assert response.error is not None
    elif model == "demo-flaky":
        assert response.error is not None
        assert response.error.retryable
        assert response.error.retry_after_seconds
        assert ask("[[words=5]] Hello", model=model).error is None
    else:
        assert response.error is None


def test_an_unknown_model_is_named_with_the_known_ones():
    response = ask("Hello", model="gpt-4")
    assert response.error is not None
    assert response.error.code == "MODEL_NOT_FOUND"
    assert "demo-echo" in response.error.message


def test_delay_and_pace():
    started = time.monotonic()
    deltas: list[str] = []
    response = ask("[[delay=0.2]] [[chunk_delay=0.02]] [[words=10]] Hello", deltas=deltas)
    assert time.monotonic() - started >= 0.4
    assert len(deltas) == 10
    assert (response.time_to_first_token_seconds or 0) >= 0.2
    assert "[[" not in (response.response or "")


def test_words():
    assert len((ask("[[words=300]] Hello").response or "").split()) == 300


def test_max_tokens_cuts():
    response = ask("Hello", max_tokens=3)
    assert response.finish_reason == "length"
    assert response.token_usage is not None
    assert response.token_usage.output_tokens <= 3


def test_stop_cuts():
    whole = ask("Hello").response or ""
    response = ask("Hello", stop=["demo"])
    assert response.response == whole.partition("demo")[0]
    assert response.finish_reason == "stop"


@pytest.mark.parametrize("directive", ["[[delay=soon]]", "[[fail=NOTHING]]", "[[words=many]]"])
def test_a_wrong_directive_is_explained(directive: str):
    response = ask(f"{directive} Hello")
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"


def test_failure_after_some_text():
    deltas: list[str] = []
    response = ask("[[fail_after=4]] Hello", deltas=deltas)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert len(deltas) == 4
    assert response.response == "".join(deltas)


def test_schema():
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "size": {"type": ["integer", "null"]},
            "share": {"type": "number"},
            "kind": {"enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "boolean"}},
            "nothing": {},
        },
    }
    answer = json.loads(ask("Hello", response_schema=schema).response or "")
    assert answer == {"name": "demo", "size": 1, "share": 1.5, "kind": "a", "tags": [True], "nothing": None}


def test_a_schema_that_contains_itself_ends():
    schema: dict[str, Any] = {"type": "array"}
    for _ in range(30):
        schema = {"type": "array", "items": schema}
    assert json.loads(ask("Hello", response_schema=schema).response or "")


def test_tokens_tell_of_cache_and_reasoning():
    usage = ask("Hello").token_usage
    assert usage is not None
    assert usage.input_tokens == 2  # a token for every four characters
    turns = [{"role": "user", "content": "x" * 40}, {"role": "assistant", "content": "y" * 40}]
    chat = ask("Hello", agent_type="chat", messages=turns, reasoning_effort="low").token_usage
    assert chat is not None
    assert (chat.input_tokens, chat.cached_input_tokens, chat.reasoning_tokens) == (22, 20, 64)
    assert chat.output_tokens > 64
