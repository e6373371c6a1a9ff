"""One invocation: exactly one provider request, the same in Lambda and here. Never retries, never raises for a fault
of the caller or of the provider: an error is data."""

import logging
import time
from collections.abc import Callable
from uuid import uuid4

from core import redaction
from core.contract import CONTRACT_VERSION, AgentRequest, AgentResponse, ErrorBody, Metadata, utc_now
from core.errors import BadProviderResponse, InternalError, InvocationError
from core.interruption import CancelToken, Limits
from core.providers import registry
from core.providers.base import Completion, Delta, require_features

log = logging.getLogger("agent_launcher.invocation")

OnDelta = Callable[[str], None]


def invoke(
    request: AgentRequest,
    on_delta: OnDelta | None = None,
    cancel: CancelToken | None = None,
    *,
    backend: str = "LOCAL",
) -> AgentResponse:
    """Sends `request` to its provider, once, and returns the answer or the error as data.

    Args:
        request: A valid request. Its `timeout_seconds` bounds the whole call.
        on_delta: Called with each piece of text as it arrives, in this thread; asks for a stream.
        cancel: Pressed by another thread to stop; the answer is then a `CANCELLED` error with the text so far.
        backend: What `metadata.execution_backend` says.
    """
    started = time.monotonic()
    timestamp = utc_now()
    limits = Limits(timeout_seconds=request.timeout_seconds, cancel=cancel)
    pieces: list[str] = []
    first_token_at: float | None = None
    completion: Completion | None = None
    error: InvocationError | None = None
    try:
        spec = registry.get_spec(request.provider)
        require_features(spec, request)
        provider = registry.load(request.provider)
        limits.check()
        if on_delta is None:
            completion = provider.complete(request, limits)
        else:
            for item in provider.stream(request, limits):
                match item:
                    case Delta(text=text):
                        if first_token_at is None:
                            first_token_at = time.monotonic()
                        pieces.append(text)
                        on_delta(text)
                    case Completion():
                        completion = item
            if completion is None:
                error = BadProviderResponse("The provider's stream ended without its end mark: the answer is incomplete.")
    except InvocationError as exc:
        error = exc
    except Exception as exc:
        # The boundary of the contract: a fault of ours becomes data too, and the log has the trace.
        error = InternalError(
            "An internal error; the log has the detail under this request id.", detail=repr(exc), request_id=uuid4().hex
        )
        error.__cause__ = exc
    finished = time.monotonic()
    if error is not None:
        _log_error(request, error)
    text = completion.text if completion else "".join(pieces) or None
    return AgentResponse(
        response=text,
        provider=request.provider,
        model=completion.model if completion else request.model_name,
        metadata=Metadata(
            agent_type=request.agent_type,
            agent_name=request.agent_name,
            context_provided=bool(request.context),
            custom_system_prompt=bool(request.system_prompt),
            execution_backend=backend,
        ),
        timestamp=timestamp,
        execution_time_seconds=round(finished - started, 6),
        token_usage=completion.usage if completion else None,
        finish_reason=completion.finish_reason if completion else None,
        time_to_first_token_seconds=None if first_token_at is None else round(first_token_at - started, 6),
        provider_request_id=completion.provider_request_id if completion else (error.request_id if error else None),
        contract_version=CONTRACT_VERSION,
        error=None if error is None else ErrorBody.of(error),
    )


def _log_error(request: AgentRequest, error: InvocationError) -> None:
    secrets = [request.api_key.get_secret_value()] if request.api_key else []
    detail = redaction.redact(error.detail or "", secrets)
    trace = isinstance(error, InternalError)
    log.log(
        logging.ERROR if trace else logging.WARNING,
        "invocation failed: %s provider=%s model=%s status=%s request_id=%s %s",
        error.code.value,
        request.provider,
        request.model_name,
        error.provider_status,
        error.request_id,
        detail,
        exc_info=error.__cause__ if trace else None,
    )
