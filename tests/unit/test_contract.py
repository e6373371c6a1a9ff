import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from core import contract
from core.contract import (
    AgentRequest,
    AgentResponse,
    Attachment,
    ErrorBody,
    error_response,
    parse_request,
)
from core.errors import InvalidRequest, ProviderUnavailable, RateLimited, UnknownProvider

PROVIDERS = {"DEMO", "OPENAI", "ANTHROPIC", "GEMINI", "OLLAMA", "BEDROCK"}

# "Multi-Provider Lambda Agent Setup", sections "Multi-Provider Request" and "Response Format", to the letter.
DOCUMENTED_REQUEST = """{
  "provider": "OPENAI",
  "model_name": "gpt-4",
  "api_key": "sk-...",
  "prompt": "Your instruction here",
  "system_prompt": "Optional system prompt",
  "agent_type": "one-shot",
  "agent_name": "My Agent",
  "max_tokens": 2000,
  "temperature": 0.7,
  "context": {
    "additional": "context data"
  }
}"""
DOCUMENTED_RESPONSE = """{
  "response": "The agent's response",
  "provider": "OPENAI",
  "model": "gpt-4",
  "metadata": {
    "agent_type": "one-shot",
    "agent_name": "My Agent",
    "context_provided": true,
    "custom_system_prompt": true
  },
  "timestamp": "2024-01-01T00:00:00Z",
  "execution_time_seconds": 1.23,
  "token_usage": {
    "input_tokens": 100,
    "output_tokens": 50,
    "total_tokens": 150
  }
}"""


