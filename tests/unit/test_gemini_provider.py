"""What is Gemini's own: thinking levels and budgets, end marks, usage, Google's errors, keys and addresses."""

import json
import shlex
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.contract import AgentRequest, AgentResponse, ReasoningEffort, TokenUsage, parse_request
from core.errors import InvalidRequest, MissingApiKey
from core.interruption import Limits
from core.invocation import invoke
from core.pricing.catalogue import find_model, find_price
from core.pricing.cost import price_tokens
from core.pricing.estimate import estimate
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides
from core.providers import registry
from core.providers.base import Connection
from core.providers.clients import MAX_CLIENTS
from core.providers.features import require_features
from core.providers.gemini import GeminiProvider
from core.providers.gemini_wire import ChunkReader, Ending, read_answer, read_usage, render, split_version
from core.providers.httpx2_adapter import KeepingClient, keeping
from core.providers.keys import resolve_api_key
from core.providers.rows_gemini import GEMINI
from core.providers.spec import Feature
from core.services.money import usd
from core.services.snippets import curl
from tests.support.vendor_server import Reply, VendorServer

KEY = "AIza-canary-0123456789"
SAMPLING = {Feature.TEMPERATURE, Feature.TOP_P}


def request(**fields: Any) -> AgentRequest:
    payload = {
        "provider": "GEMINI",
        "model_name": "gemini-3.5-flash",
        "api_key": KEY,
        "prompt": "Hi",
        **fields,
    }
    return parse_request(payload, providers=registry.specs())


def candidate(*parts: dict[str, Any], finish: str | None = "STOP") -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return {"candidates": [found if finish is None else found | {"finishReason": finish}]}


# Requests.


def test_only_what_is_set_is_rendered():
    assert render(request()) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_everything_is_rendered_as_the_api_documents_it():
    schema = {"type": "object", "properties": {"a_b": {"type": "string"}}}
    asked = request(
        agent_type="chat",
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        system_prompt="Be brief.",
        attachments=[
            {"media_type": "image/png", "data": "iVBO+/8="},
            {"media_type": "application/pdf", "data": "JVBERg==", "name": "a.pdf"},
        ],
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        stop=["END"],
        seed=7,
        response_schema=schema,
        reasoning_effort="minimal",
    )
    assert render(asked) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "b"}]},
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": "iVBO+/8="}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
                    {"text": "Hi"},
                ],
            },
        ],
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 0.0,
            "topP": 0.5,
            "stopSequences": ["END"],
            "seed": 7,
            "thinkingConfig": {"thinkingLevel": "minimal"},
            "responseMimeType": "application/json",
            "responseJsonSchema": schema,
        },
    }


