"""What is Cohere's own; what every provider must do is in the contract suite."""

import base64
from typing import Any

import pytest
from cohere_dialect import CohereDialect

from agent_launcher_cohere.provider import root
from agent_launcher_cohere.spec import COHERE
from agent_launcher_cohere.wire import EventReader, read_answer, read_models, read_usage, render
from core.contract import AgentRequest, AgentResponse, TokenUsage, parse_request
from core.errors import InvalidRequest
from core.interruption import Limits
from core.invocation import invoke
from core.pricing import catalogue
from core.providers import registry
from core.providers.base import Connection, ModelInfo
from core.providers.spec import Feature
from tests.contract.dialects.base import Answer
from tests.support.vendor_server import Reply, VendorServer

KEY = "cohere-key-0123456789"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n not really").decode()
DIALECT = CohereDialect()


def request(**fields: Any) -> AgentRequest:
    payload = {"provider": "COHERE", "model_name": DIALECT.model, "api_key": KEY, "prompt": "Hello"}
    return parse_request({**payload, **fields}, providers=registry.specs())


def ask(vendor: VendorServer, *, stream: bool = False, **fields: Any) -> AgentResponse:
    asked = request(**{"base_url": vendor.url, "timeout_seconds": 20, **fields})
    return invoke(asked, (lambda _: None) if stream else None)


# The entry point


def test_it_is_registered_by_its_entry_point() -> None:
    assert registry.get_spec("COHERE") is COHERE
    assert "COHERE" not in {spec.name for spec in registry.BUILT_IN}


# What is sent


def test_a_plain_request_has_nothing_in_it_that_was_not_asked_for() -> None:
    assert render(request()) == {
        "model": DIALECT.model,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_parameters_have_coheres_names() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"], "default": None}}}
    asked = request(
        max_tokens=9,
        temperature=0,
        top_p=0.5,
        seed=3,
        stop=["END"],
        response_schema=schema,
        system_prompt="Short.",
    )
    assert render(asked) == {
        "model": DIALECT.model,
        "messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 9,
        "temperature": 0,
        "p": 0.5,
        "seed": 3,
        "stop_sequences": ["END"],
        "response_format": {"type": "json_object", "json_schema": schema},
    }


def test_the_sdk_sends_what_is_rendered_and_nothing_else(vendor: VendorServer) -> None:
    schema = {"type": "object", "properties": {"schema": {"type": "string", "default": None}}}
    fields: dict[str, Any] = {"response_schema": schema, "stop": ["\n"], "temperature": 0.5}
    vendor.will(DIALECT.whole(Answer()))
    assert ask(vendor, **fields).error is None
    assert vendor.last.json == {**render(request(**fields)), "stream": False}
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


def test_an_image_follows_the_text_of_its_turn() -> None:
    asked = request(attachments=[{"media_type": "image/png", "data": PIXEL}])
    assert render(asked)["messages"][-1]["content"] == [
        {"type": "text", "text": "Hello"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [
        ("none", {"type": "disabled"}),
        ("low", {"type": "enabled", "token_budget": 1_024}),
        ("high", {"type": "enabled", "token_budget": 16_384}),
        ("max", {"type": "enabled"}),
    ],
)
def test_effort_is_a_budget_to_think(effort: str, thinking: dict[str, Any]) -> None:
    assert render(request(reasoning_effort=effort))["thinking"] == thinking


def test_no_key_is_sent_to_a_server_that_wants_none(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "not-for-this-server")
    vendor.will(DIALECT.whole(Answer()))
    assert ask(vendor, api_key=None).error is None
    assert "authorization" not in vendor.last.headers


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v2", "/v2/", "/tenant/v2"])
def test_an_address_may_have_the_apis_version_in_it(vendor: VendorServer, path: str) -> None:
    vendor.will(DIALECT.whole(Answer()))
    assert ask(vendor, base_url=vendor.url + path).error is None
    assert vendor.last.path == ("/tenant/v2/chat" if "tenant" in path else "/v2/chat")


@pytest.mark.parametrize("address", ["https://host/v2?api-version=1", "https://host#x", "host:8080", ""])
def test_an_address_that_cannot_be_extended_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="CO_API_URL"):
        root(address)


def test_the_environment_may_name_the_server(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CO_API_URL", f"{vendor.url}/v1")
    monkeypatch.setenv("CO_API_KEY", KEY)
    vendor.will(DIALECT.whole(Answer()))
    assert ask(vendor, base_url=None, api_key=None).error is None
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


# What its models take


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        ("command-a-plus-05-2026", set[Feature]()),
        ("command-a-reasoning-08-2025", {Feature.IMAGES}),
        ("command-a-vision-07-2025", {Feature.REASONING_EFFORT}),
        ("command-a-03-2025", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("command-r7b-12-2024", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("c4ai-aya-expanse-32b", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("comes-later-01-2027", set[Feature]()),
    ],
)
def test_what_a_model_lacks(model: str, lacks: set[Feature]) -> None:
    assert COHERE.features - COHERE.features_of(model) == lacks


def test_an_effort_that_is_none_of_coheres_is_refused_unsent(vendor: VendorServer) -> None:
    response = ask(vendor, reasoning_effort="xhigh")
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert "low, medium, high, max" in response.error.message
    assert vendor.requests == []


# What comes back


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("COMES_LATER", "other"),
        (None, None),
    ],
)
def test_finish_reasons(word: str | None, reason: str | None) -> None:
    body = {"message": {"content": [{"type": "text", "text": "Yes."}]}, "finish_reason": word}
    assert read_answer(body).finish_reason == reason


def test_thinking_is_no_part_of_the_answer() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]
    assert read_answer({"message": {"content": blocks}}).text == "Yes."
    reader = EventReader()
    assert reader.add({"type": "content-delta", "delta": {"message": {"content": {"thinking": "Hm."}}}}) == ""
    assert (
        reader.add({"type": "content-delta", "delta": {"message": {"content": {"text": "Yes."}}}}) == "Yes."
    )
    assert reader.answer().text == "Yes."


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({"billed_units": {"input_tokens": 5}}, None),
        # The preamble that Cohere adds is nobody's to pay; a float is how its API writes a count.
        (
            {
                "billed_units": {"input_tokens": 5.0, "output_tokens": 7.0},
                "tokens": {"input_tokens": 71.0, "output_tokens": 7.0},
            },
            TokenUsage(input_tokens=5, output_tokens=7, total_tokens=12),
        ),
        (
            {"tokens": {"input_tokens": 71, "output_tokens": 7}, "cached_tokens": 64},
            TokenUsage(input_tokens=71, output_tokens=7, total_tokens=78, cached_input_tokens=64),
        ),
        # Cached are the preamble's tokens too: how many of those that are billed, nobody tells.
        (
            {"billed_units": {"input_tokens": 5, "output_tokens": 7}, "cached_tokens": 64},
            TokenUsage(input_tokens=5, output_tokens=7, total_tokens=12),
        ),
    ],
)
def test_tokens_are_those_that_are_billed(told: object, usage: TokenUsage | None) -> None:
    assert read_usage(told) == usage


