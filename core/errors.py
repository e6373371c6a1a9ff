"""Every error that crosses a seam, split by who must act.

AgentLauncherError
├── InvocationError                  travels in the contract, as data, with a code
│   ├── ConfigurationError           the operator changes the request, the agent or a key
│   │   ├── InvalidRequest           INVALID_REQUEST
│   │   ├── UnknownProvider          UNKNOWN_PROVIDER
│   │   └── MissingApiKey            MISSING_API_KEY
│   ├── ProviderError                the vendor refused, failed or answered nonsense
│   │   ├── AuthenticationFailed     AUTHENTICATION_FAILED
│   │   ├── PermissionDenied         PERMISSION_DENIED
│   │   ├── ModelNotFound            MODEL_NOT_FOUND
│   │   ├── ContextLengthExceeded    CONTEXT_LENGTH_EXCEEDED
│   │   ├── ContentFiltered          CONTENT_FILTERED
│   │   ├── RateLimited              RATE_LIMITED          retryable, unless a quota is used up
│   │   ├── ProviderUnavailable      PROVIDER_UNAVAILABLE  retryable
│   │   ├── ProviderTimeout          PROVIDER_TIMEOUT      retryable
│   │   └── BadProviderResponse      BAD_PROVIDER_RESPONSE
│   └── ExecutionError               where it ran, or how it was stopped
│       ├── DeadlineExceeded         DEADLINE_EXCEEDED
│       ├── Cancelled                CANCELLED
│       ├── OutcomeUnknown           OUTCOME_UNKNOWN
│       ├── LambdaUnreachable        LAMBDA_UNREACHABLE    retryable, if the connection was refused
│       ├── LambdaThrottled          LAMBDA_THROTTLED      retryable
│       ├── LambdaTimeout            LAMBDA_TIMEOUT
│       ├── LambdaFunctionError      LAMBDA_FUNCTION_ERROR
│       ├── LambdaPayloadTooLarge    LAMBDA_PAYLOAD_TOO_LARGE
│       └── InternalError            INTERNAL_ERROR
└── OperatorError                    never part of a run's answer: this installation needs attention
    ├── SettingsError                a setting has a value that cannot be used
    ├── NotFound                     no such agent, run, credential ... in this project
    ├── Conflict                     the name is taken, or the thing changed meanwhile
    ├── InvalidInput                 a form, a file or a command-line value is wrong
    ├── SecretUnreadable             the master key is missing or is not the one that sealed the secret
    ├── LogsUnavailable              a log cannot be read
    └── StoreError                   the database
        ├── SchemaMismatch           it is older or newer than this version of the program
        ├── StoreUnavailable         it cannot be reached or opened
        └── StoreNotWritable         disk full, read-only file, no permission
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """The closed set of codes in a contract error; DESIGN's list, additive only."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNKNOWN_PROVIDER = "UNKNOWN_PROVIDER"
    MISSING_API_KEY = "MISSING_API_KEY"
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    RATE_LIMITED = "RATE_LIMITED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_TIMEOUT = "PROVIDER_TIMEOUT"
    BAD_PROVIDER_RESPONSE = "BAD_PROVIDER_RESPONSE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    LAMBDA_UNREACHABLE = "LAMBDA_UNREACHABLE"
    LAMBDA_THROTTLED = "LAMBDA_THROTTLED"
    LAMBDA_TIMEOUT = "LAMBDA_TIMEOUT"
    LAMBDA_FUNCTION_ERROR = "LAMBDA_FUNCTION_ERROR"
    LAMBDA_PAYLOAD_TOO_LARGE = "LAMBDA_PAYLOAD_TOO_LARGE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


class AgentLauncherError(Exception):
    """Base of every error this project raises on purpose."""


