"""AWS Lambda's refusals as ours: by the name of the exception, else by status.

"Error codes are reserved for errors that prevent your function from executing" (AWS, "Invoke"): so whatever has one of
Lambda's names is proof that nothing ran, with one exception, a fault of the service itself. A status without a name
comes from something on the way, and proves nothing.
"""

import re
from collections.abc import Mapping
from typing import Final

from core.errors import (
    ExecutionError,
    LambdaFunctionError,
    LambdaPayloadTooLarge,
    LambdaThrottled,
    LambdaUnreachable,
    OutcomeUnknown,
)
from core.execution.lambda_refusal import BAD_CREDENTIALS, EXPIRED, Refusal


class NotLambda(LambdaUnreachable):
    """Something answers there that is not AWS: the runtime emulator, which only invokes, or another server."""


_DENIED: Final = frozenset(
    {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "OptInRequired"}
)
_THROTTLES: Final = frozenset(
    {
        *("TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"),
        *("ReservedFunctionConcurrentInvocationLimitExceeded", "ConcurrentInvocationLimitExceeded"),
        *("CallerRateLimitExceeded", "FunctionInvocationRateLimitExceeded"),
        *("ReservedFunctionInvocationRateLimitExceeded", "ConcurrentSnapshotCreateLimitExceeded"),
    }
)
_TOO_LARGE: Final = frozenset({"RequestTooLargeException", "SerializedRequestEntityTooLargeException"})
_SERVICE_FAULTS: Final = frozenset({"ServiceException", "InternalFailure", "InternalServerError"})

_REDEPLOY: Final = "deploy it again (lambda_handler/scripts/deploy.sh)"
_CANNOT_START: Final[Mapping[str, tuple[str, bool]]] = {
    "KMSAccessDeniedException": (
        "its role may not decrypt its environment variables. Allow kms:Decrypt on the key to the function's role",
        False,
    ),
    "KMSDisabledException": ("the KMS key of its environment variables is disabled. Enable the key", False),
    "KMSInvalidStateException": (
        "the KMS key of its environment variables is in a state that does not allow decryption. Check the key",
        False,
    ),
    "KMSNotFoundException": (
        f"the KMS key of its environment variables does not exist. Set another key, or {_REDEPLOY}",
        False,
    ),
    "ENILimitReachedException": (
        "the VPC's limit of network interfaces is reached. Raise the limit in Service Quotas, or use fewer subnets",
        False,
    ),
    "ENINotReadyException": ("its network interface is not ready yet. Try again in a minute", True),
    "EC2ThrottledException": ("Amazon EC2 throttled the set-up of its network. Try again in a minute", True),
    "EC2AccessDeniedException": (
        "its role may not set up its network. Allow ec2:CreateNetworkInterface, ec2:DescribeNetworkInterfaces and "
        "ec2:DeleteNetworkInterface (AWSLambdaVPCAccessExecutionRole) to the function's role",
        False,
    ),
    "EC2UnexpectedException": ("Amazon EC2 failed while its network was set up. Try again later", False),
    "SubnetIPAddressLimitReachedException": (
        "its subnets have no free address. Give it larger subnets, or more of them",
        False,
    ),
    "InvalidSubnetIDException": (
        f"one of its subnets does not exist. Correct VpcConfig, and {_REDEPLOY}",
        False,
    ),
    "InvalidSecurityGroupIDException": (
        f"one of its security groups does not exist. Correct VpcConfig, and {_REDEPLOY}",
        False,
    ),
    "InvalidRuntimeException": (
        f"AWS no longer supports its runtime. Choose a newer one, and {_REDEPLOY}",
        False,
    ),
    "RuntimeVersionDeletedException": (
        f"its runtime's version is gone. Choose a newer one, and {_REDEPLOY}",
        False,
    ),
    "RuntimeAliasDeletedException": (f"its runtime's alias is gone. Choose another, and {_REDEPLOY}", False),
    "InvalidZipFileException": (f"its package cannot be unzipped. Build and {_REDEPLOY}", False),
    "ResourceNotReadyException": (
        "it was idle for long, and its network connection is being made again. Try again in a minute",
        True,
    ),
    "ResourceConflictException": ("it is being changed at this moment. Try again in a minute", True),
    "CodeArtifactUserPendingException": ("it is still being set up. Try again in a minute", True),
    "CodeArtifactUserFailedException": (f"its set-up failed. To set it up anew, {_REDEPLOY}", False),
    "CodeArtifactUserDeletedException": (f"its set-up is gone. To set it up anew, {_REDEPLOY}", False),
    "SnapStartNotReadyException": ("its snapshot is being made. Try again in a minute", True),
    "SnapStartException": (
        "what it does after the restore of a snapshot failed. See its log, or deploy without SnapStart",
        False,
    ),
    "SnapStartTimeoutException": (
        "its snapshot could not be restored in time. Try again, or deploy without SnapStart",
        False,
    ),
    "SnapStartRegenerationFailureException": (
        f"its snapshot could not be made again. For a new version, {_REDEPLOY}",
        False,
    ),
    "NoPublishedVersionException": (
        f"it has no published version. Correct the function's name (or alias), or {_REDEPLOY}",
        False,
    ),
    "RecursiveInvocationException": (
        "AWS found it invoked in a loop with other services. Remove what invokes it",
        False,
    ),
    "ModeNotSupportedException": (
        f"it does not take this kind of invocation. As our function, {_REDEPLOY}",
        False,
    ),
}
"""What keeps a function from starting, the remedy, and whether to try again can help at once."""
_STORAGE: Final = re.compile(r"(?:EFS|S3Files)(?:IO|Mount[A-Za-z]*)Exception")