def minimal(**fields: Any) -> dict[str, Any]:
    return {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello", **fields}


def refusal(payload: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_request(payload, providers=PROVIDERS)
    return caught.value.message


def test_the_documented_request_goes_in_and_out_unchanged():
    request = parse_request(json.loads(DOCUMENTED_REQUEST), providers=PROVIDERS)
    assert request.to_wire() == json.loads(DOCUMENTED_REQUEST)
    assert json.dumps(request.to_wire(), indent=2) == DOCUMENTED_REQUEST


def test_the_documented_response_goes_in_and_out_unchanged():
    response = AgentResponse.model_validate_json(DOCUMENTED_RESPONSE)
    assert json.dumps(response.to_wire(), indent=2) == DOCUMENTED_RESPONSE


@pytest.mark.parametrize("page", ["architecture.md", "troubleshooting.md"])
def test_the_documentation_says_the_limits_in_force(page: str):
    text = " ".join((Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8").split())
    assert f"{contract.MAX_PROMPT_CHARS:,} characters of prompt" in text
    assert (
        f"{contract.MAX_SYSTEM_PROMPT_CHARS:,} of system prompt, {contract.MAX_MESSAGES:,} messages" in text
    )
    assert f"{contract.MAX_TEXT_CHARS:,} characters in all of these together" in text
    assert f"{contract.MAX_CONTEXT_BYTES:,} bytes of JSON" in text
    assert f"{contract.MAX_ATTACHMENTS} attachments of {contract.MAX_ATTACHMENT_BYTES // 2**20} MiB" in text


def test_an_old_caller_may_send_null_for_what_it_does_not_set():
    request = parse_request(minimal(api_key=None, system_prompt=None, context=None), providers=PROVIDERS)
    assert request.to_wire() == minimal(agent_type="one-shot")


def test_a_query_without_a_secret_may_stand_in_a_base_url():
    url = "https://host/openai?api-version=2026-01-01&max_tokens=3&keyboard=de"
    assert parse_request(minimal(base_url=url), providers=PROVIDERS).base_url == url


def test_the_original_documents_callers_may_send_an_empty_text_for_what_they_do_not_set():
    request = parse_request(minimal(agent_name="", system_prompt="", agent_type=""), providers=PROVIDERS)
    assert request.to_wire() == minimal(agent_type="one-shot")
    assert parse_request(minimal(agent_type=None), providers=PROVIDERS).agent_type == "one-shot"


def test_a_failure_has_every_key_that_the_original_documents_callers_read():
    wire = error_response(RateLimited("Slow down."), provider="DEMO", model="demo-echo").to_wire()
    assert (wire["response"], wire["token_usage"]) == (None, None)
    assert wire["error"]["code"] == "RATE_LIMITED"
    documented = json.loads(DOCUMENTED_RESPONSE)
    assert wire.keys() >= documented.keys()
    assert list(wire["metadata"]) == list(documented["metadata"])
    assert wire["metadata"]["agent_name"] is None


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC),
        datetime(2024, 1, 1, 2, 0, 0, 1, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 1, 1),
    ],
)
def test_the_time_is_written_as_the_document_writes_it(moment: datetime):
    response = AgentResponse.model_validate_json(DOCUMENTED_RESPONSE).model_copy(update={"timestamp": moment})
    written = response.to_wire()["timestamp"]
    assert written == "2024-01-01T00:00:00Z"
    assert datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ") == datetime(2024, 1, 1)
    assert response.timestamp == moment  # finer inside of the process


@pytest.mark.parametrize(
    ("status", "may_be_billed"),
    [
        *((status, False) for status in (400, 401, 404, 413, 429, 500, 503, 529)),
        *((status, True) for status in (None, 200, 408, 502, 504, 520, 522, 524)),
    ],
)
def test_a_gateways_status_does_not_say_that_nothing_was_billed(status: int | None, may_be_billed: bool):
    error = ProviderUnavailable("Away.", provider_status=status)
    assert ErrorBody.of(error).may_be_billed is may_be_billed
    unsent = ProviderUnavailable("Away.", provider_status=status, sent=False)
    assert ErrorBody.of(unsent).may_be_billed is False


def test_unknown_provider_names_the_known_ones():
    with pytest.raises(UnknownProvider) as caught:
        parse_request(minimal(provider="openai"), providers={"OPENAI", "DEMO"})
    assert caught.value.message == (
        "Invalid provider: 'openai'. Did you mean OPENAI? Use one of DEMO, OPENAI: names are case-sensitive."
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("NOPE", ""), ("AZURE", ""), ("MIN", ""), ("BED", ""), ("CLAUDE", "")),
        *(("OPEN_AI", "OPENAI"), ("OPENIA", "OPENAI"), ("Antropic", "ANTHROPIC"), ("LLAMA", "OLLAMA")),
        *(("gemeni", "GEMINI"), ("AWS_BEDROCK", "BEDROCK"), ("DEMOO", "DEMO")),
    ],
)
def test_a_provider_is_suggested_only_where_the_name_is_really_alike(written: str, meant: str) -> None:
    known = {"DEMO", "OPENAI", "ANTHROPIC", "GEMINI", "BEDROCK", "OLLAMA"}
    message = contract.invalid_provider_message(written, known)
    assert (f"Did you mean {meant}?" in message) if meant else ("Did you mean" not in message)


def test_unknown_field_is_named_with_its_remedy():
    message = refusal(minimal(tools=[]))
    assert "'tools'" in message
    assert "deploy" in message
    assert contract.CONTRACT_VERSION in message


