"""The executor on the stand-in for AWS Lambda: what it sends, how it waits, what it makes of each answer."""

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from core.contract import CONTRACT_VERSION, AgentRequest
from core.errors import Cancelled, ErrorCode, LambdaUnreachable
from core.execution import aws_lambda, lambda_function
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from core.execution.base import Attempt, Completed, run_in_hand
from core.execution.lambda_answer import MAX_RESPONSE_BYTES
from core.execution.lambda_function import FunctionFacts, KnownFacts
from core.execution.retrying import attempt_until_final
from core.interruption import CancelToken, Limits
from core.providers.botocore_adapter import Aws
from tests.support.lambda_service import Act, LambdaService
from tests.support.vendor_server import Reply, VendorServer

RequestOf = Callable[..., AgentRequest]
Make = Callable[..., LambdaExecutor]
KEY = "sk-proj-" + "a1B2c3D4e5F6" * 4


NO_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


def executor_of(url: str | None, region: str | None = None) -> LambdaExecutor:
    return LambdaExecutor(LambdaTarget(function="agent", endpoint_url=url, region=region))


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_CREDENTIALS:
        monkeypatch.delenv(name, raising=False)


def code_of(attempt: Attempt) -> ErrorCode | None:
    return None if attempt.response.error is None else attempt.response.error.code


def message_of(attempt: Attempt) -> str:
    assert attempt.response.error is not None
    return attempt.response.error.message