class InvocationError(AgentLauncherError):
    """An error of one invocation.

    Attributes:
        code: The contract's code.
        message: Safe to show: no key, no vendor body, no prompt. Names the remedy.
        detail: For the log only, after redaction.
        retryable: Whether the same request may succeed if sent again, unchanged.
        provider_status: The vendor's HTTP status, if one was received.
        retry_after_seconds: What the vendor asked us to wait, in seconds.
        request_id: The vendor's request id, if it gave one.
        sent: False only when it is certain that the vendor received nothing.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        retryable: bool | None = None,
        provider_status: int | None = None,
        retry_after_seconds: float | None = None,
        request_id: str | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.retryable = self.default_retryable if retryable is None else retryable
        self.provider_status = provider_status
        self.retry_after_seconds = retry_after_seconds
        self.request_id = request_id
        self.sent = sent and not isinstance(self, ConfigurationError)


class ConfigurationError(InvocationError):
    """The operator changes the request, the agent or a key; sending it again would fail again."""


class InvalidRequest(ConfigurationError):
    """The request breaks the contract, or asks for what the model or provider cannot take."""

    code = ErrorCode.INVALID_REQUEST


class UnknownProvider(ConfigurationError):
    """No provider of that name is registered; names are case-sensitive."""

    code = ErrorCode.UNKNOWN_PROVIDER


class MissingApiKey(ConfigurationError):
    """The provider needs a key and none was given, stored or set in the environment."""

    code = ErrorCode.MISSING_API_KEY


class ProviderError(InvocationError):
    """The vendor refused, failed, or answered something that is not an answer."""


class AuthenticationFailed(ProviderError):
    """The vendor does not accept the key (401)."""

    code = ErrorCode.AUTHENTICATION_FAILED


class PermissionDenied(ProviderError):
    """The key is valid but may not do this (403)."""

    code = ErrorCode.PERMISSION_DENIED


class ModelNotFound(ProviderError):
    """The vendor has no such model, or not for this key (404)."""

    code = ErrorCode.MODEL_NOT_FOUND


class ContextLengthExceeded(ProviderError):
    """Prompt and answer do not fit the model's context window."""

    code = ErrorCode.CONTEXT_LENGTH_EXCEEDED


class ContentFiltered(ProviderError):
    """The vendor's safety system blocked the prompt or the answer."""

    code = ErrorCode.CONTENT_FILTERED


class RateLimited(ProviderError):
    """Too many requests or tokens (429)."""

    code = ErrorCode.RATE_LIMITED
    default_retryable = True


class ProviderUnavailable(ProviderError):
    """The vendor is down, overloaded or unreachable (5xx, refused, reset)."""

    code = ErrorCode.PROVIDER_UNAVAILABLE
    default_retryable = True


class ProviderTimeout(ProviderError):
    """The vendor did not answer in time, with time left in the run."""

    code = ErrorCode.PROVIDER_TIMEOUT
    default_retryable = True


class BadProviderResponse(ProviderError):
    """A success status with a body that is not the vendor's documented answer, or a stream that was cut."""

    code = ErrorCode.BAD_PROVIDER_RESPONSE


class ExecutionError(InvocationError):
    """About where the invocation ran, or how it was stopped."""


class DeadlineExceeded(ExecutionError):
    """The run's own deadline passed."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Cancelled(ExecutionError):
    """Somebody stopped the run."""

    code = ErrorCode.CANCELLED


class OutcomeUnknown(ExecutionError):
    """It was sent and nobody knows whether it completed; it may have been billed."""

    code = ErrorCode.OUTCOME_UNKNOWN


class LambdaUnreachable(ExecutionError):
    """AWS Lambda, or the function, cannot be asked: network, credentials, permission, region, name."""

    code = ErrorCode.LAMBDA_UNREACHABLE


class LambdaThrottled(ExecutionError):
    """AWS Lambda refused the invocation for now (429); nothing ran."""

    code = ErrorCode.LAMBDA_THROTTLED
    default_retryable = True


class LambdaTimeout(ExecutionError):
    """The function was killed by its own time-out."""

    code = ErrorCode.LAMBDA_TIMEOUT


class LambdaFunctionError(ExecutionError):
    """The function could not be started, or it ended without an answer."""

    code = ErrorCode.LAMBDA_FUNCTION_ERROR


class LambdaPayloadTooLarge(ExecutionError):
    """The request or the answer is larger than AWS Lambda carries."""

    code = ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE


class InternalError(ExecutionError):
    """A fault of ours; the detail is in the log under the request id."""

    code = ErrorCode.INTERNAL_ERROR


class OperatorError(AgentLauncherError):
    """This installation needs attention; the text names the remedy and is safe to show."""


class SettingsError(OperatorError):
    """A setting has a value that cannot be used."""


class NotFound(OperatorError):
    """No such thing in this project."""


class Conflict(OperatorError):
    """The name is taken, or the thing changed since it was read."""


class InvalidInput(OperatorError):
    """A form, a file or a command-line value is wrong; nothing was changed."""


class SecretUnreadable(OperatorError):
    """The master key is missing or is not the one that sealed the secret; the secret is untouched."""


class LogsUnavailable(OperatorError):
    """A log cannot be read.

    Attributes:
        statement: The IAM statement that is missing, as JSON; None if it is not that.
    """

    def __init__(self, message: str, *, statement: str | None = None) -> None:
        super().__init__(message)
        self.statement = statement


class StoreError(OperatorError):
    """The database."""


class SchemaMismatch(StoreError):
    """The database's schema is older or newer than this version of the program."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or opened."""


class StoreNotWritable(StoreError):
    """Disk full, a read-only file, or no permission; what was stored before is intact."""
