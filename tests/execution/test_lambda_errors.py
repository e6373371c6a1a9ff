"""Each refusal of AWS Lambda's: its code, whether it proves that nothing ran, whether it is tried again, its remedy."""

import gzip
import json
from pathlib import Path

import botocore
import pytest

from core.errors import (
    ErrorCode,
    LambdaFunctionError,
    LambdaPayloadTooLarge,
    LambdaThrottled,
    LambdaUnreachable,
    OutcomeUnknown,
)
from core.execution.lambda_errors import NotLambda, error_of
from core.execution.lambda_refusal import Refusal

SHAPES = json.loads(
    gzip.decompress(
        (Path(botocore.__file__).parent / "data/lambda/2015-03-31/service-2.json.gz").read_bytes()
    )
)
INVOKE = {
    name: SHAPES["shapes"][name]["error"]["httpStatusCode"]
    for name in (error["shape"] for error in SHAPES["operations"]["Invoke"]["errors"])
}
ELSEWHERE = {"ServiceQuotaExceededException", "DurableExecutionAlreadyStartedException"}
"""They can be told by their status alone, and need no words of their own."""


def refusal(status: int, name: str = "", headers: dict[str, str] | None = None, **body: object) -> Refusal:
    given = {**({"x-amzn-errortype": name} if name else {}), **(headers or {})}
    return Refusal("agent", "eu-west-1", status, given, json.dumps(body).encode())


@pytest.mark.parametrize("name", sorted(INVOKE))
def test_everything_that_invoke_can_raise_proves_that_nothing_ran_but_one(name: str) -> None:
    error = error_of(refusal(INVOKE[name], name))
    if name == "ServiceException":
        assert isinstance(error, OutcomeUnknown)
        assert error.sent
    else:
        assert error.code.value.startswith("LAMBDA_")
        assert not error.sent
    if name not in ELSEWHERE:
        assert f"HTTP {INVOKE[name]}" not in error.message or name == "ServiceException"
    assert error.message.endswith(".")
    assert name in (error.detail or "")
    if isinstance(error, LambdaUnreachable):
        assert error.provider_status == INVOKE[name], "AWS answered: the breaker takes it for no time-out"


@pytest.mark.parametrize(
    ("status", "name", "expected", "again", "words"),
    [
        (429, "TooManyRequestsException", LambdaThrottled, True, "Service Quotas"),
        (429, "ThrottlingException", LambdaThrottled, True, "throttled"),
        (429, "", LambdaThrottled, True, "throttled"),
        (400, "ReservedFunctionConcurrentInvocationLimitExceeded", LambdaThrottled, True, "throttled"),
        (413, "RequestTooLargeException", LambdaPayloadTooLarge, False, "6 MB"),
        (413, "", LambdaPayloadTooLarge, False, "6 MB"),
        (403, "ExpiredTokenException", LambdaUnreachable, False, "aws sso login"),
        (403, "UnrecognizedClientException", LambdaUnreachable, False, "AWS_SECRET_ACCESS_KEY"),
        (403, "InvalidSignatureException", LambdaUnreachable, False, "clock"),
        (403, "MissingAuthenticationTokenException", LambdaUnreachable, False, "AWS_ACCESS_KEY_ID"),
        (403, "AccessDeniedException", LambdaUnreachable, False, "lambda:InvokeFunction"),
        (403, "", LambdaUnreachable, False, "proxy"),
        (404, "ResourceNotFoundException", LambdaUnreachable, False, "AWS_LAMBDA_REGION"),
        (404, "", NotLambda, False, "AWS_ENDPOINT_URL_LAMBDA"),
        (502, "KMSAccessDeniedException", LambdaFunctionError, False, "kms:Decrypt"),
        (502, "KMSDisabledException", LambdaFunctionError, False, "Enable the key"),
        (502, "ENILimitReachedException", LambdaFunctionError, False, "network interfaces"),
        (502, "ENINotReadyException", LambdaFunctionError, True, "not ready"),
        (502, "EC2ThrottledException", LambdaFunctionError, True, "EC2"),
        (502, "EC2AccessDeniedException", LambdaFunctionError, False, "ec2:CreateNetworkInterface"),
        (502, "InvalidRuntimeException", LambdaFunctionError, False, "runtime"),
        (409, "SnapStartNotReadyException", LambdaFunctionError, True, "snapshot"),
        (408, "SnapStartTimeoutException", LambdaFunctionError, False, "SnapStart"),
        (408, "EFSMountTimeoutException", LambdaFunctionError, False, "file system"),
        (409, "ResourceConflictException", LambdaFunctionError, True, "being changed"),
        (418, "", LambdaFunctionError, False, "HTTP 418"),
        (500, "ServiceException", OutcomeUnknown, False, "unknown"),
        (500, "", OutcomeUnknown, False, "unknown"),
        (502, "", OutcomeUnknown, False, "HTTP 502"),
        (503, "", OutcomeUnknown, False, "HTTP 503"),
        (504, "SomethingNewException", OutcomeUnknown, False, "HTTP 504"),
        (408, "", OutcomeUnknown, False, "HTTP 408"),
        (200, "", OutcomeUnknown, False, "unknown"),
    ],
)
def test_a_refusal(status: int, name: str, expected: type, again: bool, words: str) -> None:
    error = error_of(refusal(status, name))
    assert (type(error), error.retryable) == (expected, again)
    assert error.sent is (expected is OutcomeUnknown)
    assert words in error.message