def test_the_sdk_sends_the_body_as_it_was_rendered(vendor: VendorServer):
    """Its `extra_body` aligns the names of keys with its own: none of a schema's may change by that."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"contents": {"type": "string"}, "system_instruction": {"type": "object"}},
        "$defs": {"generation_config": {"type": "integer"}},
    }
    asked = request(base_url=vendor.url, response_schema=schema, system_prompt="S", temperature=0.5)
    vendor.will(Reply.json(candidate({"text": "{}"})))
    assert invoke(asked).response == "{}"
    assert vendor.last.json == render(asked)


THINKING: list[tuple[str, ReasoningEffort, dict[str, Any]]] = [
    ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
    ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1_024}),
    ("gemini-2.5-flash-lite", "low", {"thinkingBudget": 1_024}),
    ("gemini-2.5-pro", "medium", {"thinkingBudget": 8_192}),
    ("models/gemini-2.5-pro", "high", {"thinkingBudget": 24_576}),
    ("gemini-3.5-flash", "minimal", {"thinkingLevel": "minimal"}),
    ("gemini-3.8-flash", "high", {"thinkingLevel": "high"}),
    ("gemini-4-argon", "low", {"thinkingLevel": "low"}),
    ("somebody-elses-model", "none", {"thinkingBudget": 0}),
    ("somebody-elses-model", "medium", {"thinkingLevel": "medium"}),
]


@pytest.mark.parametrize(("model", "effort", "expected"), THINKING)
def test_reasoning_effort(model: str, effort: ReasoningEffort, expected: dict[str, Any]):
    asked = request(model_name=model, reasoning_effort=effort)
    require_features(GEMINI, asked)
    assert render(asked)["generationConfig"] == {"thinkingConfig": expected}


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gemini-2.5-pro", "none"),
        ("gemini-2.5-flash", "xhigh"),
        ("gemini-3-pro-preview", "medium"),
        ("gemini-3.1-pro-preview", "minimal"),
        ("gemini-3.5-flash", "none"),
        ("gemini-3.7-flash", "minimal"),
        ("gemini-3.8-flash", "minimal"),
        ("gemini-3.8-flash", "max"),
        ("gemini-flash-latest", "none"),
        ("gemini-4-argon", "minimal"),
        ("gemini-robotics-er-2-preview", "max"),
    ],
)
def test_an_effort_that_the_model_does_not_know_is_refused_with_those_that_it_knows(
    model: str, effort: ReasoningEffort
):
    with pytest.raises(InvalidRequest) as caught:
        require_features(GEMINI, request(model_name=model, reasoning_effort=effort))
    assert f"{model} does not take reasoning_effort '{effort}'" in caught.value.message
    assert "high" in caught.value.message


@pytest.mark.parametrize(
    "model",
    [
        *("gemini-2.0-flash", "gemini-1.5-pro-002", "gemini-pro", "gemini-flash-1.5-8b", "gemini-pro-1.5"),
        *("gemma-3-27b-it", "gemma-3"),
    ],
)
def test_models_that_do_not_think(model: str):
    assert GEMINI.features - GEMINI.features_of(model) == {Feature.REASONING_EFFORT}


@pytest.mark.parametrize(
    "model",
    [
        *(
            "gemini-3.6-flash",
            "gemini-3.7-flash",
            "gemini-3.8-flash",
            "gemini-3.5-flash-lite",
            "gemini-4-argon",
        ),
        *("gemini-flash-latest", "gemini-flash-lite-latest", "gemini-4-neon", "models/gemini-3.8-flash"),
    ],
)
def test_models_that_would_ignore_the_sampling(model: str):
    assert GEMINI.features - GEMINI.features_of(model) == SAMPLING


@pytest.mark.parametrize(
    "model", ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.5-flash", "gemini-3.1-pro-preview", "tuned"]
)
def test_models_that_take_everything(model: str):
    assert GEMINI.features_of(model) == GEMINI.features


def test_a_gif_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="GEMINI does not read image/gif"):
        require_features(GEMINI, request(attachments=[{"media_type": "image/gif", "data": "R0lG"}]))


@pytest.mark.parametrize("model", ["a?b", "a&b", "a/../b", "a b", "a#b", "a%2fb", "../x", "x\n"])
def test_a_name_that_would_lead_elsewhere_is_refused_unsent(vendor: VendorServer, model: str):
    response = invoke(request(model_name=model, base_url=vendor.url))
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert vendor.requests == []


# Answers.


def test_thoughts_are_not_part_of_the_answer():
    answer = read_answer(candidate({"text": "Let me see.", "thought": True}, {"text": "Par"}, {"text": "is"}))
    assert (answer.text, answer.finish_reason, answer.ending) == ("Paris", "stop", Ending.ANSWERED)


@pytest.mark.parametrize(
    ("reason", "expected", "ending"),
    [
        ("STOP", "stop", Ending.ANSWERED),
        ("MAX_TOKENS", "length", Ending.ANSWERED),
        ("CONTINUATION", "length", Ending.ANSWERED),
        ("SAFETY", "content_filter", Ending.FILTERED),
        ("RECITATION", "content_filter", Ending.FILTERED),
        ("PROHIBITED_CONTENT", "content_filter", Ending.FILTERED),
        ("SPII", "content_filter", Ending.FILTERED),
        ("PUP_LIMITED_DISABLED", "other", Ending.ACCOUNT_LIMITED),
        ("MALFORMED_RESPONSE", "other", Ending.ANSWERED),
        ("OF_TOMORROW", "other", Ending.ANSWERED),
        ("FINISH_REASON_UNSPECIFIED", None, Ending.ANSWERED),
    ],
)
def test_finish_reasons(reason: str, expected: str | None, ending: Ending):
    answer = read_answer(candidate({"text": "x"}, finish=reason))
    assert (answer.finish_reason, answer.ending) == (expected, ending)


def test_every_finish_reason_of_the_sdk_is_known_to_be_cut_or_not():
    from google.genai import types

    unlisted = {"OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"} | {
        *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE", "PUP_LIMITED_DISABLED")
    }
    others = {
        reason.value
        for reason in types.FinishReason
        if read_answer(candidate({"text": "x"}, finish=reason.value)).finish_reason == "other"
    }
    assert others == unlisted


def test_a_candidate_without_content_is_an_empty_answer_if_it_says_why():
    assert read_answer({"candidates": [{"finishReason": "MAX_TOKENS"}]}).text == ""
    for nothing in ({}, {"candidates": []}, {"candidates": [{"index": 0}]}, {"usageMetadata": {}}):
        with pytest.raises(ValueError, match="no candidate"):
            read_answer(nothing)


def test_a_stream_ends_with_its_finish_reason():
    reader = ChunkReader()
    assert reader.add(candidate({"text": "a"}, finish=None)) == "a"
    assert not reader.finished
    assert reader.add(candidate({"text": "b"})) == "b"
    assert reader.finished
    assert reader.answer().text == "ab"


def test_a_blocked_prompt_keeps_its_tokens(vendor: VendorServer):
    body = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
    }
    for reply in (Reply.json(body), Reply.sse([body], last=None)):
        vendor.will(reply)
        response = invoke(request(base_url=vendor.url), [].append if reply.streamed else None)
        assert response.error is not None
        assert response.error.code == "CONTENT_FILTERED"
        assert "refused the prompt" in response.error.message
        assert response.finish_reason == "content_filter"
        assert response.token_usage == TokenUsage(input_tokens=8, output_tokens=0, total_tokens=8)


def test_an_account_that_was_limited(vendor: VendorServer):
    vendor.will(Reply.json(candidate({"text": "So"}, finish="PUP_LIMITED_DISABLED")))
    response = invoke(request(base_url=vendor.url))
    assert response.error is not None
    assert (response.error.code, response.response) == ("PERMISSION_DENIED", "So")


def test_an_answer_that_could_go_on_is_not_asked_for_again(vendor: VendorServer):
    """The SDK by itself sends another request with the token; what is billed and stored is one call."""
    body = candidate({"text": "half"}, finish="CONTINUATION")
    body["candidates"][0]["continuationToken"] = "dG9rZW4="
    for reply in (Reply.json(body), Reply.sse([body], last=None)):
        vendor.reset()
        vendor.will(reply)
        response = invoke(request(base_url=vendor.url), [].append if reply.streamed else None)
        assert (response.response, response.finish_reason) == ("half", "length")
        assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ("priority", "priority"),
        ("standard", "standard"),
        ("SERVICE_TIER_FLEX", "FLEX"),
        ("unspecified", None),
        ("SERVICE_TIER_UNSPECIFIED", None),
        ("", None),
    ],
)
def test_the_service_tier_is_in_a_header(vendor: VendorServer, said: str, tier: str | None):
    vendor.will(Reply.json(candidate({"text": "x"}), headers={"x-gemini-service-tier": said}))
    assert invoke(request(base_url=vendor.url)).service_tier == tier


def usage(**counts: int) -> TokenUsage | None:
    return read_usage({f"{name}TokenCount": count for name, count in counts.items()})


def test_usage():
    assert usage(
        prompt=10, candidates=5, thoughts=7, cachedContent=4, toolUsePrompt=3, total=25
    ) == TokenUsage(
        input_tokens=13, output_tokens=12, total_tokens=25, cached_input_tokens=4, reasoning_tokens=7
    )
    # All of max_tokens were thoughts: a count of zero is left out of the JSON.
    assert usage(prompt=10, thoughts=7, total=17) == TokenUsage(
        input_tokens=10, output_tokens=7, total_tokens=17, reasoning_tokens=7
    )
    # A gateway that tells of the thoughts in the total only.
    assert usage(prompt=10, candidates=5, total=22) == TokenUsage(
        input_tokens=10, output_tokens=12, total_tokens=22
    )
    assert usage(prompt=10, candidates=5) == TokenUsage(input_tokens=10, output_tokens=5, total_tokens=15)


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"candidates": 5, "total": 5},
        {"prompt": 10},
        {"prompt": 10, "candidates": 5, "total": 14},
        {"prompt": 10, "candidates": 5, "thoughts": 2, "total": 20},
        {"prompt": 10, "candidates": 5, "total": 15, "cachedContent": 11},
        {"prompt": -1, "candidates": 5, "total": 4},
    ],
)
def test_usage_that_is_missing_or_contradicts_itself_is_unknown(counts: dict[str, int]):
    assert usage(**counts) is None


# Errors.


def failed(vendor: VendorServer, status: int, error: object, **fields: Any) -> AgentResponse:
    vendor.will(Reply.json({"error": error}, status=status))
    return invoke(request(base_url=vendor.url, **fields))


def quota(*ids: str, delay: str | None = None) -> dict[str, Any]:
    details: list[dict[str, Any]] = [{"@type": "QuotaFailure", "violations": [{"quotaId": i} for i in ids]}]
    if delay is not None:
        details.append({"@type": "RetryInfo", "retryDelay": delay})
    return {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no more", "details": details}


def test_a_quota_of_a_minute_is_waited_for_as_google_says(vendor: VendorServer):
    body = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", delay="34.25s")
    error = failed(vendor, 429, body).error
    assert error is not None
    assert (error.code, error.retryable, error.retry_after_seconds) == ("RATE_LIMITED", True, 34.25)


def test_a_quota_of_a_day_is_not_waited_for(vendor: VendorServer):
    body = quota("GenerateRequestsPerMinute-FreeTier", "GenerateRequestsPerDay-FreeTier", delay="34s")
    error = failed(vendor, 429, body).error
    assert error is not None
    assert (error.code, error.retryable, error.retry_after_seconds) == ("RATE_LIMITED", False, None)
    assert "Add credit" in error.message


@pytest.mark.parametrize("delay", ["soon", "-3s", "s", "9" * 30 + "s", ""])
def test_a_delay_that_is_none(vendor: VendorServer, delay: str):
    error = failed(vendor, 429, quota("PerMinute", delay=delay)).error
    assert error is not None
    assert (error.retryable, error.retry_after_seconds) == (True, None)


def test_a_key_that_is_not_valid_comes_with_400(vendor: VendorServer):
    reason = {"@type": "ErrorInfo", "reason": "API_KEY_INVALID"}
    error = failed(vendor, 400, {"code": 400, "status": "INVALID_ARGUMENT", "details": [reason]}).error
    assert error is not None
    assert (error.code, error.provider_status) == ("AUTHENTICATION_FAILED", 400)


def test_a_place_that_is_not_served_without_billing(vendor: VendorServer):
    error = failed(vendor, 400, {"status": "FAILED_PRECONDITION", "message": "User location ..."}).error
    assert error is not None
    assert error.code == "PERMISSION_DENIED"
    assert "billing" in error.message


def test_a_server_that_wants_a_key_and_gets_none(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    for name in GEMINI.api_key_variables:
        monkeypatch.setenv(name, "AIza-of-the-environment")
    vendor.will(Reply.json(candidate({"text": "Hi"})))
    monkeypatch.setattr("core.providers.keys.is_this_machine", lambda _: False)
    keyless = request(api_key=None, base_url=vendor.url)
    assert invoke(keyless).response == "Hi"
    assert "x-goog-api-key" not in vendor.last.headers
    assert "environment" not in json.dumps(vendor.last.headers)
    error = failed(vendor, 403, {"status": "PERMISSION_DENIED"}, api_key=None).error
    assert error is not None
    assert error.code == "AUTHENTICATION_FAILED"
    assert "none was sent" in error.message


def test_a_stream_that_is_no_event_stream_tells_its_error_in_a_list(vendor: VendorServer):
    vendor.will(Reply.json([{"error": {"status": "UNAVAILABLE", "message": "busy"}}], status=503))
    error = invoke(request(base_url=vendor.url), [].append).error
    assert error is not None
    assert (error.code, error.retryable) == ("PROVIDER_UNAVAILABLE", True)


# Keys and addresses.


def test_the_sdks_own_variables():
    def key(environment: dict[str, str]) -> str | None:
        return resolve_api_key(GEMINI, Connection(), environment)

    assert key({"GEMINI_API_KEY": "a"}) == "a"
    assert key({"GOOGLE_API_KEY": "b"}) == "b"
    assert key({"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": "b"}) == "b"  # as the SDK does
    assert key({"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": " "}) == "a"
    with pytest.raises(MissingApiKey, match="GEMINI_API_KEY"):
        key({})
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        with pytest.raises(InvalidRequest, match=name):
            elsewhere = Connection(api_key_ref=f"env:{name}", base_url="https://evil.example")
            resolve_api_key(GEMINI, elsewhere, {name: "a"})


@pytest.mark.parametrize(
    ("base_url", "variable", "expected"),
    [
        ("http://h", "", ("http://h", "v1")),
        ("http://h/v1beta", "v1", ("http://h", "v1beta")),
        ("http://h/gateway/v1alpha", "", ("http://h/gateway", "v1alpha")),
        ("http://h/gateway", "beta", ("http://h/gateway", "v1beta")),
        ("http://h/vertex", "v2", ("http://h/vertex", "v2")),
    ],
)
def test_the_apis_version(base_url: str, variable: str, expected: tuple[str, str]):
    assert split_version(base_url, {"GOOGLE_GENAI_API_VERSION": variable}) == expected


def test_the_key_is_in_a_header_and_never_in_the_address(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"{vendor.url}/gateway/v1beta")
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")  # another API, which is not meant here
    vendor.will(Reply.json(candidate({"text": "Hi"})), Reply.json({"models": []}))
    assert invoke(request(api_key=None)).response == "Hi"
    assert vendor.last.path == "/gateway/v1beta/models/gemini-3.5-flash:generateContent"
    registry.load("GEMINI").list_models(Connection(), Limits(timeout_seconds=20))
    for received in vendor.requests:
        assert received.headers["x-goog-api-key"] == KEY
        assert KEY not in received.path


@pytest.mark.parametrize("fields", [{"base_url": "http://h?x=1"}, {"api_key": "auth_tokens/abc"}])
def test_what_the_sdk_could_not_use_is_refused_unsent(fields: dict[str, Any]):
    response = invoke(request(**fields))
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"


def test_an_sdk_that_asks_twice_in_one_call_is_stopped_before_the_second_request(vendor: VendorServer):
    vendor.otherwise(Reply.json({"secret": "of the answer"}))
    with closing(KeepingClient()) as client, keeping(streamed=False, without=()) as kept:
        shown = client.send(client.build_request("POST", vendor.url, content=b"{}"))
        with pytest.raises(RuntimeError, match="second request"):
            client.send(client.build_request("POST", vendor.url, content=b"{}"))
    assert (shown.status_code, shown.content) == (200, b"")
    assert kept.response is not None
    assert kept.response.json() == {"secret": "of the answer"}
    assert len(vendor.requests) == 1


def test_a_client_reads_no_certificates_for_connections_that_it_never_makes():
    client = GeminiProvider().client("key", "http://127.0.0.1:1")
    assert client._api_client._websocket_ssl_ctx["ssl"].cert_store_stats()["x509"] == 0


def test_clients_are_reused_and_not_kept_for_ever():
    provider = GeminiProvider()
    first = provider.client("key", "http://127.0.0.1:1")
    assert provider.client("key", "http://127.0.0.1:1") is first
    for number in range(MAX_CLIENTS):
        provider.client(f"key-{number}", "http://127.0.0.1:1")
    assert provider.client("key", "http://127.0.0.1:1") is not first


# The list of models.


def model(name: str, *methods: str, **more: Any) -> dict[str, Any]:
    return {"name": f"models/{name}", "supportedGenerationMethods": list(methods), **more}


def test_models_come_in_pages_with_their_context_window(vendor: VendorServer):
    chat = ("generateContent", "countTokens")
    first = {
        "models": [
            model("gemini-3.8-flash", *chat, displayName="Gemini 3.8 Flash", inputTokenLimit=1_048_576),
            model("gemini-embedding-2", "embedContent"),
        ],
        "nextPageToken": "p2",
    }
    vendor.will(Reply.json(first), Reply.json({"models": [model("gemini-3.5-flash", *chat)]}))
    provider = registry.load("GEMINI")
    found = provider.list_models(Connection(api_key=KEY, base_url=vendor.url), Limits(timeout_seconds=20))
    assert [m.name for m in found] == ["gemini-3.5-flash", "gemini-3.8-flash"]
    assert (found[1].label, found[1].context_window_tokens) == ("Gemini 3.8 Flash", 1_048_576)
    assert [r.path for r in vendor.requests] == [
        "/v1/models?pageSize=1000",
        "/v1/models?pageSize=1000&pageToken=p2",
    ]


def test_a_list_without_an_end_is_left(vendor: VendorServer):
    vendor.otherwise(Reply.json({"models": [model("m", "generateContent")], "nextPageToken": "again"}))
    provider = registry.load("GEMINI")
    found = provider.list_models(Connection(api_key=KEY, base_url=vendor.url), Limits(timeout_seconds=20))
    assert len(found) == 1
    assert len(vendor.requests) == 20


def test_models_that_cannot_answer_a_prompt_are_left_out_by_name():
    for name in (
        "gemini-3.8-flash-tts",
        "gemini-3-pro-image",
        "gemini-embedding-001",
        "gemini-3.8-live",
        "aqa",
    ):
        assert not GEMINI.may_answer(name)
    for name in ("gemini-3.8-flash", "gemini-4-argon", "gemini-2.5-pro", "gemma-4-31b-it"):
        assert GEMINI.may_answer(name)


# Beside the provider: prices, and the command to paste.


@pytest.mark.parametrize(
    ("name", "month", "expected"),
    [
        # ai.google.dev/gemini-api/docs/pricing, 2026-11-22: (input, cached input, output) per million tokens;
        # 3.8 Flash and 4 Argon are at an introductory price until the end of 2026 and of November 2026.
        ("gemini-3.8-flash", datetime(2026, 11, 22, tzinfo=UTC), ("0.75", "0.075", "3.75")),
        ("gemini-3.8-flash", datetime(2027, 1, 2, tzinfo=UTC), ("1.5", "0.15", "7.5")),
        ("gemini-4-argon", datetime(2026, 11, 22, tzinfo=UTC), ("2", "0.1", "10")),
        ("gemini-4-argon", datetime(2026, 12, 2, tzinfo=UTC), ("4", "0.2", "20")),
        ("gemini-2.5-flash", datetime(2026, 11, 22, tzinfo=UTC), ("0.3", "0.03", "2.5")),
    ],
)
def test_prices(name: str, month: datetime, expected: tuple[str, str, str]):
    """Thoughts are billed as output, cached tokens at their own price."""
    tokens = read_usage(
        {
            "promptTokenCount": 3_000_000,
            "cachedContentTokenCount": 2_000_000,
            "candidatesTokenCount": 400_000,
            "thoughtsTokenCount": 600_000,
        }
    )
    cost = price_tokens("GEMINI", name, tokens, at=month, overrides=NO_OVERRIDES, service_tier="standard")
    assert cost is not None
    fresh, cached, written = (Decimal(price) for price in expected)
    assert usd(cost.input_nanousd) == fresh
    assert usd(cost.cached_input_nanousd) == cached * 2
    assert usd(cost.output_nanousd) == written


@pytest.mark.parametrize("base_url", [None, "https://generativelanguage.googleapis.com/v1beta"])
def test_a_model_costs_the_same_by_its_whole_name(base_url: str | None):
    """The API takes a model as `gemini-2.5-flash` and as `models/gemini-2.5-flash`."""
    when = datetime(2026, 11, 22, tzinfo=UTC)
    known = find_price("GEMINI", "gemini-2.5-flash", at=when, overrides=NO_OVERRIDES, base_url=base_url)
    assert known is not None
    by_whole_name = find_price(
        "GEMINI", "models/gemini-2.5-flash", at=when, overrides=NO_OVERRIDES, base_url=base_url
    )
    assert by_whole_name == known
    listed = find_model("GEMINI", "models/gemini-2.5-flash", at=when, base_url=base_url)
    assert listed is not None
    assert listed.context_window_tokens == 1_048_576
    expected = estimate(
        "GEMINI",
        "models/gemini-2.5-flash",
        texts=["x" * 600],
        max_tokens=100,
        overrides=NO_OVERRIDES,
        at=when,
        base_url=base_url,
    )
    assert expected.cost_high_nanousd == (600 // 2 + 10) * 300 + 100 * 2_500


def test_an_override_holds_for_the_whole_name_too():
    row = {"provider": "GEMINI", "input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}
    when, one = datetime(2026, 11, 22, tzinfo=UTC), usage(prompt=1_000_000, candidates=0)
    for pattern in ("gemini-2.5-flash", "gemini-2.5-*", "models/gemini-2.5-flash"):
        overrides = PriceOverrides([PriceOverride.from_mapping({**row, "model_pattern": pattern})])
        cost = price_tokens("GEMINI", "models/gemini-2.5-flash", one, at=when, overrides=overrides)
        assert cost is not None
        assert usd(cost.total_nanousd) == 1


def test_another_providers_model_keeps_what_its_name_begins_with():
    when = datetime(2026, 11, 22, tzinfo=UTC)
    assert find_price("OPENAI", "gpt-5", at=when, overrides=NO_OVERRIDES) is not None
    assert find_price("OPENAI", "models/gpt-5", at=when, overrides=NO_OVERRIDES) is None


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_a_tier_without_a_known_price_is_not_priced_as_another(tier: str):
    when, tokens = datetime(2026, 11, 22, tzinfo=UTC), usage(prompt=1, candidates=1)
    name = "gemini-3.8-flash"
    assert price_tokens("GEMINI", name, tokens, at=when, overrides=NO_OVERRIDES, service_tier=tier) is None


def test_curl_asks_as_our_provider_does(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    asked = request(api_key=None, base_url=f"{vendor.url}/v1beta", prompt="It's", max_tokens=5)
    vendor.will(Reply.json(candidate({"text": "Hi"})))
    assert invoke(asked).response == "Hi"
    snippet = curl(asked)
    assert snippet is not None
    command, _, body = snippet.text.partition(" --data-binary @- <<'JSON'\n")
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:2] == ["curl", f"{vendor.url}{vendor.last.path}"]
    assert "x-goog-api-key: $GOOGLE_API_KEY" in words
    assert KEY not in snippet.text
    assert json.loads(body.removesuffix("JSON\n")) == vendor.last.json
