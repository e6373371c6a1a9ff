"""What is Ollama's own: addresses of every form, a key that is optional, odd servers, and what it costs."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.contract import AgentRequest, AgentResponse, Metadata, TokenUsage, parse_request
from core.errors import InvalidRequest, MissingApiKey
from core.execution.base import Attempt
from core.ids import uuid7
from core.interruption import Limits
from core.invocation import invoke
from core.pricing.catalogue import find_model, find_price, is_doubtful_server, known_models
from core.pricing.cost import price_tokens
from core.pricing.estimate import estimate
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides
from core.providers import registry
from core.providers.base import Connection
from core.providers.clients import MAX_CLIENTS
from core.providers.features import require_features
from core.providers.keys import resolve_api_key
from core.providers.ollama import OllamaProvider
from core.providers.ollama_wire import read_lines, read_usage, render
from core.providers.rows_ollama import OLLAMA
from core.providers.spec import Feature
from core.services.attempt_records import attempt_record
from tests.support.vendor_server import Reply, VendorServer, refused_url

KEY = "ollama-canary-0123456789"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n not really").decode()
USAGE = TokenUsage(input_tokens=10, output_tokens=5, total_tokens=15)


def request(**fields: Any) -> AgentRequest:
    payload = {"provider": "OLLAMA", "model_name": "gemma4", "prompt": "Hello", **fields}
    return parse_request(payload, providers=registry.specs())


def line(content: str = "", **fields: Any) -> dict[str, Any]:
    return {"model": "gemma4", "message": {"role": "assistant", "content": content}, "done": False, **fields}


DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}


# Requests.


def test_a_request_says_only_what_is_set():
    assert render(request(), stream=False) == {
        "model": "gemma4",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }


def test_every_parameter_has_its_place():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    body = render(
        request(
            max_tokens=5, temperature=0, top_p=0.5, stop=["x"], seed=-1, response_schema=schema,
            system_prompt="Be brief.", attachments=[{"media_type": "image/webp", "data": PIXEL}],
        ),
        stream=True,
    )  # fmt: skip
    assert body["options"] == {"num_predict": 5, "temperature": 0, "top_p": 0.5, "stop": ["x"], "seed": -1}
    assert body["format"] == schema
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello", "images": [PIXEL]},
    ]
    assert body["stream"] is True


def test_a_schema_keeps_its_nulls_on_the_wire(vendor: VendorServer):
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None], "default": None}}}
    vendor.will(Reply.json(line("{}", **DONE)))
    invoke(request(base_url=vendor.url, response_schema=schema))
    assert vendor.last.json["format"] == schema


def test_an_image_whose_text_is_a_files_path_is_sent_as_it_is(
    vendor: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The SDK sends what is in the file where a text happens to name one."""
    (tmp_path / "abcd").write_text("a secret of this machine")
    monkeypatch.chdir(tmp_path)
    vendor.will(Reply.json(line("A cat.", **DONE)))
    pictures = [{"media_type": "image/png", "data": "abcd"}]
    assert invoke(request(base_url=vendor.url, attachments=pictures)).error is None
    assert vendor.last.json["messages"][-1]["images"] == ["abcd"]


@pytest.mark.parametrize(
    ("effort", "think"), [("none", False), ("low", "low"), ("medium", "medium"), ("high", "high")]
)
def test_reasoning_effort_is_think(vendor: VendorServer, effort: str, think: object):
    vendor.will(Reply.json(line("Hi", **DONE)))
    assert invoke(request(base_url=vendor.url, reasoning_effort=effort)).error is None
    assert vendor.last.json["think"] == think


@pytest.mark.parametrize("effort", ["minimal", "xhigh", "max"])
def test_an_effort_without_a_counterpart_is_refused_by_name(effort: str):
    with pytest.raises(InvalidRequest, match=f"reasoning_effort '{effort}'"):
        require_features(OLLAMA, request(reasoning_effort=effort))


def test_gpt_oss_cannot_stop_thinking_and_sees_nothing():
    with pytest.raises(InvalidRequest, match="reasoning_effort 'none'"):
        require_features(OLLAMA, request(model_name="gpt-oss:120b-cloud", reasoning_effort="none"))
    with pytest.raises(InvalidRequest, match="images"):
        pixel = {"media_type": "image/png", "data": PIXEL}
        require_features(OLLAMA, request(model_name="gpt-oss:20b", attachments=[pixel]))
    assert Feature.IMAGES in OLLAMA.features_of("gemma4")