@pytest.mark.parametrize("payload", [None, [], "x", 3, [minimal()]])
def test_only_an_object_is_a_request(payload: object):
    assert "JSON object" in refusal(payload)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "x" * (contract.MAX_PROMPT_CHARS + 1)}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"system_prompt": "x" * (contract.MAX_SYSTEM_PROMPT_CHARS + 1)}, "system_prompt"),
        ({"model_name": ""}, "model_name"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"seed": 2**63}, "seed"),
        ({"context": []}, "context"),
        ({"context": {"a": float("inf")}}, "context"),
        ({"context": {"a": "x" * contract.MAX_CONTEXT_BYTES}}, "context"),
        ({"context": {"a": "\ud800"}}, "context"),
        ({"agent_type": "batch"}, "agent_type"),
        ({"agent_type": "chat", "prompt": None, "messages": []}, "chat"),
        ({"agent_type": "chat", "prompt": None, "messages": [{"role": "assistant", "content": "x"}]}, "chat"),
        ({"messages": [{"role": "user", "content": "x"}]}, "one-shot"),
        ({"agent_type": "chat", "messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"attachments": [{"media_type": "image/svg+xml", "data": "aGk="}]}, "media_type"),
        ({"attachments": [{"media_type": "image/png", "data": "not base64"}]}, "base64"),
        ({"attachments": [{"media_type": "image/png", "data": "aGk"}]}, "base64"),
        ({"attachments": [{"media_type": "image/png", "data": "aGk="}] * 11}, "attachments"),
        ({"base_url": "ftp://host"}, "base_url"),
        ({"base_url": "host/v1"}, "base_url"),
        ({"base_url": "https://user:secret@host/v1"}, "user name or password"),
        ({"base_url": "https://host/\nv1"}, "base_url"),
        *(
            ({"base_url": f"https://host/v1?{query}"}, "in its query")
            for query in (
                *("api-key=x", "key=x", "token=x", "client_secret=x", "PASSWORD=x", "sig=x", "a=1&sig=x"),
                *("a;key=x", "api%2Dkey=x", "X-Amz-Signature=x", "subscription-key=x"),
            )
        ),
        ({"api_key_ref": "MY_KEY"}, "api_key_ref"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 901}, "timeout_seconds"),
        ({"contract_version": "one"}, "contract_version"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
    ],
)
def test_a_fault_is_named(fields: dict[str, Any], word: str):
    assert word in refusal(minimal(**fields))


def test_every_fault_is_named_at_once():
    message = refusal(minimal(max_tokens=0, temperature=9, seed="x"))
    assert all(name in message for name in ("max_tokens", "temperature", "seed"))


def test_no_value_is_repeated_in_an_error():
    secret = "sk-canary-0123456789"
    message = refusal(minimal(api_key=[secret], base_url=secret, seed=secret, context=secret))
    assert secret not in message
    assert "api_key" in message


def test_a_field_name_is_shown_short_and_printable():
    message = refusal(minimal(**{"x" * 5_000: 1, "a\nb\x1b[31m": 2, "\udcff": 3}))
    assert len(message) < 1_000
    assert message.isprintable()
    message.encode()


def test_nesting_too_deep_is_refused():
    value: Any = 1
    for _ in range(20_000):
        value = [value]
    assert refusal(minimal(context={"a": value}))


def test_a_number_too_long_to_write_is_refused():
    assert refusal(minimal(context={"a": 10**5_000}))