def test_only_what_proves_that_nothing_ran_is_tried_again() -> None:
    for name, status in INVOKE.items():
        error = error_of(refusal(status, name))
        assert not (error.retryable and error.sent), name


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ReservedFunctionConcurrentInvocationLimitExceeded", "reserved concurrency"),
        ("ReservedFunctionInvocationRateLimitExceeded", "reserved concurrency"),
        ("CallerRateLimitExceeded", "faster than AWS lets it"),
        ("ConcurrentInvocationLimitExceeded", "concurrency in eu-west-1"),
        ("", "concurrency in eu-west-1"),
    ],
)
def test_why_it_was_throttled(reason: str, words: str) -> None:
    error = error_of(refusal(429, "TooManyRequestsException", Reason=reason, message="Rate Exceeded."))
    assert words in error.message


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": "2.5"}, 2.5),
        ({"retry-after": "1e9"}, {}, 3_600.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({"retry-after": "-1"}, {}, None),
        ({"retry-after": "nan"}, {}, None),
        ({}, {}, None),
    ],
)
def test_how_long_it_asks_to_wait(
    headers: dict[str, str], body: dict[str, str], seconds: float | None
) -> None:
    error = error_of(refusal(429, "TooManyRequestsException", headers, **body))
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "name",
    [
        "TooManyRequestsException:http://internal.amazon.com/coral/com.amazonaws.awsgirapi/",
        "com.amazonaws.lambda#TooManyRequestsException",
    ],
)
def test_a_name_with_its_namespace(name: str) -> None:
    assert error_of(refusal(429, name)).code == ErrorCode.LAMBDA_THROTTLED


def test_a_name_in_the_body() -> None:
    assert error_of(refusal(400, __type="ExpiredTokenException")).code == ErrorCode.LAMBDA_UNREACHABLE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{" * 5_000, b"\xff", b'{"message": 4}'])
def test_a_body_that_cannot_be_read(body: bytes) -> None:
    assert error_of(Refusal("agent", "eu-west-1", 500, {}, body)).code == ErrorCode.OUTCOME_UNKNOWN


def test_what_aws_said_is_for_the_log_only() -> None:
    error = error_of(refusal(403, "AccessDeniedException", Message="User: arn:aws:iam::1:user/x may not"))
    assert "arn:aws:iam" not in error.message
    assert "arn:aws:iam" in (error.detail or "")