def test_documents_are_refused_by_name():
    pdf = {"media_type": "application/pdf", "data": "JVBERg=="}
    with pytest.raises(InvalidRequest, match=r"OLLAMA does not take documents \(PDF attachments\)\."):
        require_features(OLLAMA, request(attachments=[pdf]))


# Addresses.


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", None),
        ("127.0.0.1", None),
        ("0.0.0.0", None),
        ("0.0.0.0:11434", None),
        ("http://0.0.0.0:11434/", None),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8080", "http://gpu-box:8080"),
        ("gpu-box/ollama/", "http://gpu-box:11434/ollama"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://gpu-box/ollama", "https://gpu-box/ollama"),
        ("[::1]", "http://[::1]:11434"),
        ("[::]:8080", "http://127.0.0.1:8080"),
        ("10.0.0.0.0.example", "http://10.0.0.0.0.example:11434"),
    ],
)
def test_where_requests_go_by_what_ollama_host_says(host: str, address: str | None):
    assert OLLAMA.base_url_in_force(None, {"OLLAMA_HOST": host}) == address


def test_the_environments_server_is_asked(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", vendor.url.removeprefix("http://").replace("127.0.0.1", "0.0.0.0"))
    vendor.will(Reply.json(line("Hi", **DONE)))
    assert invoke(request()).response == "Hi"


def test_a_path_before_the_api_is_kept(vendor: VendorServer):
    vendor.will(Reply.json(line("Hi", **DONE)))
    assert invoke(request(base_url=f"{vendor.url}/ollama/")).response == "Hi"
    assert vendor.last.path == "/ollama/api/chat"


@pytest.mark.parametrize("host", ["http://gpu-box:port", "http://[::1", "gpu-box?x=1"])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, host: str):
    monkeypatch.setenv("OLLAMA_HOST", host)
    response = invoke(request())
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST", response.error
    assert "http" in response.error.message or "?" in response.error.message


def test_a_server_that_is_not_running_says_how_to_start_it():
    with refused_url() as url:
        response = invoke(request(base_url=url))
    assert response.error is not None
    assert response.error.code == "PROVIDER_UNAVAILABLE"
    assert response.error.may_be_billed is False
    assert url in response.error.message
    assert "`ollama serve`" in response.error.message


# Keys.


def test_no_key_is_needed_and_none_sent(vendor: VendorServer):
    vendor.will(Reply.json(line("Hi", **DONE)))
    assert not OLLAMA.needs_api_key
    assert OLLAMA.takes_api_key
    assert invoke(request(base_url=vendor.url)).error is None
    assert "authorization" not in vendor.last.headers


def test_the_environments_key_goes_to_this_machine_and_to_whom_the_environment_names():
    environment = {"OLLAMA_API_KEY": KEY, "OLLAMA_HOST": "gpu-box"}
    for base_url in (None, "http://127.0.0.1:9", "http://gpu-box:11434/", "https://ollama.com"):
        assert resolve_api_key(OLLAMA, Connection(base_url=base_url), environment) == KEY
    for base_url in (
        "http://gpu-box:9",
        "https://else.example",
        "http://ollama.com",
        "https://ollama.com.example",
    ):
        assert resolve_api_key(OLLAMA, Connection(base_url=base_url), environment) is None
    with pytest.raises(InvalidRequest, match="OLLAMA_API_KEY"):
        elsewhere = Connection(base_url="https://else.example", api_key_ref="env:OLLAMA_API_KEY")
        resolve_api_key(OLLAMA, elsewhere, environment)
    with pytest.raises(MissingApiKey, match="MY_KEY"):
        resolve_api_key(OLLAMA, Connection(api_key_ref="env:MY_KEY"), environment)


def test_the_sdk_adds_no_key_of_the_environment_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    client = OllamaProvider().client(None, "https://else.example")
    assert "authorization" not in client._client.headers
    assert (
        OllamaProvider().client(KEY, "https://x.example")._client.headers["authorization"] == f"Bearer {KEY}"
    )