@pytest.mark.parametrize(
    ("word", "code"), [("ERROR", "PROVIDER_UNAVAILABLE"), ("TIMEOUT", "PROVIDER_TIMEOUT")]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_failed_keeps_its_text_and_its_bill(
    vendor: VendorServer, stream: bool, word: str, code: str
) -> None:
    told = {"billed_units": {"input_tokens": 5, "output_tokens": 7}}
    if stream:
        delta = {"message": {"content": {"text": "Half an"}}}
        end = {"finish_reason": word, "error": f"out of luck with {KEY}", "usage": told}
        events = [{"type": "content-delta", "delta": delta}, {"type": "message-end", "delta": end}]
        vendor.will(Reply.sse(events, last=None))
    else:
        message = {"content": [{"type": "text", "text": "Half an"}]}
        vendor.will(Reply.json({"id": "1", "message": message, "finish_reason": word, "usage": told}))
    response = ask(vendor, stream=stream)
    assert response.error is not None
    assert response.error.code == code
    assert response.error.retryable
    assert KEY not in response.error.message
    assert ("out of luck" in response.error.message) is stream
    assert response.response == "Half an"
    assert response.token_usage is not None


@pytest.mark.parametrize(
    ("status", "words", "code", "retryable"),
    [
        (400, "too many tokens: size limit exceeded by 11326 tokens.", "CONTEXT_LENGTH_EXCEEDED", False),
        (400, "too many tokens: max tokens must be less than or equal to 4096", "INVALID_REQUEST", False),
        (422, "invalid request", "INVALID_REQUEST", False),
        (498, "deny-listed", "CONTENT_FILTERED", False),
        (499, "request cancelled", "PROVIDER_UNAVAILABLE", True),
    ],
)
def test_statuses_of_its_own(
    vendor: VendorServer, status: int, words: str, code: str, retryable: bool
) -> None:
    vendor.will(Reply.json({"id": "err-1", "message": words}, status=status))
    response = ask(vendor)
    assert response.error is not None
    assert (response.error.code, response.error.retryable) == (code, retryable)
    assert response.error.request_id == "err-1"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"message": "\\ud83d"}', b"\xff", b'{"id": 3, "message": [1]}']
)
def test_an_error_whose_body_is_strange_is_still_that_error(vendor: VendorServer, body: bytes) -> None:
    vendor.will(Reply.text(body, content_type="application/json", status=401))
    response = ask(vendor)
    assert response.error is not None
    assert response.error.code == "AUTHENTICATION_FAILED"


def test_the_models_that_chat_are_listed_with_their_windows(vendor: VendorServer) -> None:
    rows = [
        {"name": "embed-v4.0", "endpoints": ["embed"], "context_length": 128_000},
        {"name": "command-r", "endpoints": ["chat"], "context_length": 128_000.0, "is_deprecated": True},
        {"name": "command-a-03-2025", "endpoints": ["chat"], "context_length": 256_000},
        {"name": "tuned-ft"},
        "nonsense",
    ]
    assert read_models({"models": "nonsense"}) is None
    vendor.will(Reply.json({"models": rows}))
    connection = Connection(api_key=KEY, base_url=vendor.url)
    assert registry.load("COHERE").list_models(connection, Limits(timeout_seconds=20)) == [
        ModelInfo("command-a-03-2025", None, 256_000),
        ModelInfo("command-r", "deprecated", 128_000),
        ModelInfo("tuned-ft"),
    ]
    assert vendor.last.path == "/v1/models?page_size=1000&endpoint=chat"


# Its prices


@pytest.mark.parametrize("model", [COHERE.default_model, "command-r7b-12-2024", "command-r-plus-08-2024"])
def test_its_models_have_prices(model: str) -> None:
    found = catalogue.find_model("COHERE", model)
    assert found is not None
    assert found.input_usd_per_mtok
    assert found.output_usd_per_mtok


def test_a_model_without_a_known_price_has_none() -> None:
    assert catalogue.find_model("COHERE", "comes-later-01-2027") is None
