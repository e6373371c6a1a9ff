"""What is Anthropic's own: its models' rules, thinking, API versions, schemas, usage, refusals, odd servers."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from core.contract import AgentRequest, AgentResponse, TokenUsage, parse_request, utc_now
from core.errors import InvalidRequest
from core.interruption import Limits
from core.invocation import invoke
from core.pricing.catalogue import find_price
from core.pricing.cost import price_tokens
from core.pricing.overrides import NO_OVERRIDES
from core.providers import registry
from core.providers.anthropic import MAX_PAGES, AnthropicProvider
from core.providers.anthropic_answer import read_answer, read_usage
from core.providers.anthropic_wire import (
    API_VERSION,
    MAX_TOKENS_VARIABLE,
    SAMPLING_API_VERSION,
    api_version,
    closed,
    default_max_tokens,
    render,
)
from core.providers.base import Connection, ModelInfo
from core.providers.clients import MAX_CLIENTS
from core.providers.features import require_features
from core.providers.rows_anthropic import ANTHROPIC
from core.providers.spec import Feature
from core.settings import Settings
from tests.contract.dialects.anthropic import AnthropicDialect
from tests.contract.dialects.base import Answer, Failure
from tests.support.vendor_server import Reply, VendorServer

KEY = "sk-ant-canary-0123456789"
DIALECT = AnthropicDialect()
SAMPLING = {Feature.TEMPERATURE, Feature.TOP_P}


def request(**fields: Any) -> AgentRequest:
    payload = {"provider": "ANTHROPIC", "model_name": "claude-haiku-5-5", "api_key": KEY, "prompt": "Hello"}
    return parse_request({**payload, **fields}, providers=registry.specs())


def ask(vendor: VendorServer, *, stream: bool = False, **fields: Any) -> AgentResponse:
    asked = request(base_url=vendor.url, timeout_seconds=20, **fields)
    return invoke(asked, (lambda _: None) if stream else None)


# Rules of the models.

ALWAYS = [
    "claude-fable-5",
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-mythos-5-2",
    "claude-mythos-preview",
    "claude-opus-5-5",
    "anthropic/claude-opus-5.5",
]
OFF_BY = [
    ("claude-opus-5", "disabled"),
    ("claude-sonnet-5", "disabled"),
    ("claude-haiku-5-5", "disabled"),
    ("Claude-Haiku-5-5", "disabled"),
    ("claude-sonnet-5-5", "between_tools"),
    ("claude-opus-6", "disabled"),
    ("another-servers-model", "disabled"),
]
ADAPTIVE = ["claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-4.8"]
BUDGET = [
    "claude-3-7-sonnet-latest",
    "claude-opus-4-20250514",
    "claude-4-opus-20250514",
    "claude-sonnet-4-0",
    "claude-opus-4-1-20250805",
    "claude-haiku-4-5",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5",
    "claude-sonnet-4-5-20250929",
]
SAMPLE = [*BUDGET, "claude-opus-4-6", "claude-sonnet-4-6", "anthropic/claude-sonnet-4.6"]
SAMPLE_NEVER = [*ALWAYS, *(name for name, _ in OFF_BY[:-1]), "claude-opus-4-7", "claude-opus-4-8"]


@pytest.mark.parametrize("model", SAMPLE)
def test_models_up_to_4_6_sample_while_they_do_not_reason(model: str):
    assert ANTHROPIC.features_of(model) >= SAMPLING
    assert ANTHROPIC.features_of(model, reasoning_effort="none") >= SAMPLING
    assert not ANTHROPIC.features_of(model, reasoning_effort="low") & SAMPLING
    require_features(ANTHROPIC, request(model_name=model, temperature=0.5))
    with pytest.raises(InvalidRequest, match="temperature only with reasoning_effort 'none'"):
        require_features(ANTHROPIC, request(model_name=model, temperature=0.5, reasoning_effort="low"))


@pytest.mark.parametrize("model", SAMPLE_NEVER)
def test_newer_models_never_sample(model: str):
    features = ANTHROPIC.features_of(model, reasoning_effort="none")
    assert not features & SAMPLING
    assert features >= {Feature.STOP, Feature.RESPONSE_SCHEMA, Feature.DOCUMENTS, Feature.REASONING_EFFORT}
    with pytest.raises(InvalidRequest, match=r"does not take top_p"):
        require_features(ANTHROPIC, request(model_name=model, top_p=0.5))


def test_another_servers_own_models_take_everything():
    assert ANTHROPIC.features_of("deepseek-chat") == ANTHROPIC.features == set(Feature) - {Feature.SEED}


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        (
            "claude-2.1",
            {Feature.IMAGES, Feature.DOCUMENTS, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT},
        ),
        ("claude-3-haiku-20240307", {Feature.DOCUMENTS, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        ("claude-3-5-haiku-latest", {Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        ("claude-opus-4-1", {Feature.RESPONSE_SCHEMA}),
        ("claude-haiku-4-5", set[Feature]()),
    ],
)
def test_what_old_models_lack(model: str, lacks: set[Feature]):
    assert ANTHROPIC.features - ANTHROPIC.features_of(model) == lacks


# Thinking.


@pytest.mark.parametrize("model", [name for name, _ in OFF_BY] + ALWAYS)
def test_models_that_reason_unasked_are_told_how_much(model: str):
    body = render(request(model_name=model, reasoning_effort="max"), stream=False)
    assert body["output_config"] == {"effort": "max"}
    assert "thinking" not in body
    assert body["max_tokens"] == 2000


@pytest.mark.parametrize(("model", "kind"), OFF_BY)
def test_reasoning_is_switched_off_as_the_model_wants_it(model: str, kind: str):
    body = render(request(model_name=model, reasoning_effort="none"), stream=False)
    assert body["thinking"] == {"type": kind}
    assert "output_config" not in body


@pytest.mark.parametrize("model", ALWAYS)
def test_reasoning_that_nothing_switches_off(model: str):
    asked = request(model_name=model, reasoning_effort="none")
    with pytest.raises(InvalidRequest, match="'none'"):
        require_features(ANTHROPIC, asked)
    with pytest.raises(InvalidRequest, match="always reasons"):
        render(asked, stream=False)


@pytest.mark.parametrize("model", ADAPTIVE)
def test_models_that_reason_only_when_asked(model: str):
    body = render(request(model_name=model, reasoning_effort="minimal"), stream=False)
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "low"}
    for effort in ("none", None):
        body = render(request(model_name=model, reasoning_effort=effort), stream=False)
        assert not {"thinking", "output_config"} & body.keys()


def test_an_effort_that_came_later():
    with pytest.raises(InvalidRequest, match="'xhigh'"):
        require_features(ANTHROPIC, request(model_name="claude-opus-4-6", reasoning_effort="xhigh"))
    require_features(ANTHROPIC, request(model_name="claude-opus-4-7", reasoning_effort="xhigh"))


@pytest.mark.parametrize("model", BUDGET)
def test_models_that_reason_by_a_budget(model: str):
    body = render(request(model_name=model, reasoning_effort="medium"), stream=False)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 4096}
    assert body["max_tokens"] == 2000 + 4096
    assert "output_config" not in body
    assert "thinking" not in render(request(model_name=model, reasoning_effort="none"), stream=False)


def test_a_budget_has_to_fit_the_limit():
    model = "claude-haiku-4-5"
    body = render(request(model_name=model, reasoning_effort="low", max_tokens=1025), stream=False)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (1025, 1024)
    with pytest.raises(InvalidRequest, match="max_tokens") as caught:
        render(request(model_name=model, reasoning_effort="low", max_tokens=1024), stream=False)
    assert not caught.value.sent


# The body.


def test_the_whole_body():
    asked = request(
        model_name="claude-sonnet-5-5",
        system_prompt="Be brief.",
        stop=["END"],
        reasoning_effort="high",
        response_schema={"type": "object", "properties": {"a": {"type": "string"}}},
        attachments=[
            {"media_type": "image/webp", "data": "aW1n"},
            {"media_type": "application/pdf", "data": "cGRm", "name": "bill.pdf"},
            {"media_type": "application/pdf", "data": "cGRm"},
        ],
    )
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}
    assert render(asked, stream=True) == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 2000,
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/webp", "data": "aW1n"},
                    },
                    {"type": "document", "source": pdf, "title": "bill.pdf"},
                    {"type": "document", "source": pdf},
                    {"type": "text", "text": "Hello"},
                ],
            }
        ],
        "stop_sequences": ["END"],
        "output_config": {
            "effort": "high",
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}},
                    "additionalProperties": False,
                },
            },
        },
        "stream": True,
    }


def test_turns_of_one_role_in_a_row_are_sent_as_they_are():
    turns = [{"role": role, "content": text} for role, text in (("user", "a"), ("user", "b"))]
    body = render(request(agent_type="chat", messages=turns, prompt="c"), stream=False)
    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == [
        ("user", "a"),
        ("user", "b"),
        ("user", "c"),
    ]


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({}, None),
        ({"service_tier": "standard"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "global", "speed": "standard"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "not_available"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "us"}, "us"),
        ({"inference_geo": "us", "speed": "fast"}, "us fast"),
        ({"service_tier": "priority", "inference_geo": "us"}, "priority us"),
    ],
)
def test_inference_in_one_geography_is_a_tier_whose_price_is_unknown(told: dict[str, Any], tier: str | None):
    answer = read_answer(
        {
            "content": [],
            "usage": {"input_tokens": 1_000, "output_tokens": 1_000, **told},
            "stop_reason": "end_turn",
        }
    )
    assert answer.service_tier == tier
    price = find_price(
        "ANTHROPIC", "claude-opus-5-5", at=utc_now(), overrides=NO_OVERRIDES, service_tier=answer.service_tier
    )
    assert (price is not None) == (tier in (None, "standard"))


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({}, API_VERSION),
        ({"stop": ["END"], "max_tokens": 5}, API_VERSION),
        ({"temperature": 0.0}, SAMPLING_API_VERSION),
        ({"temperature": 1.0}, SAMPLING_API_VERSION),
        ({"top_p": 0.5}, SAMPLING_API_VERSION),
    ],
)
def test_only_what_samples_is_sent_by_the_version_before(fields: dict[str, Any], version: str):
    asked = request(model_name="claude-sonnet-4-6", **fields)
    assert api_version(render(asked, stream=False)) == version


def test_temperature_and_top_p_together_are_refused_unsent(vendor: VendorServer):
    response = ask(vendor, model_name="claude-sonnet-4-6", temperature=0.5, top_p=0.5)
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert "temperature or top_p, not both" in response.error.message
    assert response.error.may_be_billed is False
    assert vendor.requests == []


@pytest.mark.parametrize("model", ["claude-sonnet-4-20250514", "claude-3-7-sonnet-latest", "deepseek-chat"])
def test_models_that_take_both_get_both(model: str):
    body = render(request(model_name=model, temperature=0.5, top_p=0.25), stream=False)
    assert (body["temperature"], body["top_p"]) == (0.5, 0.25)


def test_the_default_of_max_tokens_is_a_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MAX_TOKENS_VARIABLE, " 4096 ")
    assert render(request(), stream=False)["max_tokens"] == 4096
    assert render(request(max_tokens=7), stream=False)["max_tokens"] == 7
    monkeypatch.setenv(MAX_TOKENS_VARIABLE, "")
    [row] = [row for row in fields(Settings) if row.name == "default_max_tokens"]
    assert row.metadata["variable"] == MAX_TOKENS_VARIABLE
    assert default_max_tokens() == row.default == 2000


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "²", "10000001"])
def test_a_default_of_max_tokens_that_is_none(value: str):
    with pytest.raises(InvalidRequest, match=MAX_TOKENS_VARIABLE):
        default_max_tokens({MAX_TOKENS_VARIABLE: value})


def test_open_objects_of_a_schema_are_closed_wherever_they_are():
    inner = {"type": "object", "properties": {"x": {"type": "string"}}}
    shut = {**inner, "additionalProperties": False}
    schema: dict[str, Any] = {
        "type": ["object", "null"],
        "$defs": {"d": inner},
        "properties": {
            "a": inner,
            "b": {"type": "array", "items": inner},
            "c": {"anyOf": [inner, {"type": "null"}]},
            "properties": {"type": "string", "enum": ["properties"]},
            "open": {"type": "object", "additionalProperties": True},
            "odd": True,
        },
    }
    before = repr(schema)
    assert closed(schema) == {
        "type": ["object", "null"],
        "$defs": {"d": shut},
        "properties": {
            "a": shut,
            "b": {"type": "array", "items": shut},
            "c": {"anyOf": [shut, {"type": "null"}]},
            "properties": {"type": "string", "enum": ["properties"]},
            "open": {"type": "object", "additionalProperties": True},  # asked for: the vendor's to refuse
            "odd": True,
        },
        "additionalProperties": False,
    }
    assert repr(schema) == before


# Usage and money.


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, (3, 4, None, None, None)),
        (
            {
                "input_tokens": 3,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 40,
                "output_tokens_details": {"thinking_tokens": 30},
            },
            (123, 40, 100, 20, 30),
        ),
        ({"input_tokens": 3, "cache_read_input_tokens": 0, "output_tokens": 4}, (3, 4, 0, None, None)),
        ({"input_tokens": 3}, None),
        ({"output_tokens": 3}, None),
        ({"input_tokens": -1, "output_tokens": 3}, None),
        ({"input_tokens": 1, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}}, None),
    ],
)
def test_usage(told: dict[str, Any], usage: tuple[int | None, ...] | None):
    read = read_usage(told)
    if usage is None:
        assert read is None
    else:
        assert read is not None
        assert read.total_tokens == read.input_tokens + read.output_tokens
        assert usage == (
            read.input_tokens,
            read.output_tokens,
            read.cached_input_tokens,
            read.cache_write_input_tokens,
            read.reasoning_tokens,
        )


def test_a_stream_without_its_last_count_has_no_usage(vendor: VendorServer):
    """What the first event says of output is only where the count begins."""
    first, *pieces, stop, _, end = DIALECT.events(Answer())
    last = b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    vendor.will(DIALECT.streamed([first, *pieces, stop, last, end]))
    response = ask(vendor, stream=True)
    assert response.error is None
    assert response.finish_reason == "stop"
    assert response.token_usage is None


USAGE = TokenUsage(
    input_tokens=10_000,
    output_tokens=1_000,
    total_tokens=11_000,
    cached_input_tokens=4_000,
    cache_write_input_tokens=2_000,
)


@pytest.mark.parametrize(
    ("model", "nanousd"),
    [
        # The catalogue's dollars per million: input, cache read, cache write, output.
        ("claude-haiku-5-5", 4_000 * 100 + 4_000 * 10 + 2_000 * 125 + 1_000 * 500),
        ("claude-sonnet-5-5", 4_000 * 2_000 + 4_000 * 100 + 2_000 * 2_500 + 1_000 * 10_000),
        ("claude-opus-5-5", 4_000 * 4_000 + 4_000 * 200 + 2_000 * 5_000 + 1_000 * 20_000),
    ],
)
def test_models_have_a_price_with_their_cached_tokens(model: str, nanousd: int):
    cost = price_tokens(
        "ANTHROPIC",
        model,
        USAGE,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        overrides=NO_OVERRIDES,
        service_tier="standard",
    )
    assert cost is not None
    assert cost.total_nanousd == nanousd


def test_the_default_model_is_priced():
    assert ANTHROPIC.default_model == "claude-haiku-5-5"


# Answers.


def message(**fields: Any) -> Reply:
    whole = {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2, "service_tier": "priority"},
    }
    return Reply.json({**whole, **fields})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "other"),
        ("what_comes_next", "other"),
    ],
)
def test_stop_reasons(vendor: VendorServer, said: str, reason: str):
    vendor.will(message(stop_reason=said))
    response = ask(vendor)
    assert response.error is None
    assert response.response == "Hi"
    assert response.finish_reason == reason
    assert response.service_tier == "priority"


@pytest.mark.parametrize("details", [None, {}, {"type": "refusal", "category": None, "explanation": None}])
def test_a_refusal_without_a_word(vendor: VendorServer, details: object):
    vendor.will(message(content=[], stop_reason="refusal", stop_details=details))
    response = ask(vendor)
    assert response.error is None
    assert response.response == ""
    assert response.finish_reason == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_in_the_middle_keeps_the_text_and_not_the_explanation(vendor: VendorServer, stream: bool):
    details = {"type": "refusal", "category": "cyber", "explanation": "It could enable harm."}
    if stream:
        first, *pieces, stop, _, end = DIALECT.events(Answer(pieces=("Hello..",)))
        last = AnthropicDialect().events(Answer(pieces=("It could enable harm.",), refused=True))[1]
        vendor.will(DIALECT.streamed([first, *pieces, stop, last, end]))
    else:
        content = [{"type": "text", "text": "Hello.."}]
        vendor.will(message(content=content, stop_reason="refusal", stop_details=details))
    response = ask(vendor, stream=stream)
    assert response.error is not None
    assert response.error.code == "CONTENT_FILTERED"
    assert response.response == "Hello.."
    assert response.token_usage is not None


def test_only_text_is_shown(vendor: VendorServer):
    vendor.will(
        message(
            content=[
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                {"type": "text", "text": "One, "},
                {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}},
                {"type": "text", "text": "two."},
                {"type": "something_new", "text": "not this"},
                "nor this",
            ]
        )
    )
    assert ask(vendor).response == "One, two."


def sse(*events: str) -> Reply:
    return Reply.sse([f"data: {event}\n\n".encode() for event in events], last=None)


def test_thinking_and_unknown_events_bring_no_text(vendor: VendorServer):
    vendor.will(
        sse(
            '{"type":"message_start","message":{"model":"m","usage":{"input_tokens":1,"output_tokens":1}}}',
            '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}',
            '{"type":"ping"}',
            '{"type":"what_comes_next","delta":{"text":"no"}}',
            '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"H"}}',
            '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"i"}}',
            '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","text":"no"}}',
            '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}',
            '{"type":"message_stop"}',
        )
    )
    response = ask(vendor, stream=True)
    assert response.response == "Hi"
    assert response.token_usage == TokenUsage(input_tokens=1, output_tokens=9, total_tokens=10)


@pytest.mark.parametrize("left_out", [1, 2, 3])
def test_a_stream_is_complete_only_with_its_end_mark(vendor: VendorServer, left_out: int):
    vendor.will(DIALECT.streamed(DIALECT.events(Answer())[:-left_out]))
    response = ask(vendor, stream=True)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert response.response == Answer().text


def test_an_end_mark_alone_is_no_answer(vendor: VendorServer):
    vendor.will(sse('{"type":"message_stop"}'))
    response = ask(vendor, stream=True)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"


def test_a_server_that_cannot_stream(vendor: VendorServer):
    vendor.will(DIALECT.whole(Answer()))
    response = ask(vendor, stream=True)
    assert response.error is None
    assert response.response == Answer().text


# Errors.


@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        ("overloaded_error", "PROVIDER_UNAVAILABLE", True),
        ("timeout_error", "PROVIDER_UNAVAILABLE", True),
        ("rate_limit_error", "RATE_LIMITED", True),
        ("billing_error", "RATE_LIMITED", False),
        ("permission_error", "PERMISSION_DENIED", False),
        ("not_found_error", "MODEL_NOT_FOUND", False),
        ("request_too_large", "INVALID_REQUEST", False),
        ("what_comes_next", "PROVIDER_UNAVAILABLE", True),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_within_a_success(vendor: VendorServer, kind: str, code: str, retryable: bool, stream: bool):
    body = {"type": "error", "error": {"type": kind, "message": "Not now"}, "request_id": "r"}
    vendor.will(Reply.sse([body], last=None) if stream else Reply.json(body))
    response = ask(vendor, stream=stream)
    assert response.error is not None
    assert (response.error.code, response.error.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (
            400,
            {"message": "input length and `max_tokens` exceed context limit: 9 + 9 > 10"},
            "CONTEXT_LENGTH",
        ),
        (400, {"message": "Your credit balance is too low to access the Anthropic API."}, "RATE_LIMITED"),
        (400, {"message": "You have reached your specified API usage limits."}, "RATE_LIMITED"),
        (429, {"details": {"error_code": "enforced_spend_limit_reached"}}, "RATE_LIMITED"),
        (402, {"details": {"error_code": "linked_organization_spend_limit_reached"}}, "RATE_LIMITED"),
    ],
)
def test_errors_that_trying_again_does_not_help(
    vendor: VendorServer, status: int, error: dict[str, Any], code: str
):
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "No.", **error}}
    vendor.will(Reply.json(body, status=status))
    response = ask(vendor)
    assert response.error is not None
    assert response.error.code.startswith(code)
    assert not response.error.retryable


def test_words_mean_nothing_but_where_there_is_nothing_else(vendor: VendorServer):
    """A parameter that is wrong stays one, whatever the vendor quotes of it."""
    words = "stop_sequences: 'prompt is too long' is not allowed"
    vendor.will(DIALECT.failure(Failure.BAD_PARAMETER, message=words))
    response = ask(vendor)
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert words in response.error.message


def test_a_filter_that_cuts_a_stream(vendor: VendorServer):
    first, piece, *_ = DIALECT.events(Answer())
    vendor.will(DIALECT.streamed([first, piece, DIALECT.error_event(Failure.PROMPT_FILTERED)]))
    response = ask(vendor, stream=True)
    assert response.error is not None
    assert response.error.code == "CONTENT_FILTERED"
    assert "cut the answer" in response.error.message
    assert response.response == Answer().pieces[0]


# Keys and addresses.


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_version_in_the_address_is_the_sdks_own(vendor: VendorServer, suffix: str):
    vendor.will(DIALECT.whole(Answer()))
    assert invoke(request(base_url=f"{vendor.url}{suffix}", timeout_seconds=20)).error is None
    assert vendor.last.path == "/v1/messages"


def test_a_path_and_a_query_in_the_address_are_kept(vendor: VendorServer):
    vendor.will(DIALECT.whole(Answer()))
    assert invoke(request(base_url=f"{vendor.url}/anthropic?team=7", timeout_seconds=20)).error is None
    assert vendor.last.path == "/anthropic/v1/messages?team=7"


@pytest.mark.parametrize("sampling", [False, True])
def test_a_server_that_wants_no_key_gets_none(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, sampling: bool
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    # A name of this machine would get the environment's key: it is sent there.
    provider = AnthropicProvider()
    client = provider.client("no-key", vendor.url)
    assert client.api_key == "no-key"
    assert client.auth_token is None
    vendor.will(DIALECT.whole(Answer()))
    fields: dict[str, Any] = {"temperature": 0.5, "model_name": "claude-sonnet-4-6"} if sampling else {}
    payload = {**fields, "api_key": None}
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert ask(vendor, **payload).error is None
    assert not {"authorization", "x-api-key"} & vendor.last.headers.keys()


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_custom_headers_replace_no_key_and_go_to_no_server_of_the_requests_choice(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, name: str
):
    secret = "gateway-secret-of-this-machine"
    headers = f"X-Gateway: {secret}\n{name}: Bearer {secret}\nX-Api-Key: {secret}\nno header"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", headers)
    monkeypatch.setattr("core.providers.keys.is_this_machine", lambda _url: False)
    provider, key = registry.load("ANTHROPIC"), f"{KEY}-with-{name}"
    vendor.will(DIALECT.whole(Answer()), DIALECT.whole(Answer()))
    provider.complete(request(base_url=vendor.url, api_key=key), Limits(timeout_seconds=20))
    assert secret not in str(vendor.last.headers)
    assert vendor.last.headers["authorization"] == f"Bearer {key}"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", vendor.url)
    provider.complete(request(api_key=key), Limits(timeout_seconds=20))
    assert vendor.last.headers["x-gateway"] == secret
    assert vendor.last.headers["authorization"] == f"Bearer {key}"
    assert "x-api-key" not in vendor.last.headers


def test_clients_are_reused_and_few():
    provider = AnthropicProvider()
    first = provider.client(KEY, "http://127.0.0.1:1")
    assert provider.client(KEY, "http://127.0.0.1:1") is first
    for number in range(MAX_CLIENTS):
        provider.client(f"key-{number}", "http://127.0.0.1:1")
    assert provider.client(KEY, "http://127.0.0.1:1") is not first


# The list of models.


def models(vendor: VendorServer) -> Sequence[ModelInfo]:
    connection = Connection(api_key=KEY, base_url=vendor.url)
    return registry.load("ANTHROPIC").list_models(connection, Limits(timeout_seconds=20))


def test_models_of_all_pages(vendor: VendorServer):
    row = {"type": "model", "lifecycle": "active"}
    vendor.will(
        Reply.json(
            {
                "data": [
                    {**row, "id": "b", "display_name": "Bee", "max_input_tokens": 1_000_000},
                    {**row, "id": "old", "lifecycle": "retired"},
                    {"type": "model"},
                ],
                "has_more": True,
                "last_id": "old",
            }
        ),
        Reply.json(
            {"data": [{**row, "id": "a", "max_input_tokens": None}], "has_more": False, "last_id": "a"}
        ),
    )
    assert list(models(vendor)) == [ModelInfo("a"), ModelInfo("b", "Bee", 1_000_000)]
    assert [r.path for r in vendor.requests] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=old",
    ]


def test_a_list_of_models_without_an_end_ends(vendor: VendorServer):
    numbers = iter(range(1_000))

    def page(_: object) -> Reply:
        name = f"m{next(numbers)}"
        return Reply.json({"data": [{"id": name}], "has_more": True, "last_id": name})

    vendor.otherwise(page)
    assert len(models(vendor)) == len(vendor.requests) == MAX_PAGES