def test_clients_are_kept_by_key_and_address_and_not_for_ever():
    provider = OllamaProvider()
    first = provider.client("a", "http://127.0.0.1:1")
    assert provider.client("a", "http://127.0.0.1:1") is first
    assert provider.client(None, "http://127.0.0.1:1") is not first
    for port in range(2, MAX_CLIENTS + 2):
        provider.client("a", f"http://127.0.0.1:{port}")
    assert provider.client("a", "http://127.0.0.1:1") is not first


# Answers.


def test_what_the_model_thinks_is_no_part_of_the_answer(vendor: VendorServer):
    thought = {"role": "assistant", "content": "", "thinking": "Hm. "}
    lines = [line() | {"message": thought}, line("Hi"), line(**DONE)]
    vendor.will(Reply.lines(lines))
    pieces: list[str] = []
    assert invoke(request(base_url=vendor.url), pieces.append).response == "Hi"
    assert pieces == ["Hi"]
    vendor.will(Reply.json(line("Hi", **DONE) | {"message": {**thought, "content": "Hi"}}))
    assert invoke(request(base_url=vendor.url)).response == "Hi"


@pytest.mark.parametrize(
    ("said", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other"), (None, None), (7, None)],
)
def test_finish_reasons(vendor: VendorServer, said: object, reason: str | None):
    vendor.will(Reply.json(line("Hi", **DONE) | {"done_reason": said}))
    assert invoke(request(base_url=vendor.url)).finish_reason == reason


@pytest.mark.parametrize(
    "counts",
    [{}, {"eval_count": 2}, {"prompt_eval_count": 2}, {"prompt_eval_count": -1, "eval_count": 1},
     {"prompt_eval_count": "3", "eval_count": 1}],
)  # fmt: skip
def test_a_count_that_is_missing_makes_usage_unknown(counts: dict[str, object]):
    assert read_usage(counts) is None


def test_usage():
    assert read_usage({"prompt_eval_count": 10, "eval_count": 5}) == USAGE


def test_a_whole_answer_must_say_that_it_is_complete(vendor: VendorServer):
    vendor.will(Reply.json(line("Half an ans")))
    response = invoke(request(base_url=vendor.url))
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"


def test_lines_are_parted_at_line_breaks_only(vendor: VendorServer):
    """Go's encoder leaves U+0085 as it is, at which the SDK parts its lines."""
    text = "a\u0085b\x0cc\u2028d"
    raw = [json.dumps(part, ensure_ascii=False).encode() + b"\r\n" for part in (line(text), line(**DONE))]
    vendor.will(Reply(headers={"Content-Type": "application/x-ndjson"}, chunks=tuple(raw), streamed=True))
    assert invoke(request(base_url=vendor.url), lambda _: None).response == text


def test_lines_wherever_they_were_cut():
    wire = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'
    for size in range(1, len(wire) + 1):
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        assert list(read_lines(pieces)) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_server_that_answers_a_stream_at_once(vendor: VendorServer):
    vendor.will(Reply.json(line("Hi", **DONE)))
    assert invoke(request(base_url=vendor.url), lambda _: None).response == "Hi"


# Failures.


def failed(vendor: VendorServer, reply: Reply, **fields: Any) -> Any:
    vendor.will(reply)
    response = invoke(request(base_url=vendor.url, **fields))
    assert response.error is not None
    return response.error


def test_a_missing_model_says_how_to_get_it(vendor: VendorServer):
    error = failed(vendor, Reply.json({"error": "model 'gemma4' not found"}, status=404))
    assert error.code == "MODEL_NOT_FOUND"
    assert "`ollama pull gemma4`" in error.message
    assert vendor.url in error.message


def test_an_address_without_the_api_says_what_an_address_is(vendor: VendorServer):
    error = failed(vendor, Reply.text("404 page not found", status=404))
    assert error.code == "MODEL_NOT_FOUND"
    assert "without /v1 or /api" in error.message


def test_a_server_that_is_not_signed_in_says_how(vendor: VendorServer):
    body = {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x&key=y"}
    error = failed(vendor, Reply.json(body, status=401), model_name="gpt-oss:120b-cloud")
    assert error.code == "AUTHENTICATION_FAILED"
    assert "`ollama signin`" in error.message
    error = failed(vendor, Reply.json(body, status=401), api_key=KEY)
    assert "Settings > Credentials" in error.message


def test_a_payment_that_is_due_is_no_matter_of_waiting(vendor: VendorServer):
    error = failed(vendor, Reply.json({"error": "payment required"}, status=402))
    assert (error.code, error.retryable) == ("RATE_LIMITED", False)


@pytest.mark.parametrize(
    "said", ['"llama3.2" does not support thinking', 'think value "low" is not supported']
)
def test_what_a_model_lacks_is_quoted(vendor: VendorServer, said: str):
    error = failed(vendor, Reply.json({"error": said}, status=400), reasoning_effort="low")
    assert error.code == "INVALID_REQUEST"
    assert said in error.message


def test_an_error_with_a_success_status(vendor: VendorServer):
    error = failed(vendor, Reply.json({"error": "an error was encountered while running the model"}))
    assert (error.code, error.retryable) == ("PROVIDER_UNAVAILABLE", True)
    assert "while running the model" in error.message


# Models.


def test_models_by_name_with_their_size_and_without_those_for_embeddings(vendor: VendorServer):
    details = {"parameter_size": "4.3B", "quantization_level": "Q4_K_M"}
    rows = [
        {"name": "qwen3:8b", "model": "qwen3:8b", "details": details},
        {"name": "gemma4:cloud", "remote_model": "gemma4:31b", "remote_host": "https://ollama.com:443"},
        {"name": "nomic-embed-text:latest"},
        {"name": "bge-m3:latest"},
        {"name": "a", "details": None},
        {"size": 3},
        "nonsense",
    ]
    vendor.will(Reply.json({"models": rows}))
    found = OllamaProvider().list_models(Connection(base_url=vendor.url), Limits(timeout_seconds=10))
    assert [(model.name, model.label) for model in found] == [
        ("a", None),
        ("gemma4:cloud", "on Ollama's cloud"),
        ("qwen3:8b", "4.3B, Q4_K_M"),
    ]
    assert [(seen.method, seen.path) for seen in vendor.requests] == [("GET", "/api/tags")]


# Money.

NOW = datetime(2026, 11, 22, tzinfo=UTC)


PLAINLY_OWN = [
    *(None, "http://localhost:11434", "http://127.0.0.9", "http://[::1]:11434", "http://dev.localhost"),
    *("http://10.0.0.7:11434", "http://172.31.0.1", "https://192.168.1.2/", "http://169.254.1.2"),
    *("http://[fe80::1]:11434", "http://[fd12:3456::1]", "http://[::ffff:10.0.0.7]"),
    *("http://ollama:11434", "http://GPU-BOX", "http://3090-box", "http://box.local", "http://box.lan"),
    *("http://host.docker.internal:11434", "http://nas.home.arpa", "http://ollama.models.svc"),
    "http://ollama.models.svc.cluster.local:11434",
]
NOT_PLAINLY_OWN = [
    *("https://api.hosted-ollama.example", "https://llm.company.example", "https://ollama.com.example"),
    *(
        "http://8.8.8.8:11434",
        "http://172.32.0.1",
        "http://100.64.0.1",
        "http://[2001:db8::1]",
        "http://[::ffff:8.8.8.8]",
    ),
    *("http://134744072", "http://0x08080808", "http://ai.", "http://box.local.example"),
    *("http://notlocal.example", "http://10.0.0.7.example", "http://127.0.0.1@api.hosted-ollama.example"),
]


@pytest.mark.parametrize("base_url", PLAINLY_OWN)
@pytest.mark.parametrize("model", ["gemma4", "gpt-oss:120b", "hf.co/someone/cloudy:Q4", "anything"])
@pytest.mark.parametrize("usage", [USAGE, None])
def test_a_server_of_ones_own_is_free_and_known_to_be(
    base_url: str | None, model: str, usage: TokenUsage | None
):
    cost = price_tokens("OLLAMA", model, usage, at=NOW, overrides=NO_OVERRIDES, base_url=base_url)
    assert cost is not None
    assert (cost.total_nanousd, cost.source) == (0, "self-hosted")


@pytest.mark.parametrize("base_url", NOT_PLAINLY_OWN)
def test_what_a_server_bills_that_is_not_plainly_ones_own_is_unknown(base_url: str):
    assert price_tokens("OLLAMA", "gemma4", USAGE, at=NOW, overrides=NO_OVERRIDES, base_url=base_url) is None
    assert is_doubtful_server("OLLAMA", base_url)
    found = estimate("OLLAMA", "gemma4", texts=["Hello"], overrides=NO_OVERRIDES, base_url=base_url)
    assert (found.cost_low_nanousd, found.cost_high_nanousd, found.source) == (None, None, None)
    attempt = Attempt(
        response=AgentResponse(
            provider="OLLAMA", model="gemma4", response="Hi", finish_reason="stop", execution_time_seconds=1,
            token_usage=USAGE, metadata=Metadata(), timestamp=NOW,
        ),
        backend="LOCAL", started_at=NOW, finished_at=NOW, latency_us=1,
    )  # fmt: skip
    record = attempt_record(attempt, run_id=uuid7(), ordinal=1, final=True, cost=None, base_url=base_url)
    assert record.tokens_cost_nanousd is None
    assert "add a price of 0 under Settings > Prices" in (record.price_source or "")


def test_an_override_of_zero_says_that_a_server_is_ones_own():
    rows = PriceOverrides(
        [PriceOverride.from_mapping(
            {"provider": "OLLAMA", "model_pattern": "*", "input_usd_per_mtok": "0", "output_usd_per_mtok": "0"}
        )]
    )  # fmt: skip
    cost = price_tokens(
        "OLLAMA", "gemma4", USAGE, at=NOW, overrides=rows, base_url="https://llm.company.example"
    )
    assert cost is not None
    assert cost.total_nanousd == 0


def test_only_a_server_that_may_be_ones_own_is_in_doubt():
    for base_url in (*PLAINLY_OWN, "https://ollama.com", "https://api.groq.com/openai/v1"):
        assert not is_doubtful_server("OLLAMA", base_url)
    assert not is_doubtful_server("OPENAI", "https://llm.company.example")


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gemma4:cloud", {}),
        ("gpt-oss:120b-cloud", {}),
        ("GPT-OSS:120B-CLOUD", {}),
        ("someone/model:cloud", {"base_url": "http://10.0.0.7:11434"}),
        ("gemma4:31b", {"base_url": "https://ollama.com"}),
        ("gemma4:31b", {"base_url": "https://OLLAMA.com/"}),
        ("copy", {"answered_by_model": "gpt-oss:120b-cloud"}),
        ("copy", {"service_tier": "cloud"}),
        ("gemma4", {"base_url": "https://api.groq.com/openai/v1"}),
    ],
)
def test_the_price_of_ollamas_cloud_is_unknown_and_not_zero(model: str, fields: dict[str, str]):
    assert price_tokens("OLLAMA", model, USAGE, at=NOW, overrides=NO_OVERRIDES, **fields) is None


