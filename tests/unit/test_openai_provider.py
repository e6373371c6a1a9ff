"""What is OpenAI's own: rules of its models, strict schemas, keys and addresses, odd compatible servers."""

import json
from dataclasses import replace
from typing import Any

import pytest

from core.contract import AgentRequest, parse_request
from core.errors import InvalidRequest, MissingApiKey
from core.interruption import Limits
from core.invocation import invoke
from core.providers import registry
from core.providers.base import Connection
from core.providers.clients import MAX_CLIENTS
from core.providers.features import require_features
from core.providers.keys import resolve_api_key
from core.providers.openai import OpenAIProvider
from core.providers.openai_wire import render, strict_schema_faults
from core.providers.rows_demo import DEMO
from core.providers.rows_openai import OPENAI
from core.providers.spec import Feature
from tests.support.vendor_server import Reply, VendorServer

KEY = "sk-canary-0123456789"


def request(**fields: Any) -> AgentRequest:
    payload = {"provider": "OPENAI", "model_name": "gpt-4o", "api_key": KEY, "prompt": "Hello", **fields}
    return parse_request(payload, providers=registry.specs())


# Rules of the models.

REASONING = [
    "o1",
    "o1-2024-12-17",
    "o3",
    "o3-mini",
    "o3-pro",
    "o4-mini",
    "o4-mini-2025-04-16",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano-2025-08-07",
    "gpt-5-pro",
    "gpt-5.1",
    "gpt-5.1-codex",
    "gpt-5.2",
    "gpt-5.4-mini",
    "gpt-5.5",
    "gpt-6-sol",
    "gpt-6.1-terra",
    "gpt-10",
    "openai/gpt-5",
    "GPT-5",
    "ft:o4-mini:org::id",
]
CHAT = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-nano",
    "gpt-4",
    "gpt-3.5-turbo",
    "chatgpt-4o-latest",
    "ft:gpt-4o-mini-2024-07-18:org::id",
]
OTHERS = ["llama3.1", "openai/gpt-oss-20b", "mistral-large", "o-model", "qwen3", "my-gpt-5", "openchat"]


@pytest.mark.parametrize("model", REASONING)
def test_reasoning_models(model: str):
    features = OPENAI.features_of(model)
    assert not features & {Feature.TEMPERATURE, Feature.TOP_P, Feature.STOP}
    assert features >= {Feature.REASONING_EFFORT, Feature.MAX_TOKENS, Feature.SEED, Feature.RESPONSE_SCHEMA}
    body = render(request(model_name=model, max_tokens=7), stream=False)
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


@pytest.mark.parametrize("model", CHAT)
def test_chat_models(model: str):
    features = OPENAI.features_of(model)
    assert features >= {Feature.TEMPERATURE, Feature.TOP_P, Feature.STOP, Feature.SEED, Feature.MAX_TOKENS}
    assert Feature.REASONING_EFFORT not in features
    assert render(request(model_name=model, max_tokens=7), stream=False)["max_tokens"] == 7


@pytest.mark.parametrize("model", OTHERS)
def test_models_of_other_servers_take_everything(model: str):
    assert OPENAI.features_of(model) == OPENAI.features
    assert render(request(model_name=model, max_tokens=7), stream=False)["max_tokens"] == 7


def test_the_open_models_read_text_alone_at_openai_and_what_a_gateway_lets_them():
    assert OPENAI.features - OPENAI.features_of("gpt-oss-20b") == {Feature.IMAGES, Feature.DOCUMENTS}
    assert OPENAI.features_of("gpt-oss-20b", base_url="http://gateway/v1") == OPENAI.features


def test_another_server_may_call_its_model_gpt_4():
    vision = request(
        model_name="gpt-4",
        base_url="http://127.0.0.1:1/v1",
        attachments=[{"media_type": "image/png", "data": "aGk="}],
    )
    require_features(OPENAI, vision)
    with pytest.raises(InvalidRequest, match="images"):
        require_features(OPENAI, vision.model_copy(update={"base_url": None}))
    assert Feature.IMAGES in OPENAI.features_of("gpt-4", base_url="http://127.0.0.1:1/v1")


