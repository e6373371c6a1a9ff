"""What is Bedrock's own: names, regions, who asks, rules of the models, reasoning, frames, codes, usage, prices."""

import base64
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from core import redaction
from core.contract import AgentRequest, AgentResponse, TokenUsage, parse_request
from core.errors import InvalidRequest, InvocationError, MissingApiKey, PermissionDenied
from core.interruption import CancelToken, Limits
from core.invocation import invoke
from core.pricing.cost import price_tokens
from core.pricing.overrides import NO_OVERRIDES
from core.providers import registry
from core.providers.base import Connection
from core.providers.bedrock import BedrockProvider
from core.providers.bedrock_wire import read_usage, render
from core.providers.features import require_features
from core.providers.keys import resolve_api_key
from core.providers.rows_bedrock import BEDROCK, reasoning_of
from core.providers.spec import Feature
from tests.contract.dialects.base import Answer
from tests.contract.dialects.bedrock import BedrockDialect, event, exception, frame
from tests.support.vendor_server import Reply, VendorServer

DIALECT = BedrockDialect()
SAMPLING = {Feature.TEMPERATURE, Feature.TOP_P}
MODEL = "us.anthropic.claude-sonnet-4-6"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
OPUS = "anthropic.claude-opus-4-7"


@pytest.fixture
def provider() -> Generator[BedrockProvider]:
    """One that nobody asked before."""
    made = BedrockProvider()
    yield made
    made.aws.close()


def request(**fields: Any) -> AgentRequest:
    payload = {"provider": "BEDROCK", "model_name": MODEL, "prompt": "Hello"}
    return parse_request({**payload, **fields}, providers=registry.specs())


def ask(
    vendor: VendorServer, *, stream: bool = False, cancel: CancelToken | None = None, **fields: Any
) -> AgentResponse:
    asked = request(**{"base_url": vendor.url, "timeout_seconds": 20, **fields})
    return invoke(asked, (lambda _: None) if stream else None, cancel)


def code_of(response: AgentResponse) -> str | None:
    return None if response.error is None else response.error.code.value


def scope(vendor: VendorServer) -> list[str]:
    """Key id, day, region, service of the last request's signature."""
    authorization = vendor.last.headers["authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=")
    return authorization.split("Credential=")[1].split("/aws4_request")[0].split("/")


# Names and regions.


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("eu.amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0"),
        ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        (
            "arn:aws:bedrock:us-east-2:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6",
            "us.anthropic.claude-sonnet-4-6",
        ),
    ],
)
def test_any_name_of_a_model_is_asked_as_it_is_and_priced_by_its_id(
    vendor: VendorServer, asked: str, model: str
):
    vendor.will(Reply.json(_answer()))
    response = ask(vendor, model_name=asked)
    assert response.error is None
    assert unquote(vendor.last.path.split("/")[2]) == asked
    assert response.model == model
    assert scope(vendor)[2:] == [asked.split(":")[3] if asked.startswith("arn") else "us-east-1", "bedrock"]


