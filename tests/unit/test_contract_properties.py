"""Any valid request survives a round trip; no input raises anything but the validation error."""

import base64
import json
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract import AgentRequest, AgentResponse, ErrorBody, Metadata, TokenUsage, parse_request
from core.errors import ErrorCode, InvalidRequest, UnknownProvider

PROVIDERS = {"DEMO", "OPENAI"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
prompts = texts.filter(lambda text: bool(text.strip()))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, json_values, max_size=4)
attachments = st.fixed_dictionaries(
    {
        "media_type": st.sampled_from(["image/png", "image/webp", "application/pdf"]),
        "data": st.binary(min_size=1, max_size=50).map(lambda data: base64.b64encode(data).decode()),
    },
    optional={"name": names},
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}), max_size=4
)
options: dict[str, st.SearchStrategy[Any]] = {
    "api_key": st.text(st.characters(codec="ascii"), max_size=40),
    "system_prompt": texts.filter(bool),  # an empty one is unset, and not sent on
    "agent_name": names,
    "max_tokens": st.integers(1, 10_000_000),
    "temperature": st.floats(0, 2),
    "context": objects,
    "attachments": st.lists(attachments, max_size=3),
    "base_url": st.sampled_from(
        ["http://127.0.0.1:8080/v1", "https://host.example/v1?x=1", "http://[::1]:9/"]
    ),
    "api_key_ref": st.sampled_from(["env:MY_KEY", "arn:aws:secretsmanager:eu-west-1:1:secret:x"]),
    "top_p": st.floats(0, 1),
    "stop": st.lists(names, max_size=4),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "response_schema": objects,
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "timeout_seconds": st.floats(0.001, 900),
    "contract_version": st.sampled_from(["1.0", "1.2", "12.34"]),
}
one_shots = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(sorted(PROVIDERS)),
        "model_name": names,
        "prompt": prompts,
        "agent_type": st.just("one-shot"),
    },
    optional=options,
)
chats = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(sorted(PROVIDERS)),
        "model_name": names,
        "prompt": prompts,
        "agent_type": st.just("chat"),
        "messages": messages,
    },
    optional=options,
)
requests = one_shots | chats

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
    | st.sampled_from(["\ud800", 10**4_000, object(), "DEMO", "chat", "user"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=15,
)


@given(requests)
def test_a_valid_request_survives_a_round_trip(payload: dict[str, Any]):
    request = parse_request(payload, providers=PROVIDERS)
    wire = request.to_wire()
    assert wire == payload  # sent on as it came: nothing added, nothing lost
    travelled = json.loads(json.dumps(wire))
    again = parse_request(travelled, providers=PROVIDERS)
    assert again == request
    assert again.to_wire() == travelled == wire
    assert request.turns()[-1].role == "user"


@given(requests)
def test_the_public_form_is_the_request_without_its_key(payload: dict[str, Any]):
    request = parse_request(payload, providers=PROVIDERS)
    public = request.to_public()
    assert public == {name: value for name, value in payload.items() if name != "api_key"}
    assert parse_request(public, providers=PROVIDERS).to_public() == public


def parses_or_refuses(payload: object) -> AgentRequest | None:
    try:
        return parse_request(payload, providers=PROVIDERS)
    except (InvalidRequest, UnknownProvider) as error:
        assert error.message
        error.message.encode()
        assert len(error.message) < 3_000
        return None


@given(anything)
@settings(max_examples=300)
def test_no_input_raises_anything_but_the_validation_error(payload: object):
    parses_or_refuses(payload)


@given(requests, st.sampled_from([*AgentRequest.model_fields, "other"]), anything)
@settings(max_examples=400)
def test_no_field_raises_anything_but_the_validation_error(
    payload: dict[str, Any], field: str, value: object
):
    if request := parses_or_refuses(payload | {field: value}):
        json.dumps(request.to_wire()).encode()
        request.turns()


counts = st.integers(0, 2**53)


@given(
    st.builds(
        AgentResponse,
        response=st.none() | texts,
        provider=names,
        model=names,
        metadata=st.builds(Metadata, agent_name=st.none() | names, fell_back_from=st.none() | names),
        timestamp=st.datetimes().map(lambda moment: moment.astimezone()),
        execution_time_seconds=st.floats(0, 1e6),
        token_usage=st.none()
        | st.builds(
            TokenUsage,
            input_tokens=counts,
            output_tokens=counts,
            total_tokens=counts,
            cached_input_tokens=st.none() | counts,
        ),
        finish_reason=st.none() | st.sampled_from(["stop", "length"]),
        error=st.none()
        | st.builds(
            ErrorBody,
            code=st.sampled_from(ErrorCode),
            message=texts,
            retryable=st.booleans(),
            provider_status=st.none() | st.integers(100, 599),
            retry_after_seconds=st.none() | st.floats(0, 1e6),
            request_id=st.none() | texts,
            may_be_billed=st.none() | st.booleans(),
        ),
    )
)
def test_a_response_survives_a_round_trip(response: AgentResponse):
    wire = json.loads(json.dumps(response.to_wire()))
    whole_seconds = response.timestamp.replace(microsecond=0)
    assert AgentResponse.model_validate(wire) == response.model_copy(update={"timestamp": whole_seconds})
    assert datetime.strptime(wire["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
