"""The function behind Lambda's real emulator and runtime client, invoked over boto3 as a caller does."""

import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from tests.support.aimock_vendors import VENDORS
from tests.support.lambda_emulator import LambdaEmulator
from tests.support.vendor_server import Reply, VendorServer

if TYPE_CHECKING:
    from tests.support.aimock_server import Aimock


def client_of(emulator: LambdaEmulator) -> Any:
    config = Config(read_timeout=60, retries={"total_max_attempts": 1})
    return boto3.client("lambda", endpoint_url=emulator.url, region_name="us-east-1", config=config)


def invoke(emulator: LambdaEmulator, event: object, *, run_id: str | None = None) -> Any:
    context = {"custom": {"run_id": run_id}} if run_id else {}
    answer = client_of(emulator).invoke(
        FunctionName=emulator.function_name,
        Payload=json.dumps(event),
        ClientContext=base64.b64encode(json.dumps(context).encode()).decode(),
    )
    return json.load(answer["Payload"])


def demo(prompt: str, **more: object) -> dict[str, object]:
    return {"provider": "DEMO", "model_name": "demo-echo", "prompt": prompt, **more}


def lines(emulator: LambdaEmulator) -> list[dict[str, Any]]:
    return [json.loads(line) for line in emulator.log.splitlines() if line.startswith('{"ts"')]


def test_an_answer_and_its_line_in_the_log(lambda_emulator: LambdaEmulator) -> None:
    answer = invoke(lambda_emulator, demo("Hello there", agent_name="Greeter"), run_id="019-run")

    assert answer["response"].startswith('You asked: "Hello there"')
    assert answer["metadata"]["execution_backend"] == "LAMBDA"
    assert answer["token_usage"]["output_tokens"] > 0
    (line,) = lines(lambda_emulator)
    assert line["event"] == "invocation finished"
    assert (line["run_id"], line["agent"], line["provider"]) == ("019-run", "Greeter", "DEMO")
    assert line["request_id"] in lambda_emulator.log.partition("START RequestId: ")[2][:40]
    assert line["cold_start"] is True
    assert line["output_tokens"] == answer["token_usage"]["output_tokens"]
    assert "Hello there" not in lambda_emulator.log


def test_the_second_invocation_is_warm(lambda_emulator: LambdaEmulator) -> None:
    for _ in range(2):
        invoke(lambda_emulator, demo("Hi"))
    assert [line["cold_start"] for line in lines(lambda_emulator)] == [True, False]


def test_it_ends_before_its_own_time_out_with_what_was_received(
    make_lambda_emulator: Callable[..., LambdaEmulator],
) -> None:
    emulator = make_lambda_emulator(timeout_seconds=3)
    started = time.monotonic()
    answer = invoke(emulator, demo("[[chunk_delay=0.2]] Tell me [[words=300]]"))
    assert time.monotonic() - started < 3.5
    assert answer["error"]["code"] == "DEADLINE_EXCEEDED"
    assert answer["response"].startswith("You asked")


@pytest.mark.parametrize("event", [None, [], "text", 7, {}, {"Records": []}, {"provider": {"a": 1}}])
def test_garbage_is_refused_as_data(lambda_emulator: LambdaEmulator, event: object) -> None:
    answer = invoke(lambda_emulator, event)
    assert answer["error"]["code"] == "INVALID_REQUEST"
    assert answer["metadata"]["execution_backend"] == "LAMBDA"
    assert invoke(lambda_emulator, demo("Still there?"))["response"]


def test_a_vendor_on_this_machine_is_asked(lambda_emulator: LambdaEmulator, vendor: VendorServer) -> None:
    vendor.will(Reply.json({"error": {"message": "no", "type": "authentication_error"}}, status=401))
    answer = invoke(
        lambda_emulator,
        {
            "provider": "OPENAI",
            "model_name": "gpt-x",
            "prompt": "Hi",
            "api_key": "sk-canary-0123456789abcdef",
            "base_url": f"{vendor.url}/v1",
        },
    )
    assert answer["error"]["code"] == "AUTHENTICATION_FAILED"
    assert "canary" not in json.dumps(answer)
    assert "canary" not in lambda_emulator.log
    assert len(vendor.requests) == 1


def test_it_can_be_killed_and_started_again_at_the_same_address(lambda_emulator: LambdaEmulator) -> None:
    invoke(lambda_emulator, demo("Hi"))
    lambda_emulator.kill()
    with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        invoke(lambda_emulator, demo("Hi"))
    lambda_emulator.start()
    assert invoke(lambda_emulator, demo("Back?"))["response"].startswith('You asked: "Back?"')


@pytest.mark.parametrize(("provider", "model", "path"), VENDORS)
def test_every_provider(
    lambda_emulator: LambdaEmulator, aimock: "Aimock", provider: str, model: str, path: str
) -> None:
    aimock.on(
        "capital of France", "Paris.", usage={"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
    )
    answer = invoke(
        lambda_emulator,
        {
            "provider": provider,
            "model_name": model,
            "api_key": "sk-canary-0123456789abcdef",
            "base_url": aimock.url + path,
            "prompt": "What is the capital of France?",
            "system_prompt": "Be brief.",
        },
    )
    assert answer.get("error") is None
    assert answer["response"] == "Paris."
    assert answer["metadata"]["execution_backend"] == "LAMBDA"
    assert answer["token_usage"]["output_tokens"] == (0 if provider == "OLLAMA" else 2)
    assert len(aimock.requests()) == 1
    assert "canary" not in lambda_emulator.log


def test_a_function_whose_caller_is_gone_works_to_its_end_and_ends(
    lambda_emulator: LambdaEmulator, vendor: VendorServer
) -> None:
    vendor.will(Reply.json({"error": {"message": "late"}}, status=500).delayed(0.8))
    event = {"provider": "OPENAI", "model_name": "gpt-x", "prompt": "Hi", "api_key": "sk-0123456789abcdef"}
    caller = threading.Thread(
        target=_give_up, args=(lambda_emulator, {**event, "base_url": f"{vendor.url}/v1"})
    )
    caller.start()
    vendor.wait_for_requests(1, timeout_s=20)
    pids = lambda_emulator.runtime_pids
    assert pids
    lambda_emulator.kill(function_too=False)
    caller.join(20)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.05)
    assert "invocation finished" in lambda_emulator.log


def _give_up(emulator: LambdaEmulator, event: object) -> None:
    with pytest.raises((ConnectionClosedError, EndpointConnectionError, ReadTimeoutError, HTTPClientError)):
        invoke(emulator, event)