def test_the_environments_server_may_call_its_model_gpt_4_too(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")
    asked = request(
        model_name="gpt-4",
        attachments=[{"media_type": "image/png", "data": "aGk="}],
        response_schema={"type": "object"},
        reasoning_effort="low",
    )
    assert OPENAI.features_of("gpt-4") == OPENAI.features
    vendor.will(Reply.json({"choices": [{"message": {"content": "Hi"}}]}))
    assert invoke(asked).response == "Hi"
    body = json.loads(vendor.last.body)
    assert (body["reasoning_effort"], body["response_format"]["type"]) == ("low", "json_schema")


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "https://api.openai.com/v1/", " "])
def test_the_vendors_own_address_is_the_vendor_wherever_it_is_said(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    assert OPENAI.base_url_in_force() is None
    assert Feature.IMAGES not in OPENAI.features_of("gpt-4")
    if address.strip():
        assert Feature.IMAGES not in OPENAI.features_of("gpt-4", base_url=address)


def test_a_requests_address_goes_before_the_environments():
    environment = {"OPENAI_BASE_URL": "https://gateway.example/v1/"}
    assert OPENAI.base_url_in_force(None, environment) == "https://gateway.example/v1"
    assert OPENAI.base_url_in_force("https://own.example", environment) == "https://own.example"
    assert OPENAI.base_url_in_force(OPENAI.own_base_url, environment) is None
    assert OPENAI.base_url_in_force(None, {}) is None
    assert DEMO.base_url_in_force(None, environment) is None


def test_sampling_is_possible_while_reasoning_is_off():
    assert Feature.TEMPERATURE in OPENAI.features_of("gpt-5.2", reasoning_effort="none")
    require_features(OPENAI, request(model_name="gpt-5.2", temperature=0.5, reasoning_effort="none"))
    with pytest.raises(InvalidRequest, match=r"temperature.*only with reasoning_effort 'none'"):
        require_features(OPENAI, request(model_name="gpt-5.2", temperature=0.5))
    with pytest.raises(InvalidRequest, match="temperature"):
        require_features(OPENAI, request(model_name="gpt-5", temperature=0.5, reasoning_effort="none"))


@pytest.mark.parametrize(
    "model",
    [
        *("o1", "o1-pro", "o1-pro-2025-03-19", "o3", "o3-2025-04-16", "o3-pro", "o3-pro-2025-06-10"),
        *("o3-mini", "o3-mini-2025-01-31", "o3-deep-research", "o3-deep-research-2025-06-26"),
        *("o4-mini", "o4-mini-deep-research", "openai/o3-pro", "ft:o4-mini:org::id"),
        *("gpt-5", "gpt-5-2025-08-07", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "gpt-5-codex"),
        *("gpt-5-search-api", "gpt-5.1-codex-max", "gpt-5.2-pro", "gpt-5.3-codex", "gpt-5.4-pro"),
    ],
)
def test_a_model_that_always_reasons_is_not_said_to_sample_without(model: str):
    for effort in (None, "none", "high"):
        fields = {} if effort is None else {"reasoning_effort": effort}
        with pytest.raises(InvalidRequest) as caught:
            require_features(OPENAI, request(model_name=model, temperature=0.5, **fields))
        assert caught.value.message == (
            f"The model {model} does not take temperature. Leave it out, or choose another model."
        )


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4-mini", "gpt-5.5", "gpt-6-sol"])
def test_a_model_that_may_stop_reasoning_samples_then(model: str):
    assert Feature.TEMPERATURE in OPENAI.features_of(model, reasoning_effort="none")
    with pytest.raises(InvalidRequest, match="only with reasoning_effort 'none'"):
        require_features(OPENAI, request(model_name=model, temperature=0.5))


def test_chat_variants_of_reasoning_generations():
    features = OPENAI.features_of("gpt-5-chat-latest")
    assert Feature.TEMPERATURE in features
    assert Feature.REASONING_EFFORT not in features


def test_every_refused_parameter_is_named_at_once():
    with pytest.raises(InvalidRequest, match="stop, temperature, top_p"):
        require_features(OPENAI, request(model_name="o3", temperature=1, top_p=1, stop=["x"], seed=1))


# Structured output.

STRICT: dict[str, Any] = {
    "title": "My Answer!",
    "type": "object",
    "properties": {
        "a": {"type": ["string", "null"]},
        "b": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "c": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    },
    "required": ["a", "b", "c"],
    "additionalProperties": False,
    "$defs": {
        "item": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    },
}


def test_a_schema_that_can_be_guaranteed_is_strict():
    assert strict_schema_faults(STRICT) == []
    body = render(request(response_schema=STRICT), stream=False)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "My_Answer", "schema": STRICT, "strict": True},
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"required": ["a", "b"]}, "does not require c"),
        ({"additionalProperties": True}, "additionalProperties"),
        ({"type": "array"}, "root is not of type"),
        ({"allOf": []}, "allOf"),
        ({"properties": {"a": {"oneOf": []}}, "required": ["a"]}, "root.a uses 'oneOf'"),
        ({"properties": {"a": {"type": "object"}}, "required": ["a"]}, "root.a does not say"),
        ({"properties": {"a": {"items": {"type": "object"}}}, "required": ["a"]}, "root.a[]"),
        ({"properties": {"a": 3}, "required": ["a"]}, "root.a is not a schema"),
        ({"$defs": {"item": {"not": {}}}}, "$defs.item uses 'not'"),
    ],
)
def test_any_other_schema_guides_without_a_guarantee(change: dict[str, Any], fault: str):
    schema = STRICT | change
    assert any(fault in text for text in strict_schema_faults(schema))
    form = render(request(response_schema=schema), stream=False)["response_format"]["json_schema"]
    assert form["strict"] is False
    assert form["schema"] == schema