def error_of(refusal: Refusal) -> ExecutionError:
    """The error that a status other than 200 means. `sent` is False where it proves that nothing ran."""
    return _by_name(refusal) or _by_status(refusal)


def _by_name(refusal: Refusal) -> ExecutionError | None:
    name, where = refusal.name, f"in {refusal.region}"
    if name in _THROTTLES:
        return _throttled(refusal)
    if name in _TOO_LARGE:
        return too_large_to_send(detail=refusal.detail)
    if name in BAD_CREDENTIALS:
        return _unreachable(
            refusal,
            "AWS does not accept the credentials of this machine. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN or the profile, that they belong together, and this machine's clock.",
        )
    if name in EXPIRED:
        return _unreachable(
            refusal,
            "The AWS credentials have expired. Renew them (`aws sso login`, or new values in the environment and a "
            "restart), then try again.",
        )
    if name in _DENIED:
        return _unreachable(
            refusal,
            f"AWS does not allow these credentials to invoke {refusal.function} {where}. Allow lambda:InvokeFunction "
            "on the function (and on its alias) to the user or role of this machine.",
        )
    match name:
        case "ResourceNotFoundException":
            return _unreachable(
                refusal,
                f"There is no function {refusal.function} {where}. Check LAMBDA_AGENT_FUNCTION_NAME and "
                "AWS_LAMBDA_REGION, or deploy it (lambda_handler/scripts/deploy.sh).",
            )
        case (
            "InvalidParameterValueException"
            | "InvalidRequestContentException"
            | "UnsupportedMediaTypeException"
        ):
            return LambdaFunctionError(
                f"AWS Lambda refused the invocation of {refusal.function} as malformed. Check the function's name; "
                "the log has what AWS said.",
                detail=refusal.detail,
                sent=False,
            )
        case _ if name in _CANNOT_START:
            why, again = _CANNOT_START[name]
            return _not_started(refusal, why, retryable=again)
        case _ if _STORAGE.fullmatch(name):
            return _not_started(
                refusal, "a file system of it could not be mounted. Check it, and its network"
            )
        case _ if name in _SERVICE_FAULTS:
            return _unknown(refusal)
        case _:
            return None