def test_an_override_goes_before_both():
    rows = PriceOverrides(
        [PriceOverride.from_mapping(
            {"provider": "OLLAMA", "model_pattern": "*", "input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}
        )]
    )  # fmt: skip
    for model in ("gemma4", "gemma4:cloud"):
        cost = price_tokens("OLLAMA", model, USAGE, at=NOW, overrides=rows)
        assert cost is not None
        assert cost.total_nanousd == 10 * 1_000 + 5 * 2_000


def test_an_estimate_of_ones_own_server_is_zero_at_both_ends():
    found = estimate("OLLAMA", "gemma4", texts=["Hello"], overrides=NO_OVERRIDES)
    assert (found.cost_low_nanousd, found.cost_high_nanousd, found.source) == (0, 0, "self-hosted")
    assert not estimate("OLLAMA", "gemma4:cloud", texts=["Hello"], overrides=NO_OVERRIDES).priced


def test_a_models_price_as_a_form_shows_it():
    model = find_model("OLLAMA", "gemma4")
    assert model is not None
    assert (model.input_usd_per_mtok, model.source) == (0, "self-hosted")
    assert find_model("OLLAMA", "gemma4:cloud") is None
    assert known_models("OLLAMA") == []


def test_no_other_provider_is_self_hosted():
    for spec in registry.specs().values():
        price = find_price(
            spec.name, "some-model", at=NOW, overrides=NO_OVERRIDES, base_url="http://127.0.0.1:1"
        )
        assert (price is not None and price.source == "self-hosted") is (spec.name == "OLLAMA")


def test_an_answer_made_elsewhere_is_told_of(vendor: VendorServer):
    away = {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}
    vendor.will(
        Reply.json(line("Hi", **DONE, **away)), Reply.lines([line("Hi", **away), line(**DONE, **away)])
    )
    for listener in (None, lambda _: None):
        assert invoke(request(base_url=vendor.url), listener).service_tier == "cloud"
