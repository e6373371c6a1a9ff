"""Keys by reference: Secrets Manager as moto's server speaks it, and the environment."""

import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from core.aws_secrets import TTL_SECONDS, AwsSecrets
from core.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    InvocationError,
    MissingApiKey,
    ProviderUnavailable,
)
from core.interruption import CancelToken, Limits
from lambda_handler import handler, refusals
from tests.support.vendor_server import Reply, VendorServer

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(scope="module")
def moto_url() -> Generator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    monkeypatch.setenv(refusals.ALLOW_LOOPBACK, "true")
    monkeypatch.setattr(handler, "secrets", AwsSecrets())
    with client() as made:
        yield made


@contextmanager
def client() -> Generator[Any]:
    made: Any = boto3.client(
        "secretsmanager", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )
    yield made
    made.close()


@pytest.fixture
def secret(aws: Any, request: pytest.FixtureRequest) -> Callable[[str], str]:
    def make(value: str) -> str:
        return aws.create_secret(Name=f"agent-launcher/{request.node.name}", SecretString=value)["ARN"]

    return make


def read(arn: str, secrets: AwsSecrets | None = None) -> str:
    return (secrets or AwsSecrets()).read(arn, Limits(timeout_seconds=20), provider="OPENAI")


@pytest.mark.parametrize(
    "value",
    [KEY, f" {KEY}\n", json.dumps({"api_key": KEY, "note": "x"}), json.dumps({"OPENAI_API_KEY": KEY})],
    ids=["plain", "with blanks", "its field", "the only field"],
)
def test_the_key_in_a_secret(secret: Callable[[str], str], value: str) -> None:
    assert read(secret(value)) == KEY


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (json.dumps({"a": KEY, "b": "x"}), InvalidRequest, "none is named 'api_key'"),
        (json.dumps({"api_key": 7}), InvalidRequest, "none is named 'api_key'"),
        ('{"api_key": ', InvalidRequest, "begins like JSON"),
        ("   ", MissingApiKey, "is empty"),
    ],
    ids=["several", "no text", "cut", "blank"],
)
def test_a_secret_that_holds_no_key(
    secret: Callable[[str], str], value: str, error: type[InvocationError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        read(secret(value))
    assert "canary" not in str(caught.value)


def test_it_is_kept_and_asked_for_again_when_it_is_old(aws: Any, secret: Callable[[str], str]) -> None:
    now = [1000.0]
    secrets = AwsSecrets(clock=lambda: now[0])
    arn = secret(KEY)
    assert read(arn, secrets) == KEY
    aws.put_secret_value(SecretId=arn, SecretString="sk-rotated-0123456789")
    now[0] += TTL_SECONDS - 1
    assert read(arn, secrets) == KEY
    now[0] += 2
    assert read(arn, secrets) == "sk-rotated-0123456789"


def test_one_that_is_not_there(aws: Any) -> None:
    with pytest.raises(MissingApiKey, match="there is no such secret"):
        read("arn:aws:secretsmanager:us-east-1:123456789012:secret:nobody-abcdef")


def test_one_that_is_marked_for_deletion(aws: Any, secret: Callable[[str], str]) -> None:
    arn = secret(KEY)
    aws.delete_secret(SecretId=arn)
    with pytest.raises(MissingApiKey, match="marked for deletion"):
        read(arn)


@pytest.mark.parametrize("arn", ["arn:aws:secretsmanager:x", "arn:aws:secretsmanager:us-east-1:1:other:name"])
def test_what_is_no_arn_of_a_secret(arn: str) -> None:
    with pytest.raises(InvalidRequest, match="no ARN of a secret"):
        read(arn)


def refusal(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, *, status: int, kind: str
) -> InvocationError:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", vendor.url)
    vendor.otherwise(Reply.json({"__type": kind, "message": "no"}, status=status))
    with pytest.raises(InvocationError) as caught:
        read("arn:aws:secretsmanager:us-east-1:123456789012:secret:openai-abcdef")
    return caught.value


def test_one_that_this_role_may_not_read(vendor: VendorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(vendor, monkeypatch, status=400, kind="AccessDeniedException")
    assert isinstance(error, MissingApiKey)
    assert "SecretArns" in error.message
    assert "'openai-abcdef'" in error.message


def test_a_busy_secrets_manager_may_be_asked_again(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refusal(vendor, monkeypatch, status=400, kind="ThrottlingException")
    assert isinstance(error, ProviderUnavailable)
    assert (error.retryable, error.sent) == (True, False)


def test_one_that_is_out_of_reach(nobody_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", nobody_url)
    with pytest.raises(ProviderUnavailable, match="endpoint or a NAT gateway") as caught:
        read("arn:aws:secretsmanager:us-east-1:123456789012:secret:openai-abcdef")
    assert caught.value.sent is False


def test_one_that_is_waited_for_in_vain_leaves_time_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x"
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="Secrets Manager") as late:
            AwsSecrets().read(arn, Limits(timeout_seconds=1), provider="OPENAI")
        assert time.monotonic() - started < 2
        assert late.value.sent is False
        cancel = CancelToken()
        threading.Timer(0.2, cancel.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            AwsSecrets().read(arn, Limits(timeout_seconds=20, cancel=cancel), provider="OPENAI")
        assert time.monotonic() - started < 3


def test_no_time_to_ask() -> None:
    with pytest.raises(DeadlineExceeded):
        AwsSecrets().read("arn:aws:secretsmanager:r:1:secret:n", Limits(timeout_seconds=0), provider="OPENAI")


# Through the function.


def ask(vendor: VendorServer, reference: str) -> Any:
    event = {"provider": "OPENAI", "model_name": "gpt-x", "prompt": "Hi", "base_url": f"{vendor.url}/v1"}
    return handler.handle({**event, "api_key_ref": reference})


def refused_key() -> Reply:
    return Reply.json({"error": {"message": "bad key"}}, status=401)


def test_the_vendor_gets_the_key_and_a_refused_one_is_read_anew(
    aws: Any, secret: Callable[[str], str], vendor: VendorServer
) -> None:
    arn = secret(KEY)
    vendor.will(refused_key(), refused_key())
    answer = ask(vendor, arn)
    assert answer["error"]["code"] == "AUTHENTICATION_FAILED"
    aws.put_secret_value(SecretId=arn, SecretString="sk-rotated-0123456789")
    ask(vendor, arn)
    sent = [request.headers["authorization"] for request in vendor.requests]
    assert sent == [f"Bearer {KEY}", "Bearer sk-rotated-0123456789"]
    assert "canary" not in json.dumps(answer)


def test_a_variable_of_the_functions_own(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, aws: Any
) -> None:
    monkeypatch.setenv("MY_TEAMS_KEY", KEY)
    vendor.will(refused_key())
    ask(vendor, "env:MY_TEAMS_KEY")
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


def test_a_missing_secret_is_an_answer(aws: Any, vendor: VendorServer) -> None:
    answer = ask(vendor, "arn:aws:secretsmanager:us-east-1:123456789012:secret:nobody-abcdef")
    assert answer["error"]["code"] == "MISSING_API_KEY"
    assert answer["error"]["may_be_billed"] is False
    assert answer["metadata"]["execution_backend"] == "LAMBDA"
    assert vendor.requests == []