def test_the_region_is_the_first_that_is_set(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    config = tmp_path / "config"
    config.write_text("[default]\nregion = ap-south-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    vendor.otherwise(Reply.json(_answer()))
    found: list[str] = []
    for variable, value in (
        (None, None),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
        ("AWS_REGION", "eu-west-3"),
        ("BEDROCK_REGION", "us-west-2"),
    ):
        if variable is not None and value is not None:
            monkeypatch.setenv(variable, value)
        assert ask(vendor).error is None
        found.append(scope(vendor)[2])
    assert found == ["ap-south-1", "eu-north-1", "eu-west-3", "us-west-2"]


def test_without_a_region_the_error_says_which_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    response = invoke(request(timeout_seconds=5))
    assert code_of(response) == "INVALID_REQUEST"
    assert response.error is not None
    assert "BEDROCK_REGION" in response.error.message
    assert response.error.may_be_billed is False


def test_a_region_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BEDROCK_REGION", "not a region")
    response = invoke(request(timeout_seconds=5))
    assert code_of(response) == "INVALID_REQUEST"
    assert response.error is not None
    assert "BEDROCK_REGION" in response.error.message


def test_the_environment_may_name_the_model_to_begin_with(monkeypatch: pytest.MonkeyPatch):
    assert BEDROCK.first_model == BEDROCK.default_model
    monkeypatch.setenv("BEDROCK_MODEL_ID", " us.amazon.nova-lite-v1:0 ")
    assert BEDROCK.first_model == "us.amazon.nova-lite-v1:0"
    assert registry.get_spec("DEMO").first_model == registry.get_spec("DEMO").default_model


# Who asks.


def test_requests_are_signed_with_the_credentials_of_the_environment(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token-0123456789abcdef")
    vendor.will(Reply.json(_answer()))
    assert ask(vendor).error is None
    assert scope(vendor)[0] == "testing"
    assert vendor.last.headers["x-amz-security-token"] == "session-token-0123456789abcdef"
    assert redaction.redact("it said session-token-0123456789abcdef") == f"it said {redaction.MASK}"


def test_requests_say_what_asks_and_the_operators_mark(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    vendor.otherwise(Reply.json(_answer()))
    ask(vendor)
    assert re.fullmatch(r"Botocore/\d\S* Python/\d.*", vendor.last.headers["user-agent"])
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "cost centre 7")
    ask(vendor)
    assert vendor.last.headers["user-agent"].endswith(" app/cost-centre-7")


def test_a_key_of_the_environment_takes_the_signatures_place(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-0123456789abcdef")
    vendor.will(Reply.json(_answer()))
    assert ask(vendor).error is None
    assert vendor.last.headers["authorization"] == "Bearer bedrock-api-key-0123456789abcdef"
    assert "x-amz-security-token" not in vendor.last.headers


@pytest.fixture
def elsewhere(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address that is not this machine's, and is answered by `vendor` all the same, as a proxy."""
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", vendor.url)
    vendor.otherwise(Reply.json(_answer()))
    return "http://gateway.example"


def test_another_server_gets_neither_key_nor_signature(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, elsewhere: str
):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token-0123456789abcdef")
    assert ask(vendor, base_url=elsewhere).error is None
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-0123456789abcdef")
    assert ask(vendor, base_url=elsewhere).error is None
    for received in vendor.requests:
        assert received.path.startswith("http://gateway.example:80/model/")
        assert "authorization" not in received.headers
        assert "x-amz-security-token" not in received.headers


def test_the_server_that_the_environment_names_gets_a_signature(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, elsewhere: str
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", elsewhere)
    assert ask(vendor, base_url=None).error is None
    assert vendor.last.path.startswith("http://gateway.example:80/model/")
    assert scope(vendor)[0] == "testing"


def test_another_server_gets_the_key_that_the_request_brings(vendor: VendorServer, elsewhere: str):
    assert ask(vendor, base_url=elsewhere, api_key="gateway-key-0123456789").error is None
    assert vendor.last.headers["authorization"] == "Bearer gateway-key-0123456789"


def test_the_environments_key_may_be_named_for_bedrock_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-0123456789abcdef")
    named = Connection(api_key_ref="env:AWS_BEARER_TOKEN_BEDROCK")
    assert resolve_api_key(BEDROCK, named) == "bedrock-api-key-0123456789abcdef"
    for spec, connection in (
        (registry.get_spec("OPENAI"), named),
        (BEDROCK, Connection(api_key_ref="env:AWS_SECRET_ACCESS_KEY")),
        (BEDROCK, Connection(api_key_ref=named.api_key_ref, base_url="https://other.example")),
    ):
        with pytest.raises(InvalidRequest):
            resolve_api_key(spec, connection)


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_the_error_says_what_to_do(vendor: VendorServer):
    response = ask(vendor)
    assert code_of(response) == "MISSING_API_KEY"
    assert response.error is not None
    assert response.error.message.startswith("AWS credentials required for BEDROCK")
    for remedy in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "aws sso login", "IAM role", "DEMO"):
        assert remedy in response.error.message
    assert response.error.may_be_billed is False
    assert vendor.requests == []


def test_a_profile_that_there_is_not(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "nonesuch")
    response = ask(vendor)
    assert code_of(response) == "MISSING_API_KEY"
    assert vendor.requests == []


@pytest.mark.parametrize("text", ["[default", "no section", "[profile x]\nregion"])
def test_an_aws_file_that_cannot_be_read(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
):
    config = tmp_path / "config"
    config.write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    response = ask(vendor)
    assert code_of(response) in {"MISSING_API_KEY", "INVALID_REQUEST"}
    assert vendor.requests == []


@pytest.fixture
def found_by(no_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Has a program of this text find the credentials."""

    def configure(program: str) -> None:
        script = tmp_path / "find.py"
        script.write_text(program)
        config = tmp_path / "config"
        config.write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    return configure


def test_a_metadata_service_that_does_not_answer(
    no_credentials: None, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", vendor.url)
    vendor.otherwise(Reply.silence())
    started = time.monotonic()
    assert code_of(ask(vendor)) == "MISSING_API_KEY"
    assert time.monotonic() - started < 6
    assert {received.path.split("/")[1] for received in vendor.requests} == {"latest"}


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('{')", "print('{\"Version\": 1}')"])
def test_credentials_that_cannot_be_had(vendor: VendorServer, found_by: Callable[[str], None], program: str):
    found_by(program)
    response = ask(vendor)
    assert code_of(response) == "MISSING_API_KEY"
    assert vendor.requests == []


def test_finding_credentials_ends_with_the_deadline(vendor: VendorServer, found_by: Callable[[str], None]):
    found_by("import time; time.sleep(3)")
    started = time.monotonic()
    assert code_of(ask(vendor, timeout_seconds=0.4)) == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 1.4
    assert vendor.requests == []


def test_finding_credentials_ends_with_a_stop(vendor: VendorServer, found_by: Callable[[str], None]):
    found_by("import time; time.sleep(3)")
    cancel = CancelToken()
    timer = threading.Timer(0.3, cancel.cancel)
    timer.start()
    started = time.monotonic()
    assert code_of(ask(vendor, cancel=cancel)) == "CANCELLED"
    assert time.monotonic() - started < 1.3
    timer.join()


def test_refused_credentials_are_read_anew(
    no_credentials: None, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write(name: str) -> None:
        path.write_text(
            f"[default]\naws_access_key_id = {name}\naws_secret_access_key = secret-{name}-012345\n"
        )

    write("first")
    vendor.will(_refusal(403, "ExpiredTokenException"), Reply.json(_answer()))
    assert code_of(ask(vendor)) == "AUTHENTICATION_FAILED"
    write("second")
    assert ask(vendor).error is None
    assert scope(vendor)[0] == "second"


def test_many_threads_may_begin_at_once(vendor: VendorServer, provider: BedrockProvider):
    vendor.otherwise(Reply.json(_answer()))
    failures: list[Exception] = []

    def run() -> None:
        try:
            provider.complete(request(base_url=vendor.url), Limits(timeout_seconds=20))
        except InvocationError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(vendor.requests) == 8


# Rules of the models, and reasoning.


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        ("anthropic.claude-v2:1", {Feature.IMAGES, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        (
            "us.anthropic.claude-3-5-haiku-20241022-v1:0",
            {Feature.IMAGES, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT},
        ),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {Feature.RESPONSE_SCHEMA}),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", {Feature.RESPONSE_SCHEMA}),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", set[Feature]()),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", set[Feature]()),
        ("eu.anthropic.claude-opus-4-6-v1", set[Feature]()),
        ("anthropic.claude-opus-4-7", SAMPLING),
        ("jp.anthropic.claude-opus-5", SAMPLING),
        (
            "amazon.nova-micro-v1:0",
            {Feature.IMAGES, Feature.DOCUMENTS, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT},
        ),
        ("apac.amazon.nova-pro-v1:0", {Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        ("us.amazon.nova-2-lite-v1:0", {Feature.RESPONSE_SCHEMA}),
        (
            "us.meta.llama3-3-70b-instruct-v1:0",
            {Feature.IMAGES, Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT},
        ),
        ("us.meta.llama4-scout-17b-instruct-v1:0", {Feature.RESPONSE_SCHEMA, Feature.REASONING_EFFORT}),
        ("openai.gpt-oss-120b-1:0", {Feature.IMAGES, Feature.DOCUMENTS}),
        ("qwen.qwen3-32b-v1:0", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("qwen.qwen3-coder-30b-a3b-v1:0", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("qwen.qwen3-vl-235b-a22b-v1:0", {Feature.REASONING_EFFORT}),
        ("nvidia.nemotron-nano-9b-v2", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        ("nvidia.nemotron-nano-12b-v2", {Feature.REASONING_EFFORT}),
        ("us.writer.palmyra-x5-v1:0", {Feature.IMAGES, Feature.REASONING_EFFORT}),
        (PROFILE, set[Feature]()),
    ],
)
def test_what_models_lack(model: str, lacks: set[Feature]):
    assert BEDROCK.features - BEDROCK.features_of(model) == lacks
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{model}"
    if not model.startswith("arn:"):
        assert BEDROCK.features - BEDROCK.features_of(arn) == lacks


def test_there_is_no_seed():
    with pytest.raises(InvalidRequest, match=r"BEDROCK does not take seed"):
        require_features(BEDROCK, request(seed=1))


@pytest.mark.parametrize(
    ("model", "effort", "output", "more"),
    [
        ("anthropic.claude-opus-4-6-v1", "max", {"effort": "max"}, {"thinking": {"type": "adaptive"}}),
        ("us.anthropic.claude-opus-4-7", "minimal", {"effort": "low"}, {"thinking": {"type": "adaptive"}}),
        ("us.anthropic.claude-opus-4-7", "none", None, None),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "low",
            None,
            {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
        ),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "none", None, None),
        ("global.anthropic.claude-opus-5", "high", {"effort": "high"}, None),
        ("global.anthropic.claude-opus-5", "none", None, {"thinking": {"type": "disabled"}}),
        ("global.anthropic.claude-sonnet-5-5", "none", None, {"thinking": {"type": "between_tools"}}),
        (
            "us.amazon.nova-2-lite-v1:0",
            "medium",
            None,
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
        ),
        ("us.amazon.nova-2-lite-v1:0", "none", None, None),
        ("openai.gpt-oss-20b-1:0", "high", None, {"reasoning_effort": "high"}),
    ],
)
def test_reasoning_is_asked_for_in_each_models_words(
    model: str, effort: str, output: dict[str, Any] | None, more: dict[str, Any] | None
):
    asked = request(model_name=model, reasoning_effort=effort)
    require_features(BEDROCK, asked)
    parameters = render(asked, model=model)
    assert parameters.get("outputConfig") == output
    assert parameters.get("additionalModelRequestFields") == more


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("us.anthropic.claude-opus-5-5", "none"),
        ("us.anthropic.claude-fable-5-v1:0", "none"),
        ("us.amazon.nova-2-lite-v1:0", "max"),
        ("openai.gpt-oss-20b-1:0", "none"),
    ],
)
def test_an_effort_that_the_model_does_not_know(model: str, effort: str):
    with pytest.raises(InvalidRequest, match=effort):
        require_features(BEDROCK, request(model_name=model, reasoning_effort=effort))


def test_a_budget_has_to_fit_the_limit():
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    with pytest.raises(InvalidRequest, match="max_tokens"):
        render(request(model_name=model, reasoning_effort="medium", max_tokens=4_096), model=model)


def test_models_that_reason_do_not_sample_meanwhile():
    for model in ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", MODEL):
        require_features(BEDROCK, request(model_name=model, temperature=0.5))
        with pytest.raises(InvalidRequest, match="temperature"):
            require_features(BEDROCK, request(model_name=model, temperature=0.5, reasoning_effort="low"))


# The request.


def test_the_whole_request():
    data = base64.b64encode(b"%PDF-1.7").decode()
    schema = {"type": "object", "title": "A city!", "properties": {}}
    closed = json.dumps({**schema, "additionalProperties": False})
    pdf = {"media_type": "application/pdf", "data": data}
    asked = request(
        agent_type="chat",
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        prompt="What is in them?",
        system_prompt="Be brief.",
        max_tokens=50,
        temperature=0.5,
        stop=["END"],
        response_schema=schema,
        attachments=[
            {**pdf, "name": "Q3 \N{EN DASH} report_v2 (final).pdf"},
            {**pdf, "name": "q3 report v2 (final).PDF"},
            pdf,
            {"media_type": "image/webp", "data": data},
        ],
    )

    def document(name: str) -> dict[str, Any]:
        return {"document": {"format": "pdf", "name": name, "source": {"bytes": b"%PDF-1.7"}}}

    assert render(asked, model=MODEL) == {
        "modelId": MODEL,
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"text": "Hello"}]},
            {
                "role": "user",
                "content": [
                    document("Q3 report v2 (final)"),
                    document("q3 report v2 (final) 2"),
                    document("document"),
                    {"image": {"format": "webp", "source": {"bytes": b"%PDF-1.7"}}},
                    {"text": "What is in them?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": closed, "name": "A_city"}},
            }
        },
    }


# The answer.


def _answer(text: str = "Paris.", **fields: Any) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 551},
        **fields,
    }


def test_turns_of_one_role_in_a_row_are_one_turn():
    turns = [
        {"role": role, "content": text}
        for role, text in (("user", "a"), ("assistant", ""), ("user", "b"), ("assistant", "c"), ("user", "d"))
    ]
    image = {"media_type": "image/png", "data": base64.b64encode(b"PNG").decode()}
    asked = request(agent_type="chat", messages=turns, prompt="e", attachments=[image])
    assert render(asked, model=MODEL)["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": [{"text": "c"}]},
        {
            "role": "user",
            "content": [
                {"text": "d"},
                {"image": {"format": "png", "source": {"bytes": b"PNG"}}},
                {"text": "e"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"inputTokens": 30, "outputTokens": 5, "totalTokens": 35}, (30, 5, 35, None, None)),
        # Beside what was read, whether the total counts them or not.
        (
            {
                "inputTokens": 30,
                "outputTokens": 5,
                "totalTokens": 155,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 20,
            },
            (150, 5, 155, 100, 20),
        ),
        (
            {"inputTokens": 30, "outputTokens": 5, "totalTokens": 35, "cacheReadInputTokens": 100},
            (130, 5, 135, 100, None),
        ),
        (
            {
                "inputTokens": 3,
                "outputTokens": 5,
                "totalTokens": 8,
                "cacheReadInputTokens": 0,
                "cacheWriteInputTokens": 0,
            },
            (3, 5, 8, 0, 0),
        ),
        ({"inputTokens": 30, "outputTokens": 5, "totalTokens": 36}, None),
        ({"inputTokens": 30, "outputTokens": 5, "totalTokens": 34}, None),
        ({"inputTokens": 30}, None),
        ({"inputTokens": -1, "outputTokens": 5}, None),
        ({"inputTokens": "30", "outputTokens": 5}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage(told: object, usage: tuple[int | None, ...] | None):
    found = read_usage(told)
    if usage is None:
        assert found is None
        return
    names = (
        *("input_tokens", "output_tokens", "total_tokens"),
        *("cached_input_tokens", "cache_write_input_tokens"),
    )
    assert found == TokenUsage.model_validate(dict(zip(names, usage, strict=True)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("malformed_model_output", "other"),
        ("a reason of a later day", "other"),
    ],
)
def test_stop_reasons(vendor: VendorServer, said: str, reason: str):
    vendor.will(Reply.json(_answer(stopReason=said)))
    response = ask(vendor)
    assert response.error is None
    assert response.finish_reason == reason
    assert response.response == "Paris."


def test_the_service_tier_is_kept(vendor: VendorServer):
    vendor.will(Reply.json(_answer(serviceTier={"type": "flex"})))
    assert ask(vendor).service_tier == "flex"


def test_only_text_is_shown(vendor: VendorServer):
    content = [
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        {"text": "Pa"},
        {"toolUse": {"name": "x"}},
        {"text": "ris."},
    ]
    vendor.will(Reply.json(_answer(output={"message": {"role": "assistant", "content": content}})))
    assert ask(vendor).response == "Paris."


# Streams.


def streamed(vendor: VendorServer, events: Sequence[bytes]) -> AgentResponse:
    vendor.will(DIALECT.streamed(events))
    return ask(vendor, stream=True)


def test_reasoning_and_unknown_events_bring_no_text(vendor: VendorServer):
    start, first, *rest = DIALECT.events(Answer())
    thought = event("contentBlockDelta", {"delta": {"reasoningContent": {"text": "Hm."}}})
    response = streamed(vendor, [start, thought, event("aLaterDay", {"text": "?"}), first, *rest])
    assert response.error is None
    assert response.response == Answer().text


@pytest.mark.parametrize("left_out", [-1, -2])
def test_a_stream_is_complete_only_with_both_end_marks(vendor: VendorServer, left_out: int):
    events = DIALECT.events(Answer())
    del events[left_out]
    response = streamed(vendor, events)
    assert code_of(response) == "BAD_PROVIDER_RESPONSE"
    assert response.response == Answer().text
    assert response.token_usage is None


@pytest.mark.parametrize("place", ["length", "header", "payload", "sum"])
def test_a_frame_that_was_changed_on_the_way(vendor: VendorServer, place: str):
    events = DIALECT.events(Answer())
    at = {"length": 3, "header": 15, "payload": -30, "sum": -1}[place]
    broken = bytearray(events[2])
    broken[at] ^= 1
    response = streamed(vendor, [*events[:2], bytes(broken), *events[3:]])
    assert code_of(response) == "BAD_PROVIDER_RESPONSE"
    assert response.response == Answer().pieces[0]


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"null", b"\xff"])
def test_an_event_that_is_no_object(vendor: VendorServer, payload: bytes):
    headers = {":event-type": "contentBlockDelta", ":message-type": "event"}
    response = streamed(vendor, [*DIALECT.events(Answer())[:2], frame(headers, payload)])
    assert code_of(response) == "BAD_PROVIDER_RESPONSE"


@pytest.mark.parametrize(
    ("name", "words", "code", "retryable"),
    [
        ("throttlingException", "Too many tokens", "RATE_LIMITED", True),
        ("modelStreamErrorException", "It broke", "PROVIDER_UNAVAILABLE", True),
        ("internalServerException", "It broke", "PROVIDER_UNAVAILABLE", True),
        ("serviceUnavailableException", "Too busy", "PROVIDER_UNAVAILABLE", True),
        ("validationException", "Bad", "INVALID_REQUEST", False),
        (
            "validationException",
            "The model returned the following errors: Input is too long for requested model.",
            "CONTEXT_LENGTH_EXCEEDED",
            False,
        ),
        ("validationException", "Output blocked by content filtering policy", "CONTENT_FILTERED", False),
        ("anExceptionOfALaterDay", "What?", "PROVIDER_UNAVAILABLE", True),
    ],
)
def test_an_exception_in_a_stream(vendor: VendorServer, name: str, words: str, code: str, retryable: bool):
    response = streamed(vendor, [*DIALECT.events(Answer())[:2], exception(name, words)])
    assert code_of(response) == code
    assert response.error is not None
    assert response.error.retryable is retryable
    assert response.response == Answer().pieces[0]


def test_an_error_frame_without_a_model(vendor: VendorServer):
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "It broke"}
    assert code_of(streamed(vendor, [frame(headers, b"")])) == "PROVIDER_UNAVAILABLE"


# Refusals.


def _refusal(status: int, code: str, message: str = "no", *, in_body: bool = False) -> Reply:
    if in_body:
        return Reply.json({"__type": f"com.amazon.coral.service#{code}", "Message": message}, status=status)
    return Reply.json({"message": message}, status=status, headers={"x-amzn-ErrorType": f"{code}:http://x/"})


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize(
    ("status", "name", "code", "retryable", "remedy"),
    [
        (403, "ExpiredTokenException", "AUTHENTICATION_FAILED", False, "aws sso login"),
        (403, "InvalidSignatureException", "AUTHENTICATION_FAILED", False, "clock"),
        (403, "UnrecognizedClientException", "AUTHENTICATION_FAILED", False, "AWS_ACCESS_KEY_ID"),
        (403, "AccessDeniedException", "PERMISSION_DENIED", False, "Model access"),
        (403, "SomethingElse", "PERMISSION_DENIED", False, "bedrock:InvokeModel"),
        (404, "ResourceNotFoundException", "MODEL_NOT_FOUND", False, "us-east-1"),
        (400, "ServiceQuotaExceededException", "RATE_LIMITED", False, "Service Quotas"),
        (429, "ThrottlingException", "RATE_LIMITED", True, "later"),
        (429, "ModelNotReadyException", "PROVIDER_UNAVAILABLE", True, "not ready"),
        (408, "ModelTimeoutException", "PROVIDER_TIMEOUT", True, "Ask for less"),
        (424, "ModelErrorException", "PROVIDER_UNAVAILABLE", True, "later"),
        (400, "ValidationException", "INVALID_REQUEST", False, "no"),
    ],
)
def test_error_codes(
    vendor: VendorServer, in_body: bool, status: int, name: str, code: str, retryable: bool, remedy: str
):
    vendor.will(_refusal(status, name, in_body=in_body))
    response = ask(vendor)
    assert code_of(response) == code
    assert response.error is not None
    assert response.error.retryable is retryable
    assert response.error.provider_status == status
    assert remedy in response.error.message
    assert len(vendor.requests) == 1


def test_words_mean_something_only_where_there_is_nothing_else(vendor: VendorServer):
    words = "prompt is too long: 200049 tokens > 200000 maximum"
    vendor.will(_refusal(429, "ThrottlingException", words))
    assert code_of(ask(vendor)) == "RATE_LIMITED"
    vendor.will(_refusal(400, "ValidationException", words))
    assert code_of(ask(vendor)) == "CONTEXT_LENGTH_EXCEEDED"


# Application inference profiles.


def _profile(*arns: str) -> Reply:
    return Reply.json(
        {
            "inferenceProfileName": "team-a",
            "inferenceProfileArn": PROFILE,
            "inferenceProfileId": "abc123def456",
            "type": "APPLICATION",
            "status": "ACTIVE",
            "models": [{"modelArn": arn} for arn in arns],
        }
    )


def _arns(model: str, *regions: str) -> list[str]:
    return [f"arn:aws:bedrock:{region}::foundation-model/{model}" for region in regions]


def complete(vendor: VendorServer, provider: BedrockProvider, **fields: Any) -> str:
    asked = request(base_url=vendor.url, **{"model_name": PROFILE, **fields})
    return provider.complete(asked, Limits(timeout_seconds=20)).model


@pytest.mark.parametrize(
    ("regions", "prefix"),
    [
        (("us-east-1",), ""),
        (("us-east-1", "us-west-2"), "us."),
        (("eu-west-1", "eu-central-1"), "eu."),
        (("ap-south-1", "ap-northeast-1"), "apac."),
        (("us-east-1", ""), "global."),
    ],
)
def test_an_application_profile_is_looked_up_once(
    vendor: VendorServer, provider: BedrockProvider, regions: tuple[str, ...], prefix: str
):
    vendor.will(_profile(*_arns(OPUS, *regions)), Reply.json(_answer()), Reply.json(_answer()))
    assert complete(vendor, provider) == f"{prefix}{OPUS}"
    assert complete(vendor, provider) == f"{prefix}{OPUS}"
    paths = [unquote(received.path) for received in vendor.requests]
    assert paths == [f"/inference-profiles/{PROFILE}", *[f"/model/{PROFILE}/converse"] * 2]
    assert scope(vendor)[2] == "us-east-1"


def test_what_the_model_behind_a_profile_lacks_is_refused_unsent(
    vendor: VendorServer, provider: BedrockProvider
):
    vendor.will(_profile(*_arns(OPUS, "us-east-1")), Reply.json(_answer()))
    with pytest.raises(InvalidRequest, match=f"{OPUS} does not take temperature"):
        complete(vendor, provider, temperature=0.5)
    assert len(vendor.requests) == 1
    complete(vendor, provider, reasoning_effort="high")
    assert vendor.last.json["outputConfig"] == {"effort": "high"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_profile_that_cannot_be_looked_up_is_asked_all_the_same(
    vendor: VendorServer, provider: BedrockProvider, status: int
):
    vendor.will(
        _refusal(status, "AccessDeniedException" if status == 403 else "Other"), Reply.json(_answer())
    )
    assert complete(vendor, provider) == PROFILE


def test_a_stop_while_a_profile_is_looked_up(vendor: VendorServer):
    vendor.will(Reply.silence())
    cancel = CancelToken()

    def stop_when_asked() -> None:
        until = time.monotonic() + 20
        while not vendor.requests and time.monotonic() < until:
            time.sleep(0.01)
        cancel.cancel()

    thread = threading.Thread(target=stop_when_asked)
    thread.start()
    assert code_of(ask(vendor, model_name=PROFILE, cancel=cancel)) == "CANCELLED"
    thread.join()
    assert len(vendor.requests) == 1


# Lists.


def models(vendor: VendorServer, provider: BedrockProvider) -> list[tuple[str, str | None]]:
    found = provider.list_models(Connection(base_url=vendor.url), Limits(timeout_seconds=20))
    return [(model.name, model.label) for model in found]


def _foundation(*names: str, ways: Sequence[str] = ("ON_DEMAND",)) -> Reply:
    return Reply.json(
        {
            "modelSummaries": [
                {
                    "modelId": name,
                    "modelName": name.split(".")[1],
                    "providerName": "Amazon",
                    "inferenceTypesSupported": list(ways),
                }
                for name in names
            ]
        }
    )


def _system_profile(name: str) -> dict[str, Any]:
    return {
        "inferenceProfileId": name,
        "inferenceProfileArn": f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{name}",
        "inferenceProfileName": f"US {name}",
        "type": "SYSTEM_DEFINED",
        "models": [{"modelArn": arn} for arn in _arns(name.partition(".")[2], "us-east-1", "us-west-2")],
    }


def test_models_and_profiles_of_all_pages(vendor: VendorServer, provider: BedrockProvider):
    application = json.loads(b"".join(_profile(*_arns(OPUS, "us-east-1")).chunks))
    vendor.will(
        _foundation("amazon.nova-lite-v1:0", "amazon.titan-embed-text-v2:0", "amazon.nova-sonic-v1:0"),
        Reply.json({"inferenceProfileSummaries": [_system_profile(f"us.{OPUS}")], "nextToken": "more/="}),
        Reply.json({"inferenceProfileSummaries": [application, _system_profile("us.cohere.embed-v4:0")]}),
    )
    assert models(vendor, provider) == [
        ("amazon.nova-lite-v1:0", "Amazon nova-lite-v1:0"),
        (PROFILE, "team-a"),
        (f"us.{OPUS}", f"US us.{OPUS}"),
    ]
    paths = [received.path for received in vendor.requests]
    assert paths == [
        "/foundation-models?byOutputModality=TEXT",
        "/inference-profiles?maxResults=1000",
        "/inference-profiles?maxResults=1000&nextToken=more%2F%3D",
    ]


def test_a_model_that_only_a_profile_asks_is_not_listed_by_its_own_name(
    vendor: VendorServer, provider: BedrockProvider
):
    vendor.will(_foundation(OPUS, ways=("INFERENCE_PROFILE",)), Reply.json({"inferenceProfileSummaries": []}))
    assert models(vendor, provider) == []


def test_a_list_of_profiles_without_an_end_ends(vendor: VendorServer, provider: BedrockProvider):
    vendor.will(_foundation("amazon.nova-lite-v1:0"))
    vendor.otherwise(Reply.json({"inferenceProfileSummaries": [], "nextToken": "again"}))
    assert len(models(vendor, provider)) == 1
    assert len(vendor.requests) < 100


def test_profiles_that_may_not_be_listed_leave_the_models(vendor: VendorServer, provider: BedrockProvider):
    vendor.will(_foundation("amazon.nova-lite-v1:0"), _refusal(403, "AccessDeniedException"))
    assert [name for name, _ in models(vendor, provider)] == ["amazon.nova-lite-v1:0"]


def test_a_list_that_is_not_allowed_says_which_permissions_it_needs(
    vendor: VendorServer, provider: BedrockProvider
):
    vendor.will(_refusal(403, "AccessDeniedException"))
    with pytest.raises(PermissionDenied, match="bedrock:ListFoundationModels"):
        models(vendor, provider)


@pytest.mark.usefixtures("no_credentials")
def test_a_list_needs_credentials_too(vendor: VendorServer, provider: BedrockProvider):
    with pytest.raises(MissingApiKey):
        models(vendor, provider)


# Prices.

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
        (BEDROCK.default_model, 4_000 * 1_000 + 4_000 * 100 + 2_000 * 1_250 + 1_000 * 5_000),
        (
            "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            4_000 * 1_100 + 4_000 * 110 + 2_000 * 1_375 + 1_000 * 5_500,
        ),
        ("us.anthropic.claude-sonnet-4-6", 4_000 * 3_300 + 4_000 * 330 + 2_000 * 4_125 + 1_000 * 16_500),
        ("anthropic.claude-opus-4-7", 4_000 * 5_500 + 4_000 * 550 + 2_000 * 6_875 + 1_000 * 27_500),
    ],
)
def test_models_have_a_price_with_their_cached_tokens(model: str, nanousd: int):
    cost = price_tokens(
        "BEDROCK",
        model,
        USAGE,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        overrides=NO_OVERRIDES,
        service_tier="default",
    )
    assert cost is not None
    assert cost.total_nanousd == nanousd


def test_what_is_remembered_of_model_names_has_an_end():
    assert reasoning_of.cache_info().maxsize is not None
