"""`handle(event, context)`, called as the runtime calls it: time, keys, garbage, logs and versions."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.code_version import thin_files
from core.contract import CONTRACT_VERSION, AgentRequest, AgentResponse
from core.loggers import JsonFormatter
from lambda_handler import function_logs, handler, refusals
from lambda_handler.call import MARGIN_SECONDS, Call
from tests.support.environment import ROOT
from tests.support.vendor_server import Reply, VendorServer

KEY = "sk-canary-0123456789abcdef"


class Context:
    """What Lambda passes."""

    aws_request_id = "8f5-request"

    def __init__(self, seconds: float = 60, *, run_id: object = None) -> None:
        self.ends_at = time.monotonic() + seconds
        self.client_context = None if run_id is None else SimpleNamespace(custom={"run_id": run_id})

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - time.monotonic()) * 1000)


def demo(prompt: str = "Hi", **more: object) -> dict[str, object]:
    return {"provider": "DEMO", "model_name": "demo-echo", "prompt": prompt, **more}


def openai(vendor: VendorServer, **more: object) -> dict[str, object]:
    base = {"provider": "OPENAI", "model_name": "gpt-x", "prompt": "Hi", "base_url": f"{vendor.url}/v1"}
    return {**base, **more}


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(refusals.ALLOW_LOOPBACK, "true")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="agent_launcher")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonFormatter().format(record)) for record in log.records]


def test_the_answer_is_the_contracts() -> None:
    wire = handler.handle(demo(agent_name="Greeter", context={"a": 1}), Context())
    assert wire["metadata"] == {
        "agent_type": "one-shot",
        "agent_name": "Greeter",
        "context_provided": True,
        "custom_system_prompt": False,
        "execution_backend": "LAMBDA",
    }
    assert AgentResponse.model_validate(json.loads(json.dumps(wire))).error is None


# Time.


def test_it_ends_before_its_time_with_what_was_received() -> None:
    context = Context(MARGIN_SECONDS + 0.5)
    wire = handler.handle(demo("[[chunk_delay=0.1]] Tell me [[words=300]]"), context)
    assert context.get_remaining_time_in_millis() > 0
    assert wire["error"]["code"] == "DEADLINE_EXCEEDED"
    assert wire["response"].startswith("You asked")


def test_the_requests_own_limit_holds_if_it_is_shorter() -> None:
    started = time.monotonic()
    wire = handler.handle(demo("[[delay=5]]", timeout_seconds=0.2), Context(30))
    assert wire["error"]["code"] == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 2


def test_a_longer_limit_than_the_functions_is_cut() -> None:
    started = time.monotonic()
    wire = handler.handle(demo("[[delay=30]]", timeout_seconds=800), Context(MARGIN_SECONDS + 0.3))
    assert wire["error"]["code"] == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 3


def test_without_time_nothing_is_sent(vendor: VendorServer, loopback: None) -> None:
    wire = handler.handle(openai(vendor, api_key=KEY), Context(MARGIN_SECONDS / 2))
    assert wire["error"]["code"] == "DEADLINE_EXCEEDED"
    assert wire["error"]["may_be_billed"] is False
    assert "TimeoutSeconds" in wire["error"]["message"]
    assert vendor.requests == []


def test_without_a_context_there_is_no_limit_but_the_requests() -> None:
    assert handler.handle(demo(timeout_seconds=5))["response"]


# Garbage.


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "must be a JSON object, not NoneType"),
        ([], "must be a JSON object, not list"),
        ("text", "must be a JSON object, not str"),
        ({}, "provider: is missing"),
        ({"requestContext": {}, "body": json.dumps({"provider": "DEMO"})}, "API Gateway or a function URL"),
        ({"httpMethod": "POST"}, "API Gateway"),
        ({"Records": [{}]}, "a queue"),
        ({"detail-type": "Scheduled Event", "source": "aws.events"}, "EventBridge"),
        ({"provider": "DEMO", "model_name": "m", "prompt": "x" * 5_000_000}, "has 5000000 characters"),
        ({"provider": "DEMO", "model_name": "m", "prompt": "x", "k" * 1_000_000: 1}, "unknown field 'kkk"),
        ({"provider": {"api_key": KEY}, "model_name": [KEY], "prompt": 7}, "provider: is not text"),
        ({"provider": "DEMO", "model_name": "m", "prompt": "x", "context": {"a": float("nan")}}, "context"),
    ],
)
def test_garbage_is_refused_clearly(event: object, said: str, log: pytest.LogCaptureFixture) -> None:
    wire = handler.handle(event, Context())
    assert wire["error"]["code"] == "INVALID_REQUEST"
    assert said in wire["error"]["message"]
    assert wire["metadata"]["execution_backend"] == "LAMBDA"
    assert len(json.dumps(wire)) < 5_000
    assert "canary" not in json.dumps(wire) + json.dumps(lines(log))


@pytest.mark.parametrize("field", ["provider", "model_name", "prompt", "agent_name", "x\ud800"])
def test_what_is_no_unicode_does_not_reach_the_runtime(field: str) -> None:
    wire = handler.handle(demo() | {field: "a\ud800b"}, Context())
    assert wire["error"]["code"] in {"INVALID_REQUEST", "UNKNOWN_PROVIDER"}
    json.dumps(wire, ensure_ascii=False).encode()  # as the runtime does; it raises what it cannot encode


def test_nor_does_such_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = handler.invoke

    def answer(*arguments: Any, **options: Any) -> AgentResponse:
        return answered(*arguments, **options).model_copy(update={"response": "é\ud800"})

    monkeypatch.setattr(handler, "invoke", answer)
    json.dumps(handler.handle(demo(), Context()), ensure_ascii=False).encode()


def test_nested_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    wire = handler.handle(demo(context=deep), Context())
    assert wire["error"]["code"] == "INVALID_REQUEST"


def test_a_provider_that_is_not_packed_in_is_named_with_the_remedy() -> None:
    wire = handler.handle({"provider": "COHERE", "model_name": "m", "prompt": "x"}, Context())
    assert wire["error"]["code"] == "UNKNOWN_PROVIDER"
    assert "deploy.sh --with" in wire["error"]["message"]


def test_a_server_on_this_machine_is_refused_with_the_advice() -> None:
    for event in (
        {"provider": "OLLAMA", "model_name": "gemma4", "prompt": "Hi"},
        {"provider": "OPENAI", "model_name": "m", "prompt": "Hi", "base_url": "http://localhost:8000/v1"},
    ):
        wire = handler.handle(event, Context())
        assert wire["error"]["code"] == "INVALID_REQUEST"
        assert wire["error"]["may_be_billed"] is False
        assert "VpcSubnetIds" in wire["error"]["message"]


def test_an_answer_that_lambda_would_not_return_keeps_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MAX_RESPONSE_BYTES", 300)
    wire = handler.handle(demo(), Context())
    assert wire["error"]["code"] == "LAMBDA_PAYLOAD_TOO_LARGE"
    assert wire["error"]["may_be_billed"] is True
    assert wire["response"] is None
    assert wire["token_usage"]["output_tokens"] > 0


def test_a_fault_of_ours_is_data_with_the_request_id(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"the key is {KEY}")

    monkeypatch.setattr(handler, "invoke", broken)
    wire = handler.handle(demo(api_key=KEY), Context())
    assert wire["error"]["code"] == "INTERNAL_ERROR"
    assert wire["error"]["request_id"] == "8f5-request"
    written = json.dumps(lines(log))
    assert "RuntimeError" in written
    assert "canary" not in json.dumps(wire) + written


# The log.


def test_one_line_says_what_it_was_without_texts_or_keys(log: pytest.LogCaptureFixture) -> None:
    handler.handle(demo("A private question", agent_name="Greeter", api_key=KEY), Context(run_id="019-run"))
    (line,) = lines(log)
    assert line["event"] == "invocation finished"
    assert (line["agent"], line["provider"], line["model"]) == ("Greeter", "DEMO", "demo-echo")
    assert line["input_tokens"] > 0
    assert line["duration_seconds"] > 0
    assert line["error_code"] is None
    assert "private" not in json.dumps(line)
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize(
    ("event", "provider"),
    [
        ({"provider": "hunter2-canary", "model_name": "m", "prompt": "x"}, None),
        ({"provider": "hunter2-canary", "model_name": "hunter2-canary"}, None),
        (
            {"provider": "OPENAI", "model_name": "hunter2-canary", "prompt": "x", "temperature": "hot"},
            "OPENAI",
        ),
        ({"provider": "OPENAI", "model_name": "hunter2-canary" * 100, "prompt": "x"}, "OPENAI"),
        ({"provider": ["hunter2-canary"], "model_name": {"hunter2-canary": 1}}, None),
    ],
)
def test_of_an_event_that_cannot_be_read_only_a_known_provider_is_written(
    event: object, provider: str | None, log: pytest.LogCaptureFixture
) -> None:
    wire = handler.handle(event, Context())  # no shape of a key, so that no redaction would find it
    (line,) = lines(log)
    assert line["error_code"] == wire["error"]["code"] in {"INVALID_REQUEST", "UNKNOWN_PROVIDER"}
    assert line["provider"] == provider
    assert "canary" not in json.dumps(line)


def test_texts_are_logged_only_where_a_setting_asks_for_them(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(function_logs.LOG_PROMPTS, "true")
    handler.handle(demo(f"A question with {KEY}", api_key=KEY), Context())
    (line,) = lines(log)
    assert line["prompt"].startswith("A question with")
    assert line["response"].startswith("You asked")
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize("run_id", ["x" * 65, "line\nbreak", 7, None, ["a"]])
def test_a_run_id_that_is_none_is_left_out(run_id: object) -> None:
    assert Call.of(Context(run_id=run_id)).run_id is None


def test_a_runs_id_comes_from_the_client_context() -> None:
    call = Call.of(Context(run_id="019-run"))
    assert (call.request_id, call.run_id) == ("8f5-request", "019-run")
    assert call.seconds == pytest.approx(60 - MARGIN_SECONDS, abs=1)


# Start.


def in_a_process(program: str, *, folder: Path = ROOT, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOADED = """
import json, sys
from lambda_handler.handler import handle
assert handle({"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hi"})["response"]
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
HEAVY = {
    "openai",
    "anthropic",
    "ollama",
    "google",
    "boto3",
    "botocore",
    "httpx",
    "httpx2",
    "requests",
    "tenacity",
}
HEAVY |= {
    "streamlit",
    "pandas",
    "plotly",
    "sqlmodel",
    "sqlalchemy",
    "genai_prices",
    "cryptography",
    "yaml",
    "rich",
}