def test_an_answer_is_the_functions(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    attempt = executor.invoke(request_of(agent_name="greeter"))
    assert (attempt.backend, attempt.completed, code_of(attempt)) == ("LAMBDA", Completed.ANSWERED, None)
    assert attempt.response.response is not None
    assert attempt.response.response.startswith('You asked: "hello"')
    assert attempt.response.metadata.execution_backend == "LAMBDA"
    assert attempt.response.metadata.agent_name == "greeter"
    assert attempt.response.token_usage is not None
    assert attempt.latency_us > 0
    assert attempt.started_at <= attempt.finished_at
    report = attempt.lambda_report
    assert report is not None
    assert (report.memory_mb, report.architecture, report.region) == (512, "arm64", "us-east-1")
    assert report.cold_start is True
    assert report.billed_ms is not None
    assert executor.invoke(request_of()).lambda_report.cold_start is False  # type: ignore[union-attr]
    assert service.executions == len(service.invocations) == 2


def test_the_json_log_format_is_read_too(request_of: RequestOf) -> None:
    with LambdaService(log_format="JSON") as service, closing(executor_of(service.url)) as executor:
        service.will(Act.out_of_memory(runs=True))
        attempt = executor.invoke(request_of())
    assert attempt.lambda_report is not None
    assert (attempt.lambda_report.status, attempt.lambda_report.memory_mb) == ("error", 512)
    assert "out of its memory of 512 MB" in message_of(attempt)


def test_what_is_sent_is_the_contract(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    executor.invoke(request_of(prompt="Grüße 🌍", api_key=KEY, context={"a": [1, None]}))
    (event,) = service.invocations
    assert event == {
        "provider": "DEMO",
        "model_name": "demo-echo",
        "api_key": KEY,
        "prompt": "Grüße 🌍",
        "agent_type": "one-shot",
        "context": {"a": [1, None]},
        "timeout_seconds": 19.0,
        "contract_version": CONTRACT_VERSION,
    }


def test_one_connection_and_one_look_at_the_configuration_serve_all_calls(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    for _ in range(5):
        executor.invoke(request_of())
    assert (service.configuration_reads, service.connections) == (1, 1)


def test_a_connection_is_kept_alive_by_tcp(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    executor.invoke(request_of())
    ((channel, _),) = next(iter(executor._aws._transport._idle.values()))
    assert channel._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    assert service.connections == 1


def test_the_first_calls_of_many_threads_share_one_look(
    service: LambdaService, make_executor: Make, request_of: RequestOf
) -> None:
    executor = make_executor(max_concurrency=16)
    with ThreadPoolExecutor(16) as pool:
        attempts = list(pool.map(lambda _: executor.invoke(request_of()), range(48)))
    assert {code_of(attempt) for attempt in attempts} == {None}
    assert {attempt.lambda_report.architecture for attempt in attempts if attempt.lambda_report} == {"arm64"}
    assert service.configuration_reads == 1
    assert service.executions == len(service.invocations) == 48
    assert service.connections <= 17


def test_a_configuration_that_may_not_be_read_changes_nothing_but_the_price(request_of: RequestOf) -> None:
    with LambdaService(configuration=None) as service, closing(executor_of(service.url)) as executor:
        attempts = [executor.invoke(request_of()) for _ in range(2)]
        assert [code_of(attempt) for attempt in attempts] == [None, None]
        assert attempts[0].lambda_report is not None
        assert attempts[0].lambda_report.architecture is None
        assert service.configuration_reads == 1
        with pytest.raises(LambdaUnreachable, match="does not allow"):
            executor.function()


def test_a_look_that_was_throttled_is_repeated_when_the_answer_is_here(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    service.configuration_faults = 1
    attempt = executor.invoke(request_of())
    assert attempt.lambda_report is not None
    assert attempt.lambda_report.architecture == "arm64", "without it no price is known"
    assert (service.configuration_reads, service.executions) == (2, 1)


def test_looks_that_fail_become_rarer_and_an_answer_ends_that(
    service: LambdaService, make_executor: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(lambda_function, "time", SimpleNamespace(monotonic=lambda: now))
    known, ask = KnownFacts(), make_executor().function
    service.configuration_faults = 6
    asked: list[float] = []
    while service.configuration_faults:
        before = service.configuration_reads
        assert known.facts(ask, Limits()) is None
        if service.configuration_reads > before:
            asked.append(now - 1_000.0)
        else:
            now += 1
    assert asked == [0, 0, 10, 30, 70, 130]
    now += 60
    assert known.facts(ask, Limits()) is not None
    assert known.facts(ask, Limits()) is not None
    assert service.configuration_reads == 7


def test_a_slow_machine_is_not_taken_for_a_slow_network(
    service: LambdaService, make_executor: Make, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_function, "FACTS_SECONDS", 2.0)
    prepared = Aws.prepare

    def slowly(aws: Aws, *what: Any) -> None:
        prepared(aws, *what)
        time.sleep(2.3)

    monkeypatch.setattr(Aws, "prepare", slowly)
    executor = make_executor()
    assert executor.invoke(request_of()).response.error is None
    assert (service.configuration_reads, service.executions) == (1, 1)


def test_nothing_that_a_late_look_meets_spoils_the_answer() -> None:
    cancel = CancelToken()

    def hang(limits: Limits) -> FunctionFacts:
        cancel.cancel()
        limits.wait(20)
        raise AssertionError

    started = time.monotonic()
    assert KnownFacts().late(hang, Limits(cancel=cancel)) is None
    assert KnownFacts().late(lambda limits: limits.wait(20), Limits()) is None  # type: ignore[arg-type, return-value]
    assert time.monotonic() - started < 5


def test_a_call_that_is_stopped_while_it_looks_leaves_the_look_to_the_next(
    service: LambdaService, make_executor: Make
) -> None:
    executor, known, cancel = make_executor(), KnownFacts(), CancelToken()

    def ask_and_stop(limits: Limits) -> FunctionFacts:
        cancel.cancel()
        return executor.function(limits)

    with pytest.raises(Cancelled):
        known.facts(ask_and_stop, Limits(cancel=cancel))
    facts = known.facts(executor.function, Limits())
    assert facts is not None
    assert facts.architecture == "arm64", "without it no price is known"
    assert known.facts(executor.function, Limits()) == facts
    assert service.configuration_reads == 1


def test_the_facts_of_a_function(service: LambdaService, make_executor: Make) -> None:
    service.configuration = MappingProxyType(
        {"Environment": {"Variables": {"AGENT_LAUNCHER_CODE_VERSION": "1.2+abc", "OTHER": "secret"}}}
    )
    facts = make_executor().function()
    assert (facts.timeout_seconds, facts.code_version, facts.log_group) == (
        60,
        "1.2+abc",
        "/aws/lambda/agent",
    )
    assert facts.variables == {"AGENT_LAUNCHER_CODE_VERSION", "OTHER"}
    assert "secret" not in repr(facts)


def test_the_runs_id_goes_beside_the_contract(
    service: LambdaService,
    executor: LambdaExecutor,
    request_of: RequestOf,
) -> None:
    given = run_in_hand.set("run-42")
    try:
        executor.invoke(request_of())
    finally:
        run_in_hand.reset(given)
    sent = json.loads(base64.b64decode(service.last_headers["X-Amz-Client-Context"]))
    assert sent == {"custom": {"run_id": "run-42"}}
    assert "run" not in "".join(service.invocations[0])
    executor.invoke(request_of())
    assert "X-Amz-Client-Context" not in service.last_headers


# Waiting.


def test_a_stop_is_felt_at_once_and_may_be_billed(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    executor.invoke(request_of())
    service.will(Act.hang(runs=True))
    cancel = CancelToken()
    threading.Timer(0.3, cancel.cancel).start()
    started = time.monotonic()
    attempt = executor.invoke(request_of(), cancel=cancel)
    assert time.monotonic() - started < 2
    assert (code_of(attempt), attempt.completed) == (ErrorCode.CANCELLED, Completed.UNKNOWN)
    assert attempt.response.error is not None
    assert attempt.response.error.may_be_billed is True
    # The executor goes on serving.
    assert code_of(executor.invoke(request_of())) is None


def test_a_stop_before_it_was_sent_is_known_to_have_cost_nothing(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    cancel = CancelToken()
    cancel.cancel()
    attempt = executor.invoke(request_of(), cancel=cancel)
    assert (code_of(attempt), attempt.completed) == (ErrorCode.CANCELLED, Completed.NOTHING)
    assert attempt.response.billed_nothing
    assert service.invocations == []


def test_the_runs_deadline_ends_the_wait(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    executor.invoke(request_of())
    service.will(Act.hang(runs=True))
    started = time.monotonic()
    attempt = executor.invoke(request_of(timeout_seconds=0.4))
    assert 0.4 < time.monotonic() - started < 1.4 + 1
    assert (code_of(attempt), attempt.completed) == (ErrorCode.OUTCOME_UNKNOWN, Completed.UNKNOWN)
    assert "deadline" in message_of(attempt)


def test_the_functions_own_answer_to_the_deadline_comes_in_time(
    executor: LambdaExecutor, request_of: RequestOf
) -> None:
    executor.invoke(request_of())
    attempt = executor.invoke(request_of(prompt="[[delay=20]] hi", timeout_seconds=1.5))
    assert (code_of(attempt), attempt.completed) == (ErrorCode.DEADLINE_EXCEEDED, Completed.ANSWERED)


def test_the_wait_is_longer_than_the_functions_time_out_and_ends(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_lambda, "START_SECONDS", 0.3)
    service.configuration = MappingProxyType({"Timeout": 1})
    service.will(Act.hang(runs=True))
    started = time.monotonic()
    attempt = executor.invoke(request_of(timeout_seconds=30))
    assert 1.2 < time.monotonic() - started < 5
    assert (code_of(attempt), attempt.completed) == (ErrorCode.OUTCOME_UNKNOWN, Completed.UNKNOWN)
    assert "longer than it may work" in message_of(attempt)


def test_a_slow_function_is_invoked_once(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    attempt = executor.invoke(request_of(prompt="[[delay=1.5]] hi"))
    assert code_of(attempt) is None
    assert service.executions == len(service.invocations) == 1


# Sizes.


def test_a_request_that_is_too_large_is_not_sent(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    # Two bytes a letter in UTF-8: it is the bytes as sent that count.
    attempt = executor.invoke(
        request_of(prompt="é" * 1_990_000, system_prompt="🌍" * 500_000, context={"t": "x" * 900_000})
    )
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE, Completed.NOTHING)
    assert attempt.response.billed_nothing
    assert service.invocations == []


def test_the_largest_request_is_sent_whole(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(prompt="x" * 100_000)
    size = len(
        json.dumps(
            {**request.to_wire(), "timeout_seconds": 19.0, "contract_version": "1.0"}, separators=(",", ":")
        )
    )
    monkeypatch.setattr(aws_lambda, "MAX_REQUEST_BYTES", size)
    assert code_of(executor.invoke(request)) is None
    monkeypatch.setattr(aws_lambda, "MAX_REQUEST_BYTES", size - 1)
    assert code_of(executor.invoke(request)) == ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE
    assert len(service.invocations) == 1


def test_an_answer_that_is_too_large_was_made_and_is_lost(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    too_large = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    service.will(
        Act.fail("Function.ResponseSizeTooLarge", too_large, runs=True),
        Act.say(b" " * (MAX_RESPONSE_BYTES + 1)),
    )
    for _ in range(2):
        attempt = executor.invoke(request_of())
        assert (code_of(attempt), attempt.completed) == (
            ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE,
            Completed.UNKNOWN,
        )
        assert attempt.response.error is not None
        assert attempt.response.error.may_be_billed is True


# What the function returned.


def test_a_providers_own_error_is_an_answer(executor: LambdaExecutor, request_of: RequestOf) -> None:
    attempt = executor.invoke(request_of(prompt="[[fail=AUTHENTICATION_FAILED]]"))
    assert (code_of(attempt), attempt.completed) == (ErrorCode.AUTHENTICATION_FAILED, Completed.ANSWERED)


def test_a_handled_error_is_one_too(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    service.will(Act.fail("ValueError", f"the prompt was secret-{KEY}", runs=True, kind="Handled"))
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_FUNCTION_ERROR, Completed.NOTHING)
    # What an exception of the function says may be anything: it is for the log.
    assert "(ValueError)" in message_of(attempt)
    assert "prompt was" not in message_of(attempt)


def test_what_the_function_said_is_logged_redacted(
    service: LambdaService,
    executor: LambdaExecutor,
    request_of: RequestOf,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.will(Act.fail("ValueError", "no such key own-secret-1234"))
    with caplog.at_level(logging.WARNING, "agent_launcher.lambda"):
        attempt = executor.invoke(request_of(api_key="own-secret-1234"))
    assert attempt.response.error is not None
    assert attempt.response.error.request_id in caplog.text  # type: ignore[operator]
    assert "no such key" in caplog.text
    assert "own-secret-1234" not in caplog.text


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b'"hm"', b"[]", b"{}", b"<html>", b'{"statusCode": 200}', b"[" * 5_000, b"\xff\xfe"],
)
def test_an_answer_that_cannot_be_read_is_an_unknown_outcome(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf, payload: bytes
) -> None:
    service.will(Act.say(payload))
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.OUTCOME_UNKNOWN, Completed.UNKNOWN)
    assert attempt.lambda_report is not None  # AWS's bill is known all the same
    assert attempt.lambda_report.billed_ms is not None


def test_the_emulators_time_out_has_no_header_and_is_plain_text(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    service.will(Act.say(b"Task timed out after 3.00 seconds"))
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_TIMEOUT, Completed.NOTHING)
    assert "after 3 s" in message_of(attempt)


def test_a_newer_functions_words_are_understood(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    answer = executor.invoke(request_of()).response.to_wire()
    newer = {**answer, "finish_reason": "paused", "contract_version": "9.9", "something": {"new": 1}}
    failed = {
        **answer,
        "error": {"code": "SOLAR_FLARE", "message": "Wait for the night.", "retryable": False},
    }
    service.will(Act.say(json.dumps(newer).encode()), Act.say(json.dumps(failed).encode()))
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.response.finish_reason) == (None, "other")
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.INTERNAL_ERROR, Completed.ANSWERED)
    assert message_of(attempt) == "Wait for the night."


def test_the_original_documents_answer_is_understood(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    answer = {
        "response": "Hi",
        "provider": "DEMO",
        "model": "demo-echo",
        "metadata": {"agent_type": "one-shot", "agent_name": None, "context_provided": False},
        "timestamp": "2024-01-01T00:00:00Z",
        "execution_time_seconds": 1.23,
        "token_usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    }
    service.will(Act.say(json.dumps(answer).encode()))
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.response.response) == (None, "Hi")
    assert attempt.response.metadata.execution_backend == "LAMBDA"


def test_of_an_emulator_nothing_is_known_and_nothing_is_priced(
    executor: LambdaExecutor, request_of: RequestOf
) -> None:
    answer = executor.invoke(request_of()).response.to_wire()
    with VendorServer() as emulator, closing(executor_of(emulator.url, "us-east-1")) as other:
        emulator.will(Reply.text("404 page not found", status=404), Reply.json(answer))
        attempt = other.invoke(request_of())
    assert (code_of(attempt), attempt.lambda_report) == (None, None)


# Where it goes.


def test_a_refused_connection_is_tried_again_and_nothing_ran(nobody_url: str, request_of: RequestOf) -> None:
    executor = LambdaExecutor(LambdaTarget(function="agent", endpoint_url=nobody_url))
    started = time.monotonic()
    attempts = attempt_until_final(
        executor, request_of(), Limits(timeout_seconds=20), random_number=lambda: 0.0
    )
    assert time.monotonic() - started < 5
    assert [code_of(attempt) for attempt in attempts] == [ErrorCode.LAMBDA_UNREACHABLE] * 3
    assert {attempt.completed for attempt in attempts} == {Completed.NOTHING}
    assert all(attempt.response.billed_nothing for attempt in attempts)
    assert "Check AWS_LAMBDA_REGION and AWS_ENDPOINT_URL_LAMBDA" in message_of(attempts[0])
    assert "base URL" not in message_of(attempts[0])


def test_a_name_that_does_not_resolve_is_not_tried_again(
    request_of: RequestOf, refused_addresses: list[str]
) -> None:
    attempt = executor_of("http://nowhere.invalid:1").invoke(request_of())
    refused_addresses.clear()
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_UNREACHABLE, Completed.NOTHING)
    assert attempt.response.error is not None
    assert attempt.response.error.retryable is False


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_the_error_says_what_to_do(request_of: RequestOf) -> None:
    attempt = executor_of(None, region="eu-west-1").invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_UNREACHABLE, Completed.NOTHING)
    assert "AWS credentials required for AWS Lambda" in message_of(attempt)
    assert "AWS_ACCESS_KEY_ID" in message_of(attempt)
    assert attempt.response.billed_nothing


@pytest.mark.usefixtures("no_credentials")
def test_on_loopback_no_account_is_needed(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    assert code_of(executor.invoke(request_of())) is None
    assert "Authorization" not in service.last_headers


def test_with_credentials_requests_are_signed(
    service: LambdaService, executor: LambdaExecutor, request_of: RequestOf
) -> None:
    assert code_of(executor.invoke(request_of())) is None
    assert service.last_headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert "/us-east-1/lambda/aws4_request" in service.last_headers["Authorization"]


@pytest.mark.usefixtures("no_credentials")
def test_refused_credentials_are_read_anew(
    service: LambdaService,
    executor: LambdaExecutor,
    request_of: RequestOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_PROFILE", "team")
    for name in ("old", "new"):
        path.write_text(f"[team]\naws_access_key_id={name}\naws_secret_access_key={name * 10}\n")
        if name == "old":
            service.will(Act.refuse(403, "ExpiredTokenException"))
        attempt = executor.invoke(request_of())
        assert f"Credential={name}/" in service.last_headers["Authorization"]
    assert code_of(attempt) is None


def test_a_region_must_be_known_and_be_the_arns(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:agent"
    attempt = LambdaExecutor(LambdaTarget(function="agent")).invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.LAMBDA_UNREACHABLE, Completed.NOTHING)
    assert "AWS_LAMBDA_REGION" in message_of(attempt)
    attempt = LambdaExecutor(LambdaTarget(function=arn, region="us-east-1")).invoke(request_of())
    assert "eu-west-1, but AWS_LAMBDA_REGION is us-east-1" in message_of(attempt)
    assert LambdaExecutor(LambdaTarget(function=arn)).region == "eu-west-1"
    with pytest.raises(LambdaUnreachable):
        _ = LambdaExecutor(LambdaTarget(function="agent")).region


def test_the_environments_address_is_taken(
    service: LambdaService, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", service.url)
    with closing(executor_of(None)) as executor:
        assert code_of(executor.invoke(request_of())) is None
    assert len(service.invocations) == 1


def test_an_arn_and_an_alias_are_addressed(
    service: LambdaService, make_executor: Make, request_of: RequestOf
) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:agent"
    attempt = make_executor(function=arn, qualifier="live").invoke(request_of())
    assert code_of(attempt) is None
    assert (
        service.last_path
        == "/2015-03-31/functions/" + arn.replace(":", "%3A") + "/invocations?Qualifier=live"
    )


def test_a_fault_of_ours_is_data_too(
    executor: LambdaExecutor, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(aws_lambda, "read_answer", broken)
    attempt = executor.invoke(request_of())
    assert (code_of(attempt), attempt.completed) == (ErrorCode.INTERNAL_ERROR, Completed.UNKNOWN)