def test_a_schema_nested_without_end_is_looked_at_in_part():
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(80):
        schema = {
            "type": "object",
            "properties": {"a": schema},
            "required": ["a"],
            "additionalProperties": False,
        }
    assert any("nested more than" in fault for fault in strict_schema_faults(schema))


@pytest.mark.parametrize("title", [None, "", "!!!", 3, "ä" * 100])
def test_a_schema_always_has_a_name(title: object):
    form = render(request(response_schema=STRICT | {"title": title}), stream=False)["response_format"]
    assert form["json_schema"]["name"] == "answer"


# Keys and addresses.


def key_for(environment: dict[str, str], **fields: str) -> str | None:
    return resolve_api_key(OPENAI, Connection(**fields), environment)


def test_the_requests_own_key_comes_first():
    assert (
        key_for({"OPENAI_API_KEY": "sk-env", "MINE": "sk-mine"}, api_key="sk-own", api_key_ref="env:MINE")
        == "sk-own"
    )
    assert key_for({"OPENAI_API_KEY": "sk-env", "MINE": "sk-mine"}, api_key_ref="env:MINE") == "sk-mine"
    assert key_for({"OPENAI_API_KEY": "sk-env"}, api_key=" ") == "sk-env"


def test_a_missing_key_says_what_to_do():
    with pytest.raises(MissingApiKey) as caught:
        key_for({})
    assert caught.value.message == (
        "API key required for OPENAI. Add one under Settings > Credentials, or set OPENAI_API_KEY. "
        "The offline demo (DEMO) works without a key."
    )
    with pytest.raises(MissingApiKey, match="MINE"):
        key_for({"OPENAI_API_KEY": "sk-env"}, api_key_ref="env:MINE")


def test_the_environments_key_goes_to_no_server_that_a_request_names():
    environment = {"OPENAI_API_KEY": "sk-env", "OPENAI_BASE_URL": "https://gateway.example/v1"}
    assert key_for(environment, base_url="https://evil.example/v1") is None
    assert key_for(environment, base_url="https://gateway.example/v1") == "sk-env"
    assert key_for(environment, base_url="http://127.0.0.1:8000/v1") == "sk-env"
    assert key_for(environment, base_url="http://localhost:8000/v1") == "sk-env"
    assert key_for(environment, base_url="https://gateway.example/v1/") == "sk-env"
    assert key_for({"OPENAI_API_KEY": "sk-env"}, base_url="https://api.openai.com/v1") == "sk-env"
    assert key_for({"OPENAI_API_KEY": "sk-env"}, base_url="https://api.openai.com.evil.example/v1") is None
    with pytest.raises(MissingApiKey):
        key_for({}, base_url="https://api.openai.com/v1")
    assert key_for(environment, base_url="http://127.0.0.1.evil.example/v1") is None
    assert key_for(environment, base_url="http://localhost.evil.example/v1") is None