def test_only_what_is_needed_is_imported() -> None:
    assert HEAVY.isdisjoint(in_a_process(LOADED))


def test_boto3s_core_is_enough_for_bedrock(vendor: VendorServer) -> None:
    vendor.will(
        Reply.json({"message": "no"}, status=403, headers={"x-amzn-errortype": "AccessDeniedException"})
    )
    program = f"""
import json, sys
from lambda_handler.handler import handle
event = {{"provider": "BEDROCK", "model_name": "amazon.nova-lite-v1:0", "prompt": "Hi"}}
code = handle({{**event, "base_url": {vendor.url!r}}})["error"]["code"]
print(json.dumps([code, "botocore" in sys.modules, "boto3" in sys.modules, "s3transfer" in sys.modules]))
"""
    found = in_a_process(program, AGENT_LAUNCHER_ALLOW_LOOPBACK="1", AWS_REGION="us-east-1")
    assert found == ["PERMISSION_DENIED", True, False, False]


@pytest.mark.parametrize(("runtime", "put_off"), [("127.0.0.1:9", True), (None, False)])
def test_garbage_is_looked_for_after_the_first_answer_only(
    runtime: str | None, put_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
import gc, json
usual = gc.get_threshold()
from lambda_handler.handler import handle
at_the_start, frozen = gc.get_threshold(), gc.get_freeze_count()
event = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hi"}
assert handle(event)["response"] and handle(event)["response"]
print(json.dumps([at_the_start[0] > usual[0], gc.get_threshold() == usual, gc.get_freeze_count() > frozen]))
"""
    if runtime is not None:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", runtime)
    assert in_a_process(program) == [put_off, True, put_off]


def test_with_a_snapshot_the_named_sdks_are_in_it_and_no_client_is() -> None:
    program = """
import json, logging, sys
import snapshot_restore_py
import lambda_handler.handler as handler
import random
state = random.getstate()
for hook, args, kwargs in snapshot_restore_py.get_after_restore():
    hook(*args, **kwargs)
print(json.dumps({
    "renewed": random.getstate() != state,
    "ollama": "ollama" in sys.modules, "anthropic": "anthropic" in sys.modules,
    "secrets": handler.secrets._values, "clients": handler.secrets._clients,
}))
"""
    found = in_a_process(
        program,
        AWS_LAMBDA_RUNTIME_API="127.0.0.1:1",
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
        AGENT_LAUNCHER_PRELOAD="OLLAMA, NOBODY",
    )
    assert found == {"renewed": True, "ollama": True, "anthropic": False, "secrets": {}, "clients": {}}


# Versions.


@pytest.fixture
def other_version(tmp_path: Path) -> Iterator[Any]:
    """The function's code in another folder, to be changed there and asked in a process of its own."""

    def make(changes: Mapping[str, tuple[str, str]]) -> Any:
        folder = tmp_path / "function"
        for name in thin_files():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        for name, (old, new) in changes.items():
            text = (folder / name).read_text()
            assert old in text
            (folder / name).write_text(text.replace(old, new))

        def ask(event: object) -> Any:
            program = "import json, sys\nfrom lambda_handler.handler import handle\n"
            program += f"print(json.dumps(handle(json.loads({json.dumps(event)!r}))))"
            return in_a_process(program, folder=folder)

        return ask

    yield make


def test_a_newer_caller_and_an_older_function() -> None:
    # This function is the older one; the caller says so, and sends nothing that it did not set.
    newer = AgentRequest.model_validate(demo(contract_version="1.999"))
    assert handler.handle(newer.to_wire(), Context())["response"]

    refused = handler.handle({**newer.to_wire(), "mood": "bright"}, Context())
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert "unknown field 'mood'" in refused["error"]["message"]
    older = f"the deployed function is older (contract {CONTRACT_VERSION}): deploy"
    assert refused["error"]["message"].count("older") == refused["error"]["message"].count(older) == 1

    # A value that only a newer contract knows, in a field that this one has.
    refused = handler.handle({**newer.to_wire(), "reasoning_effort": "boundless"}, Context())
    assert "reasoning_effort" in refused["error"]["message"]
    assert f"older (contract {CONTRACT_VERSION}): deploy" in refused["error"]["message"]


def test_an_older_caller_and_a_newer_function(other_version: Any) -> None:
    newer = other_version(
        {
            "core/contract.py": (
                "    service_tier: Annotated[str, Field(max_length=MAX_SERVICE_TIER_CHARS)] | None = None\n",
                "    service_tier: Annotated[str, Field(max_length=MAX_SERVICE_TIER_CHARS)] | None = None\n"
                '    mood: str = "bright"\n',
            ),
        }
    )
    wire = newer(demo())  # as the original document's callers send it: without a version
    assert wire["mood"] == "bright"
    answer = AgentResponse.model_validate(wire)
    assert answer.error is None
    assert answer.response is not None
    assert answer.metadata.execution_backend == "LAMBDA"


def test_a_vendor_is_asked_once_and_its_key_stays_out_of_the_log(
    vendor: VendorServer, loopback: None, log: pytest.LogCaptureFixture
) -> None:
    vendor.will(Reply.json({"error": {"message": f"bad key {KEY}"}}, status=401))
    wire = handler.handle(openai(vendor, api_key=KEY), Context())
    assert wire["error"]["code"] == "AUTHENTICATION_FAILED"
    assert len(vendor.requests) == 1
    assert vendor.last.json["stream"] is True
    assert "canary" not in json.dumps(wire) + json.dumps(lines(log))
