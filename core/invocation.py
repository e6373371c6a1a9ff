"""One invocation: exactly one provider request, the same in Lambda and here.

Never retries, and never raises for a fault of the caller or of the provider: an error is data.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import Final

from core.contract import (
    CONTRACT_VERSION,
    MAX_SERVICE_TIER_CHARS,
    MAX_TIMEOUT_SECONDS,
    AgentRequest,
    AgentResponse,
    ErrorBody,
    Metadata,
    utc_now,
)
from core.errors import BadProviderResponse, InternalError, InvocationError
from core.interruption import CancelToken, Limits
from core.loggers import get_logger
from core.providers import registry
from core.providers.base import Completion, Delta, Provider
from core.providers.features import require_features

log = get_logger("agent_launcher.invocation")

OnDelta = Callable[[str], None]

_INTERNAL_ERROR: Final = "An internal error. The log has the detail under this request id."


def invoke(
    request: AgentRequest,
    on_delta: OnDelta | None = None,
    cancel: CancelToken | None = None,
    *,
    backend: str = "LOCAL",
) -> AgentResponse:
    """Sends `request` to its provider, once, and returns the answer or the error as data.

    Args:
        request: A valid request. Its `timeout_seconds` bounds the whole call, `MAX_TIMEOUT_SECONDS` if it is
            unset.
        on_delta: Called with each piece of text as it arrives, in this thread; asks for a stream. What it
            raises ends the call as an `INTERNAL_ERROR`.
        cancel: Pressed by another thread to stop; the answer is then a `CANCELLED` error with the text so
            far.
        backend: What `metadata.execution_backend` says.
    """
    started = time.monotonic()
    timestamp = utc_now()
    timeout = MAX_TIMEOUT_SECONDS if request.timeout_seconds is None else request.timeout_seconds
    limits = Limits(timeout_seconds=timeout, cancel=cancel)
    progress = _Progress(on_delta)
    completion: Completion | None = None
    error: InvocationError | None = None
    try:
        spec = registry.get_spec(request.provider)
        require_features(spec, request)
        provider = registry.load(request.provider)
        limits.check(sent=False)
        if on_delta is None:
            completion = provider.complete(request, limits)
        else:
            completion = progress.follow(provider, request, limits)
        error = completion.error
    except InvocationError as exc:
        error = exc
    except Exception as exc:
        # The boundary of the contract: a fault of ours becomes data too, and the log has the trace.
        error = InternalError(_INTERNAL_ERROR, request_id=os.urandom(16).hex())
        error.__cause__ = exc
    finished = time.monotonic()
    if error is not None:
        _log_error(request, error)
    return AgentResponse(
        response=completion.text if completion is not None else progress.text,
        provider=request.provider,
        model=request.model_name if completion is None else _harmless(completion.model, request),
        metadata=Metadata.of(request, backend=backend),
        timestamp=timestamp,
        execution_time_seconds=round(finished - started, 6),
        token_usage=completion.usage if completion is not None else None,
        finish_reason=completion.finish_reason if completion is not None else None,
        time_to_first_token_seconds=progress.seconds_to_first_token(started),
        provider_request_id=_request_id(completion, error, request),
        service_tier=_service_tier(completion, request),
        contract_version=CONTRACT_VERSION,
        error=None if error is None else _error_body(error, request),
    )


class _Progress:
    """What has come of a stream."""

    def __init__(self, on_delta: OnDelta | None) -> None:
        self._on_delta = on_delta
        self._pieces: list[str] = []
        self._first_at: float | None = None

    def follow(self, provider: Provider, request: AgentRequest, limits: Limits) -> Completion:
        completion: Completion | None = None
        with closing(provider.stream(request, limits)) as stream:
            for item in stream:
                match item:
                    case Delta(text=text):
                        self._show(text)
                    case Completion():
                        completion = item
        if completion is None:
            raise BadProviderResponse(
                "The provider's stream ended without its end mark: the answer is incomplete."
            )
        return completion

    def _show(self, text: str) -> None:
        if self._first_at is None:
            self._first_at = time.monotonic()
        self._pieces.append(text)
        if self._on_delta is not None:
            self._on_delta(text)

    @property
    def text(self) -> str | None:
        return "".join(self._pieces) or None

    def seconds_to_first_token(self, started: float) -> float | None:
        return None if self._first_at is None else round(self._first_at - started, 6)


def _request_id(
    completion: Completion | None, error: InvocationError | None, request: AgentRequest
) -> str | None:
    found = completion.provider_request_id if completion is not None else error.request_id if error else None
    return None if found is None else _harmless(found, request)


def _service_tier(completion: Completion | None, request: AgentRequest) -> str | None:
    if completion is None or completion.service_tier is None:
        return None
    return _harmless(completion.service_tier, request)[:MAX_SERVICE_TIER_CHARS]


def _error_body(error: InvocationError, request: AgentRequest) -> ErrorBody:
    body = ErrorBody.of(error)
    if body.request_id is None:
        return body
    return body.model_copy(update={"request_id": _harmless(body.request_id, request)})


def _harmless(text: str, request: AgentRequest) -> str:
    """A name or an id of the vendor's, which is stored and shown, without the key if a server echoes it there."""
    if text == request.model_name:
        return text
    from core import redaction

    for secret in _secrets(request):
        text = text.replace(secret, redaction.MASK)
    return redaction.redact(text)


def _log_error(request: AgentRequest, error: InvocationError) -> None:
    level, detail = logging.WARNING, error.detail or ""
    if isinstance(error, InternalError) and error.__cause__ is not None:
        # As text, so that it is redacted: an exception's words may hold anything.
        level, detail = logging.ERROR, "".join(traceback.format_exception(error.__cause__))
    if not log.isEnabledFor(level):
        return
    from core import redaction  # a tenth of what importing this module would cost, and for errors only

    log.log(
        level,
        "invocation failed: code=%s provider=%s model=%s status=%s request_id=%s %s",
        error.code.value,
        request.provider,
        request.model_name,
        error.provider_status,
        error.request_id,
        redaction.redact(detail, _secrets(request)),
    )


def _secrets(request: AgentRequest) -> list[str]:
    """Every key that this request can have been sent with."""
    secrets = [request.api_key.get_secret_value()] if request.api_key is not None else []
    spec = registry.specs().get(request.provider)
    names = [
        *(spec.api_key_variables if spec is not None else ()),
        (request.api_key_ref or "").removeprefix("env:"),
    ]
    return secrets + [value for name in names if name and (value := os.environ.get(name))]