def test_a_reference_to_a_vendors_own_key_leads_it_to_no_other_server():
    environment = {"OPENAI_API_KEY": "sk-env", "ANTHROPIC_API_KEY": "sk-ant", "MINE": "sk-mine"}
    elsewhere = "https://evil.example/v1"
    with pytest.raises(InvalidRequest, match="names OPENAI_API_KEY, a vendor's own key"):
        key_for(environment, api_key_ref="env:OPENAI_API_KEY", base_url=elsewhere)
    with pytest.raises(InvalidRequest, match="names ANTHROPIC_API_KEY, a vendor's own key"):
        key_for(environment, api_key_ref="env:ANTHROPIC_API_KEY", base_url=elsewhere)
    with pytest.raises(InvalidRequest, match="ANTHROPIC_API_KEY"):
        key_for(environment, api_key_ref="env:ANTHROPIC_API_KEY")
    assert key_for(environment, api_key_ref="env:OPENAI_API_KEY") == "sk-env"
    assert (
        key_for(environment, api_key_ref="env:OPENAI_API_KEY", base_url="http://localhost:1/v1") == "sk-env"
    )
    assert key_for(environment, api_key_ref="env:MINE", base_url=elsewhere) == "sk-mine"


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AGENT_LAUNCHER_SECRET_KEY", "DATABASE_URL", "PGPASSWORD"]
)
def test_a_request_cannot_name_this_installations_secrets(name: str):
    with pytest.raises(InvalidRequest, match=name):
        key_for({name: "secret"}, api_key_ref=f"env:{name}")


def test_a_server_that_wants_no_key_gets_none(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    vendor.will(Reply.json({"choices": [{"message": {"content": "Hi"}}]}), Reply.json({}, status=401))
    keyless = request(api_key=None, base_url=f"{vendor.url}/v1")
    assert invoke(keyless).response == "Hi"
    assert "authorization" not in vendor.last.headers
    error = invoke(keyless).error
    assert error is not None
    assert error.code == "AUTHENTICATION_FAILED"
    assert "none was sent" in error.message


def test_the_environments_address_is_used(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/gateway/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    vendor.will(Reply.json({"choices": [{"message": {"content": "Hi"}}]}))
    assert invoke(request(api_key=None)).response == "Hi"
    assert vendor.last.path == "/gateway/v1/chat/completions"
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


def test_a_query_in_the_address_is_kept(vendor: VendorServer):
    """As Azure wants it."""
    vendor.will(Reply.json({"choices": [{"message": {"content": "Hi"}}]}))
    assert invoke(request(base_url=f"{vendor.url}/v1?api-version=1")).response == "Hi"
    assert vendor.last.path == "/v1/chat/completions?api-version=1"


def test_clients_are_kept_and_bounded():
    provider = OpenAIProvider()
    first = provider.client("sk-1", "https://a.example/v1")
    assert provider.client("sk-1", "https://a.example/v1") is first
    assert provider.client("sk-2", "https://a.example/v1") is not first
    assert provider.client("sk-1", "https://b.example/v1") is not first
    assert first.max_retries == 0
    for number in range(MAX_CLIENTS):
        provider.client(f"sk-{number + 10}", "https://a.example/v1")
    assert provider.client("sk-1", "https://a.example/v1") is not first


def test_the_detail_for_the_log_holds_no_key(vendor: VendorServer):
    vendor.will(Reply.json({"error": {"message": f"key {KEY}", "param": KEY, "code": KEY}}, status=400))
    with pytest.raises(InvalidRequest) as caught:
        registry.load("OPENAI").complete(request(base_url=f"{vendor.url}/v1"), Limits(timeout_seconds=10))
    assert caught.value.detail
    assert KEY not in caught.value.detail + caught.value.message


# Compatible servers, as they are.


def answer_to(vendor: VendorServer, reply: Reply, *, stream: bool = False):
    vendor.will(reply)
    deltas: list[str] = []
    return invoke(request(base_url=f"{vendor.url}/v1"), deltas.append if stream else None)


def test_content_in_parts(vendor: VendorServer):
    parts = [
        {"type": "text", "text": "Hel"},
        {"type": "reference", "ids": [1]},
        {"type": "text", "text": "lo"},
    ]
    assert answer_to(vendor, Reply.json({"choices": [{"message": {"content": parts}}]})).response == "Hello"


def test_a_server_that_does_not_stream(vendor: VendorServer):
    body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    response = answer_to(vendor, Reply.json(body), stream=True)
    assert response.response == "Hi"
    assert response.finish_reason == "stop"
    assert response.time_to_first_token_seconds is not None


def test_a_reason_that_nobody_documented(vendor: VendorServer):
    body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "eos"}]}
    assert answer_to(vendor, Reply.json(body)).finish_reason == "other"