def _by_status(refusal: Refusal) -> ExecutionError:
    # Only what AWS itself names is proof; but these statuses are given before a request is passed on.
    match refusal.status:
        case 429:
            return _throttled(refusal)
        case 413:
            return too_large_to_send(detail=refusal.detail)
        case 401 | 403:
            return _unreachable(
                refusal,
                f"The request for {refusal.function} in {refusal.region} was refused (HTTP {refusal.status}). Check "
                "the AWS credentials and their permission lambda:InvokeFunction, and any proxy on the way.",
            )
        case 404:
            return NotLambda(
                f"Nothing answers for {refusal.function} in {refusal.region} (HTTP 404). Check "
                "LAMBDA_AGENT_FUNCTION_NAME, AWS_LAMBDA_REGION and AWS_ENDPOINT_URL_LAMBDA.",
                detail=refusal.detail,
                sent=False,
            )
        case status if 300 <= status < 500 and status != 408:
            return LambdaFunctionError(
                f"AWS Lambda refused the invocation of {refusal.function} (HTTP {status}). The log has what it said.",
                detail=refusal.detail,
                sent=False,
            )
        case _:
            return _unknown(refusal)


def _throttled(refusal: Refusal) -> LambdaThrottled:
    match refusal.reason:
        case (
            "ReservedFunctionConcurrentInvocationLimitExceeded"
            | "ReservedFunctionInvocationRateLimitExceeded"
        ):
            remedy = f"{refusal.function} has used up its reserved concurrency. Raise it, or start fewer runs at once"
        case "CallerRateLimitExceeded":
            remedy = "The account invokes functions faster than AWS lets it. Start fewer runs at once"
        case _:
            remedy = (
                f"The account's concurrency in {refusal.region} is used up. Raise it in Service Quotas (Concurrent "
                "executions), or start fewer runs at once"
            )
    return LambdaThrottled(
        f"AWS Lambda throttled the invocation; nothing ran. {remedy}.",
        detail=refusal.detail,
        retry_after_seconds=refusal.retry_after_seconds,
        sent=False,
    )


def too_large_to_send(*, detail: str | None = None, size: int | None = None) -> LambdaPayloadTooLarge:
    """The request is larger than AWS Lambda takes."""
    measured = "" if size is None else f" of {size:,} bytes"
    return LambdaPayloadTooLarge(
        f"The request{measured} is larger than the 6 MB that AWS Lambda takes. Send less: fewer or smaller attachments "
        "and earlier messages; or run it locally, which has no such limit.",
        detail=detail,
        sent=False,
    )


def too_large_to_return(*, size: int | None = None) -> LambdaPayloadTooLarge:
    """The answer is larger than AWS Lambda carries: it was made, and is lost."""
    measured = "" if size is None else f" of {size:,} bytes"
    return LambdaPayloadTooLarge(
        f"The answer{measured} is larger than the 6 MB that AWS Lambda carries. The model was billed, and its answer "
        "is lost. Ask for less, or run it locally, which has no such limit."
    )


def _unreachable(refusal: Refusal, message: str) -> LambdaUnreachable:
    return LambdaUnreachable(message, detail=refusal.detail, provider_status=refusal.status, sent=False)


def _not_started(refusal: Refusal, why: str, *, retryable: bool = False) -> LambdaFunctionError:
    return LambdaFunctionError(
        f"AWS Lambda could not start {refusal.function}: {why} ({refusal.name}).",
        detail=refusal.detail,
        retryable=retryable,
        sent=False,
    )


def _unknown(refusal: Refusal) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"AWS Lambda, or something on the way to it, failed (HTTP {refusal.status}). Whether {refusal.function} ran is "
        "unknown: it may have been billed. See its log, or run the request again.",
        detail=refusal.detail,
    )