def test_all_texts_together_have_a_limit():
    message = {"role": "user", "content": "x" * contract.MAX_PROMPT_CHARS}
    many = minimal(agent_type="chat", messages=[message] * 2)
    assert refusal(many) == (
        "Invalid request: prompt, system_prompt and messages have 4000005 characters together; the limit is "
        "4000000: shorten them, or leave out the oldest messages"
    )
    half = {"role": "user", "content": "x" * (contract.MAX_TEXT_CHARS // 4)}
    full = {"agent_type": "chat", "messages": [half] * 3, "prompt": half["content"]}
    assert len(parse_request(minimal(**full), providers=PROVIDERS).turns()) == 4
    assert "4000001 characters" in refusal(minimal(**full, system_prompt="x"))


def test_limits_are_inclusive():
    for fields in (
        {"prompt": "x" * contract.MAX_PROMPT_CHARS},
        {"seed": 2**63 - 1},
        {"seed": -(2**63)},
        {"timeout_seconds": contract.MAX_TIMEOUT_SECONDS},
        {"temperature": 0},
        {"temperature": 2},
        {"stop": ["a", "b", "c", "d"]},
    ):
        assert parse_request(minimal(**fields), providers=PROVIDERS)


def test_attachment_size_is_that_of_its_bytes():
    largest = base64.b64encode(b"\0" * contract.MAX_ATTACHMENT_BYTES).decode()
    assert Attachment(media_type="image/png", data=largest)
    one_more = base64.b64encode(b"\0" * (contract.MAX_ATTACHMENT_BYTES + 1)).decode()
    file = {"media_type": "image/png", "data": one_more}
    assert "data" in refusal(minimal(attachments=[file]))


def test_the_key_travels_but_does_not_show():
    request = parse_request(minimal(api_key="sk-canary-0123456789"), providers=PROVIDERS)
    assert request.to_wire()["api_key"] == "sk-canary-0123456789"
    assert "canary" not in repr(request) + str(request) + str(request.to_public())


def test_turns_put_the_context_into_the_users_last_turn():
    request = parse_request(
        minimal(
            agent_type="chat",
            context={"id": 7, "note": "für dich"},
            messages=[{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}],
        ),
        providers=PROVIDERS,
    )
    assert [(turn.role, turn.content) for turn in request.turns()] == [
        ("user", "A"),
        ("assistant", "B"),
        ("user", 'Context (JSON):\n{\n  "id": 7,\n  "note": "für dich"\n}\n\nHello'),
    ]


def test_the_longest_prompt_may_have_a_context_before_it():
    payload = minimal(prompt="x" * contract.MAX_PROMPT_CHARS, context={"a": "b"})
    (turn,) = parse_request(payload, providers=PROVIDERS).turns()
    assert len(turn.content) > contract.MAX_PROMPT_CHARS


def test_earlier_turns_without_text_are_left_out():
    turns = [("user", "a"), ("assistant", " \n"), ("user", "b"), ("assistant", "")]
    payload = minimal(
        agent_type="chat", messages=[{"role": role, "content": content} for role, content in turns]
    )
    found = parse_request(payload, providers=PROVIDERS).turns()
    assert [turn.content for turn in found] == ["a", "b", "Hello"]


def test_a_chat_that_ends_with_a_blank_has_nothing_to_answer():
    payload = minimal(agent_type="chat", prompt=" ", messages=[{"role": "user", "content": "\n"}])
    with pytest.raises(InvalidRequest, match="a chat needs a prompt"):
        parse_request(payload, providers=PROVIDERS)


def test_without_a_prompt_the_users_last_message_is_it():
    payload = minimal(agent_type="chat", context={"a": 1}, messages=[{"role": "user", "content": "A"}])
    del payload["prompt"]
    (turn,) = parse_request(payload, providers=PROVIDERS).turns()
    assert turn.content.endswith("\n\nA")
    assert turn.content.startswith("Context (JSON):")


def test_an_empty_context_changes_nothing():
    request = parse_request(minimal(context={}), providers=PROVIDERS)
    assert request.turns()[-1].content == "Hello"


def test_requests_cannot_be_changed():
    request = parse_request(minimal(), providers=PROVIDERS)
    with pytest.raises(ValueError, match="frozen"):
        request.prompt = "other"  # type: ignore[misc]


def test_an_error_is_data():
    body = ErrorBody.of(
        RateLimited(
            "Slow down.", provider_status=429, retry_after_seconds=2.5, request_id="req", detail="secret"
        )
    )
    assert body.model_dump(mode="json") == {
        "code": "RATE_LIMITED",
        "message": "Slow down.",
        "retryable": True,
        "provider_status": 429,
        "retry_after_seconds": 2.5,
        "request_id": "req",
        "may_be_billed": False,
    }


def test_a_newer_answer_can_be_read():
    """Additions of a later version are ignored by this one."""
    wire = json.loads(DOCUMENTED_RESPONSE) | {"tool_calls": []}
    wire["metadata"]["region"] = "eu-west-1"
    response = AgentResponse.model_validate(wire)
    assert response.to_wire()["metadata"]["region"] == "eu-west-1"


def test_schema_of_the_request_can_be_published():
    properties = AgentRequest.model_json_schema()["properties"]
    assert {"provider", "model_name", "prompt", "messages", "response_schema"} <= properties.keys()