def test_tool_calls_are_not_text(vendor: VendorServer):
    message = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}
    response = answer_to(
        vendor, Reply.json({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    )
    assert (response.response, response.finish_reason) == ("", "tool_calls")


def test_an_error_with_status_200(vendor: VendorServer):
    """OpenRouter's way."""
    response = answer_to(vendor, Reply.json({"error": {"code": 429, "message": "slow down"}}))
    assert response.error is not None
    assert response.error.code == "RATE_LIMITED"
    response = answer_to(vendor, Reply.sse([{"error": {"code": 502, "message": "upstream"}}]), stream=True)
    assert response.error is not None
    assert response.error.code == "PROVIDER_UNAVAILABLE"


@pytest.mark.parametrize(
    "error", ["model 'x' not found", {"message": None}, {"message": 3, "code": 7, "param": []}]
)
def test_errors_of_other_forms(vendor: VendorServer, error: object):
    response = answer_to(vendor, Reply.json({"error": error}, status=400))
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"


def test_usage_in_the_last_choice_chunk_and_no_end_mark(vendor: VendorServer):
    chunks = [
        {"choices": [{"delta": {"content": "Hi"}}]},
        {
            "choices": [{"delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        },
    ]
    response = answer_to(vendor, Reply.sse(chunks, last=None), stream=True)
    assert response.error is None
    assert response.token_usage is not None
    assert response.token_usage.total_tokens == 4
    assert response.model == "gpt-4o"


def test_comments_and_other_choices_are_passed_over(vendor: VendorServer):
    events = [
        b": OPENROUTER PROCESSING\n\n",
        {"choices": [{"index": 1, "delta": {"content": "other"}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "thinking"}}]},
        {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]},
    ]
    assert answer_to(vendor, Reply.sse(events), stream=True).response == "Hi"


def test_half_characters_are_made_whole(vendor: VendorServer):
    events = [
        '{"choices": [{"delta": {"content": "\\ud83d"}}]}',
        '{"choices": [{"delta": {"content": "\\ude42 \\ud83d"}, "finish_reason": "stop"}]}',
    ]
    response = answer_to(vendor, Reply.sse(events), stream=True)
    assert (response.response or "").startswith("🙂 ")
    (response.response or "").encode()
    body = '{"choices": [{"message": {"content": "\\ud83d!"}}], "model": "\\udfff"}'
    response = answer_to(vendor, Reply.text(body, content_type="application/json"))
    str(response.to_wire()).encode()


@pytest.mark.parametrize(
    "usage",
    [
        {},
        [],
        "x",
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "3", "completion_tokens": 2},
        {"prompt_tokens": 3},
        {"prompt_tokens": 2**80, "completion_tokens": 1},
        # Figures that contradict one another.
        {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 4},
        {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}},
        {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 2},
        },
        # Cached tokens beside the others: what the total has more was not written.
        {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 9},
        },
        {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
        {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 9,
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    ],
)
def test_usage_that_cannot_be_is_unknown(vendor: VendorServer, usage: object):
    response = answer_to(vendor, Reply.json({"choices": [{"message": {"content": "Hi"}}], "usage": usage}))
    assert response.error is None
    assert response.token_usage is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (  # xAI
            {
                "prompt_tokens": 10120,
                "completion_tokens": 1499,
                "total_tokens": 14428,
                "prompt_tokens_details": {"cached_tokens": 128},
                "completion_tokens_details": {"reasoning_tokens": 2809},
            },
            (10120, 4308, 14428, 128, 2809),
        ),
        ({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}, (21, 60, 81, None, None)),
        (  # OpenAI: within the completion
            {
                "prompt_tokens": 9,
                "completion_tokens": 100,
                "total_tokens": 109,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            (9, 100, 109, None, 100),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "total_tokens": None,
                "prompt_tokens_details": {"cache_write_tokens": "1"},
                "completion_tokens_details": {"reasoning_tokens": None},
            },
            (3, 2, 5, None, None),
        ),
    ],
    ids=["beside, said", "beside, not said", "within", "no total"],
)
def test_reasoning_beside_the_completion_is_output(
    vendor: VendorServer, usage: dict[str, Any], expected: tuple[int | None, ...], stream: bool
):
    message = {"content": "Hi"}
    chunks = [{"choices": [{"delta": message, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    reply = Reply.sse(chunks) if stream else Reply.json(body)
    found = answer_to(vendor, reply, stream=stream).token_usage
    assert found is not None
    assert (
        found.input_tokens,
        found.output_tokens,
        found.total_tokens,
        found.cached_input_tokens,
        found.reasoning_tokens,
    ) == expected


def test_only_models_that_can_chat_are_listed_of_the_vendors_own(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    names = [
        "gpt-4o",
        "text-embedding-3-small",
        "whisper-1",
        "tts-1-hd",
        "dall-e-3",
        "omni-moderation-latest",
        "gpt-4o-realtime-preview",
        "gpt-4o-transcribe",
        "gpt-image-1",
        "sora-2",
        "o3",
        "gpt-5.4-mini",
        "davinci-002",
        "gpt-3.5-turbo-instruct",
        "gpt-audio",
        "ft:gpt-4o-mini:org::1",
    ]
    listing = {"data": [{"id": name} for name in names] + [{"id": None}, 3]}
    vendor.otherwise(Reply.json(listing))
    provider, limits = registry.load("OPENAI"), Limits(timeout_seconds=10)
    everything = provider.list_models(Connection(api_key=KEY, base_url=f"{vendor.url}/v1"), limits)
    assert {model.name for model in everything} == set(names)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")
    assert provider.list_models(Connection(api_key=KEY), limits) == everything
    monkeypatch.setattr("core.providers.openai.OPENAI", replace(OPENAI, own_base_url=f"{vendor.url}/v1"))
    listed = [model.name for model in provider.list_models(Connection(api_key=KEY), limits)]
    assert listed == ["ft:gpt-4o-mini:org::1", "gpt-4o", "gpt-5.4-mini", "o3"]
    assert (vendor.last.method, vendor.last.path) == ("GET", "/v1/models")


def test_models_that_chat_completions_do_not_serve_are_not_offered():
    for name in (
        *("text-embedding-3-small", "gpt-image-2", "gpt-4o-mini-tts", "gpt-live-1"),
        *("o1-pro", "o3-pro-2025-06-10", "gpt-5-pro", "gpt-5.5-pro", "gpt-5.3-codex", "codex-mini-latest"),
        *("gpt-5.1-codex-mini", "o4-mini-deep-research"),
    ):
        assert not OPENAI.may_answer(name), name
    for name in (OPENAI.default_model, "gpt-5", "gpt-6-sol", "o3", "o4-mini", "gpt-4o", "gpt-chat-latest"):
        assert OPENAI.may_answer(name), name


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_what_the_environment_adds_goes_to_no_server_of_a_requests_own(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, name: str
):
    secret = "gateway-secret-of-this-machine"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gateway: {secret}\n{name}: Bearer {secret}\nno header")
    monkeypatch.setenv("OPENAI_ORG_ID", f"org-{secret}")
    monkeypatch.setenv("OPENAI_PROJECT_ID", f"proj-{secret}")
    monkeypatch.setattr("core.providers.keys.is_this_machine", lambda _url: False)
    provider, key = registry.load("OPENAI"), f"sk-own-key-{name}"
    vendor.otherwise(Reply.json({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}))
    provider.complete(request(base_url=vendor.url, api_key=key), Limits(timeout_seconds=20))
    assert secret not in str(vendor.last.headers)
    assert vendor.last.headers["authorization"] == f"Bearer {key}"
    monkeypatch.setenv("OPENAI_BASE_URL", vendor.url)
    provider.complete(request(api_key=key), Limits(timeout_seconds=20))
    assert vendor.last.headers["x-gateway"] == secret
    assert vendor.last.headers["openai-organization"] == f"org-{secret}"
    assert vendor.last.headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("OPENAI", "https://eu.api.openai.com/v1"),
        ("ANTHROPIC", "https://api.anthropic.com/v1"),
        ("GEMINI", "https://generativelanguage.googleapis.com/v1beta"),
    ],
)
def test_a_vendors_own_host_by_another_path_gets_its_key(name: str, address: str):
    spec = registry.get_spec(name)
    environment = {spec.api_key_variable or "": "key-of-the-environment"}
    assert resolve_api_key(spec, Connection(base_url=address), environment) == "key-of-the-environment"
    for other in (address.replace("https:", "http:"), address.replace(".com/", ".com.example/")):
        assert resolve_api_key(spec, Connection(base_url=other), environment) is None
