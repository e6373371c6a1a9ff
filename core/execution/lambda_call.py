"""What is sent with an invocation of AWS Lambda, and the response that stands for one without an answer."""

import base64
import json
from collections.abc import Iterable
from typing import Any, Final

from core.contract import CONTRACT_VERSION, AgentRequest, AgentResponse, ErrorBody, Metadata, utc_now
from core.errors import (
    ConfigurationError,
    ExecutionError,
    InvocationError,
    LambdaFunctionError,
    LambdaTimeout,
    LambdaUnreachable,
    OutcomeUnknown,
)
from core.execution.base import Completed, run_in_hand

BACKEND: Final = "LAMBDA"
RESERVED_SECONDS: Final = 1.0
"""How much less time than the run has the function is given, so that its answer is here by the deadline."""


def context_of_call() -> dict[str, str]:
    """The run's id, beside the contract: an older function takes it, too, and no model sees it."""
    run_id = run_in_hand.get()
    if run_id is None:
        return {}
    return {"ClientContext": base64.b64encode(json.dumps({"custom": {"run_id": run_id}}).encode()).decode()}


def payload_of(request: AgentRequest) -> bytes:
    """The request as it is sent: the function gets a little less time than the run has."""
    changes: dict[str, Any] = {}
    if request.contract_version is None:
        changes["contract_version"] = CONTRACT_VERSION
    if (seconds := request.timeout_seconds) is not None:
        changes["timeout_seconds"] = seconds - min(RESERVED_SECONDS, seconds / 10)
    return request.model_copy(update=changes).model_dump_json(exclude_none=True).encode()


def as_ours(error: InvocationError) -> ExecutionError:
    """A fault of the way, in the words of this backend."""
    if isinstance(error, ExecutionError):
        return error
    if isinstance(error, ConfigurationError):
        return LambdaUnreachable(error.message, detail=error.detail, sent=False)
    if not error.sent:
        return LambdaUnreachable(
            f"AWS Lambda cannot be reached. {error.message}",
            detail=error.detail,
            # Refused is refused at once, and for a moment perhaps; the rest would take as long again.
            retryable=isinstance(error.__cause__, ConnectionRefusedError),
            sent=False,
        )
    return OutcomeUnknown(
        "The connection to AWS Lambda was lost after the request had been sent. Whether the function completed is "
        "unknown: it may have been billed. See its log, or run the request again.",
        detail=f"{error.message} {error.detail or ''}",
    )


def completed_of(error: ExecutionError) -> Completed:
    """What an attempt with this error is known to have completed."""
    if not error.sent or isinstance(error, LambdaTimeout | LambdaFunctionError):
        return Completed.NOTHING
    return Completed.UNKNOWN


def on_lambda(response: AgentResponse) -> AgentResponse:
    """The response, which says where it comes from."""
    if response.metadata.execution_backend == BACKEND:
        return response
    metadata = response.metadata.model_copy(update={"execution_backend": BACKEND})
    return response.model_copy(update={"metadata": metadata})


def failure(request: AgentRequest, error: ExecutionError, *, seconds: float) -> AgentResponse:
    """The response of an attempt that came to this error."""
    return AgentResponse(
        provider=request.provider,
        model=request.model_name,
        metadata=Metadata.of(request, backend=BACKEND),
        timestamp=utc_now(),
        execution_time_seconds=round(seconds, 6),
        contract_version=CONTRACT_VERSION,
        error=ErrorBody.of(error),
    )


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """A reply's headers, their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def secrets_of(request: AgentRequest) -> tuple[str, ...]:
    """What must not be in a log or a report of this request."""
    return () if request.api_key is None else (request.api_key.get_secret_value(),)
