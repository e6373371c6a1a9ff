"""What comes back: text, streams, tokens, reasons; and what reached the vendor."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from core.contract import TokenUsage
from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection
from core.providers.spec import Feature
from tests.contract.conftest import CANARY, Caller
from tests.contract.dialects import BUILT_IN, DIALECTS
from tests.contract.dialects.base import Answer, Dialect
from tests.support.vendor_server import VendorServer

MakeRequest = Callable[..., dict[str, Any]]

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n not really").decode()


def test_every_provider_with_a_wire_has_a_dialect():
    on_the_wire = {spec.name for spec in registry.BUILT_IN if not spec.offline}
    assert on_the_wire == set(BUILT_IN)


def script(vendor: VendorServer, dialect: Dialect, answer: Answer, *, stream: bool) -> None:
    vendor.will(dialect.streamed(dialect.events(answer)) if stream else dialect.whole(answer))


def test_answer(vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool):
    answer = dialect.told(Answer())
    script(vendor, dialect, Answer(), stream=stream)
    response = call(
        request_to(system_prompt="Be brief.", context={"lang": "en"}, agent_name="Guide"), stream=stream
    )
    assert response.error is None
    assert response.response == answer.text
    assert response.token_usage == answer.usage
    assert response.finish_reason == "stop"
    assert response.model == answer.model
    assert response.provider_request_id == (answer.request_id if dialect.names_requests else None)
    assert response.metadata.agent_name == "Guide"
    assert response.metadata.context_provided
    assert response.metadata.custom_system_prompt
    if stream:
        assert call.deltas == list(answer.pieces)
        assert response.time_to_first_token_seconds is not None
        assert 0 < response.time_to_first_token_seconds <= response.execution_time_seconds
    else:
        assert response.time_to_first_token_seconds is None
    assert len(vendor.requests) == 1
    wire = response.to_wire()
    assert {
        "response",
        "provider",
        "model",
        "metadata",
        "timestamp",
        "execution_time_seconds",
        "token_usage",
    } <= set(wire)
    assert json.loads(json.dumps(wire)) == wire


def test_what_reaches_the_vendor(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(), stream=stream)
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    parameters: dict[str, Any] = {
        "max_tokens": 321,
        "temperature": 0.25,
        "top_p": 0.5,
        "stop": ["END", "\n\n"],
        "seed": 7,
        "response_schema": schema,
    }
    features = registry.get_spec(dialect.provider).features_of(dialect.model)
    parameters = {
        name: value
        for name, value in parameters.items()
        if Feature(name) in features and name not in dialect.one_of[1:]
    }
    call(
        request_to(
            agent_type="chat",
            messages=[
                {"role": "user", "content": "Hello, I am Ä."},
                {"role": "assistant", "content": "Hello Ä 🙂"},
            ],
            prompt="And now?",
            system_prompt="Be brief.",
            context={"order": {"id": 1, "note": "Ü"}},
            attachments=[{"media_type": "image/png", "data": PIXEL}],
            **parameters,
        ),
        stream=stream,
    )
    seen = dialect.seen(vendor.last)
    assert seen.model == dialect.model
    assert seen.system == "Be brief."
    assert seen.turns[:-1] == [("user", "Hello, I am Ä."), ("assistant", "Hello Ä 🙂")]
    role, text = seen.turns[-1]
    assert role == "user"
    head, _, block = text.partition("\n")
    assert head == "Context (JSON):"
    block, _, prompt = block.rpartition("\n\n")
    assert json.loads(block) == {"order": {"id": 1, "note": "Ü"}}
    assert prompt == "And now?"
    assert seen.files == [("image/png" if dialect.names_file_types else "", PIXEL)]
    assert seen.parameters == {**dialect.always_sent, **parameters}
    assert seen.key == CANARY
    assert seen.streamed is stream


def test_unset_parameters_are_not_sent(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(), stream=stream)
    call(request_to(), stream=stream)
    seen = dialect.seen(vendor.last)
    assert seen.parameters == dialect.always_sent
    assert seen.system is None
    assert seen.turns == [("user", "What is the capital of France?")]


def test_the_users_last_message_can_be_the_prompt(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    vendor.will(dialect.whole(Answer()))
    request = request_to(agent_type="chat", messages=[{"role": "user", "content": "Hi"}])
    del request["prompt"]
    call(request)
    assert dialect.seen(vendor.last).turns == [("user", "Hi")]


FILES = [
    (name, media_type)
    for name, dialect in DIALECTS.items()
    for media_type in ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf")
    if (Feature.DOCUMENTS if media_type == "application/pdf" else Feature.IMAGES)
    in registry.get_spec(name).features_of(dialect.model)
    and media_type not in registry.get_spec(name).unreadable
]


@pytest.mark.parametrize(("dialect", "media_type"), FILES, indirect=["dialect"])
def test_attachments(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, media_type: str
):
    vendor.will(dialect.whole(Answer()))
    call(request_to(attachments=[{"media_type": media_type, "data": PIXEL, "name": "file"}]))
    assert dialect.seen(vendor.last).files == [(media_type if dialect.names_file_types else "", PIXEL)]


UNREADABLE = [(name, kind) for name in DIALECTS for kind in sorted(registry.get_spec(name).unreadable)]


@pytest.mark.parametrize(("dialect", "media_type"), UNREADABLE, indirect=["dialect"])
def test_a_file_that_the_vendor_cannot_read_is_refused_by_name_unsent(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, media_type: str
):
    response = call(request_to(attachments=[{"media_type": media_type, "data": PIXEL}]))
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert media_type in response.error.message
    assert dialect.provider in response.error.message
    assert vendor.requests == []


REASONING = [name for name, dialect in DIALECTS.items() if dialect.reasoning_model is not None]


@pytest.mark.parametrize("dialect", REASONING, indirect=True)
def test_reasoning_model_takes_its_own_parameters(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    vendor.will(dialect.whole(Answer()))
    request = request_to(
        model_name=dialect.reasoning_model, max_tokens=500, reasoning_effort="low", system_prompt="Think."
    )
    assert call(request).error is None
    assert dialect.seen(vendor.last).parameters == {"max_tokens": 500, "reasoning_effort": "low"}


REFUSED = [(name, word) for name in REASONING for word in sorted(DIALECTS[name].refused_by_reasoning_model)]


@pytest.mark.parametrize(("dialect", "name"), REFUSED, indirect=["dialect"])
def test_a_parameter_that_the_model_cannot_take_is_refused_by_name_unsent(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, name: str
):
    value = {"temperature": 0.5, "top_p": 0.5, "stop": ["END"], "seed": 1}[name]
    response = call(request_to(model_name=dialect.reasoning_model, **{name: value}))
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert name in response.error.message
    assert str(dialect.reasoning_model) in response.error.message
    assert response.error.may_be_billed is False
    assert vendor.requests == []


@pytest.mark.parametrize("finish", ["stop", "length", None])
def test_finish_reason(
    vendor: VendorServer,
    dialect: Dialect,
    request_to: MakeRequest,
    call: Caller,
    stream: bool,
    finish: str | None,
):
    script(vendor, dialect, Answer(finish=finish), stream=stream)
    response = call(request_to(), stream=stream)
    if finish is None and stream and dialect.streams_end_with_the_reason:
        assert response.error is not None
        assert response.error.code == "BAD_PROVIDER_RESPONSE"
    else:
        assert response.error is None
    assert response.finish_reason == finish
    assert response.response == Answer().text


def test_missing_usage_is_unknown_not_zero(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(usage=None), stream=stream)
    response = call(request_to(), stream=stream)
    assert response.error is None
    assert response.token_usage is None
    assert response.to_wire()["token_usage"] is None


def test_usage_without_details(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    usage = TokenUsage(input_tokens=3, output_tokens=4, total_tokens=7)
    script(vendor, dialect, Answer(usage=usage), stream=stream)
    assert call(request_to(), stream=stream).token_usage == usage


def test_empty_answer(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(pieces=()), stream=stream)
    response = call(request_to(), stream=stream)
    assert response.error is None
    assert response.response == ""
    assert response.token_usage is not None


@pytest.mark.parametrize("dialect", [name for name, d in DIALECTS.items() if d.can_refuse], indirect=True)
def test_refusal_is_an_answer(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(pieces=("I'm sorry, ", "no."), refused=True), stream=stream)
    response = call(request_to(), stream=stream)
    assert response.error is None
    assert response.response == "I'm sorry, no."
    assert response.finish_reason == "content_filter"


@pytest.mark.parametrize("dialect", [name for name, d in DIALECTS.items() if d.can_filter], indirect=True)
def test_filtered_answer_is_an_error_with_its_text_and_its_bill(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    answer = Answer(finish="content_filter")
    script(vendor, dialect, answer, stream=stream)
    response = call(request_to(), stream=stream)
    assert response.error is not None
    assert response.error.code == "CONTENT_FILTERED"
    assert not response.error.retryable
    assert response.error.may_be_billed
    assert response.response == answer.text
    assert response.token_usage == dialect.told(answer).usage


def test_a_ten_megabyte_answer(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    script(vendor, dialect, Answer(pieces=["0123456789abcde\n" * 65_536] * 10), stream=stream)
    response = call(request_to(), stream=stream)
    assert response.error is None
    assert len(response.response or "") == 10 * 1024 * 1024


def test_text_of_every_script_arrives_as_it_was(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    pieces = ["naïve ", "日本語", "🙂👩‍👩‍👧", "\u2028", '"\\', "\r\n", "\x00\x1f", "עברית"]
    script(vendor, dialect, Answer(pieces=pieces), stream=stream)
    assert call(request_to(), stream=stream).response == "".join(pieces)


def test_connections_are_reused(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    for _ in range(5):
        script(vendor, dialect, Answer(), stream=stream)
        assert call(request_to(), stream=stream).error is None
    assert vendor.connections == 1


def test_models_are_listed_sorted(vendor: VendorServer, dialect: Dialect):
    vendor.otherwise(dialect.models(["zeta", "alpha", "beta"]))
    provider = registry.load(dialect.provider)
    connection = Connection(api_key=CANARY, **dialect.connection(vendor.url))
    models = provider.list_models(connection, Limits(timeout_seconds=20))
    assert [model.name for model in models] == ["alpha", "beta", "zeta"]
