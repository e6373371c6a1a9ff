"""The function on AWS Lambda: the contract's request in, the contract's response out.

Deployed as `lambda_handler.handler.handle`. It is `core.invocation` behind a door: one provider request, no retry, an
error is data. Nothing that a caller or a provider did raises to the runtime.
"""

import json
from typing import Any, Final, cast

from pydantic import SecretStr

from core.aws_secrets import AwsSecrets, is_secret_arn
from core.contract import AgentRequest, AgentResponse, ErrorBody, error_response, parse_request
from core.errors import DeadlineExceeded, ErrorCode, InternalError, InvocationError, MissingApiKey
from core.interruption import Limits
from core.invocation import invoke
from core.providers import registry
from core.providers.wire import mend
from lambda_handler import collector, function_logs, refusals, runtime
from lambda_handler.call import Call

BACKEND: Final = "LAMBDA"
MAX_RESPONSE_BYTES: Final = 6_000_000
"""Lambda takes 6 MB of answer, and gives an error of its own for more, with which the tokens' count would be lost."""

_INTERNAL_ERROR: Final = "An internal error in the function. Its log has the detail under this request id."
_NO_TIME: Final = (
    "The function's time-out leaves no time to ask a model. Raise TimeoutSeconds (lambda_handler/template.yaml) and "
    "deploy."
)

secrets: Final = AwsSecrets()
runtime.prepare(secrets)


def handle(event: object, context: object = None) -> dict[str, Any]:
    """Answers one invocation.

    Args:
        event: The contract's request, decoded.
        context: Lambda's; without one there is no time-out and no request id.
    """
    call = Call.of(context)
    with function_logs.of_call(call) as log:
        try:
            response = _answer(event, call, log)
        except InvocationError as exc:
            response = _refused(event, exc)
        except Exception as exc:
            log.fault(exc)
            response = _refused(event, InternalError(_INTERNAL_ERROR, request_id=call.request_id, sent=False))
        response = _within_the_payload(_with_our_request_id(response, call))
        log.finished(response)
    wire = response.to_wire()
    collector.resume()
    return wire


def _answer(event: object, call: Call, log: function_logs.CallLog) -> AgentResponse:
    request = _read(event)
    log.request = request
    refusals.refuse_own_machine(request)
    if call.seconds is not None and call.seconds <= 0:
        raise DeadlineExceeded(_NO_TIME, sent=False)
    limits = Limits(timeout_seconds=_least(call.seconds, request.timeout_seconds))
    reference = request.api_key_ref
    request = _with_key(request, limits)
    remaining = limits.remaining_seconds()
    if remaining is not None:
        request = request.model_copy(update={"timeout_seconds": max(remaining, 0.001)})
    # As a stream, so that what was received is there when the time is up.
    response = invoke(request, _keep_nothing, backend=BACKEND)
    error = response.error
    if error is not None and error.code is ErrorCode.AUTHENTICATION_FAILED and is_secret_arn(reference):
        secrets.forget(reference)  # it may have been rotated
    return response


def _read(event: object) -> AgentRequest:
    refusals.refuse_envelope(event)
    try:
        return parse_request(event, providers=registry.specs())
    except InvocationError as exc:
        raise refusals.explained(exc) from None


def _with_key(request: AgentRequest, limits: Limits) -> AgentRequest:
    reference = request.api_key_ref
    if request.api_key is not None or reference is None or not is_secret_arn(reference):
        return request
    if not registry.get_spec(request.provider).takes_api_key:
        raise MissingApiKey(f"{request.provider} takes no API key: leave api_key_ref out.")
    key = secrets.read(reference, limits, provider=request.provider)
    return request.model_copy(update={"api_key": SecretStr(key), "api_key_ref": None})


def _keep_nothing(text: str) -> None:
    del text  # `invoke` keeps it


def _least(*seconds: float | None) -> float | None:
    return min((value for value in seconds if value is not None), default=None)


def _refused(event: object, error: InvocationError) -> AgentResponse:
    fields = cast("dict[str, object]", event) if isinstance(event, dict) else {}
    provider, model = (
        mend(value) if isinstance(value := fields.get(name), str) else ""
        for name in ("provider", "model_name")
    )
    response = error_response(error, provider=provider, model=model)
    return response.model_copy(
        update={"metadata": response.metadata.model_copy(update={"execution_backend": BACKEND})}
    )


def _with_our_request_id(response: AgentResponse, call: Call) -> AgentResponse:
    error = response.error
    if error is None or error.code is not ErrorCode.INTERNAL_ERROR or call.request_id is None:
        return response
    return response.model_copy(update={"error": error.model_copy(update={"request_id": call.request_id})})


def _within_the_payload(response: AgentResponse) -> AgentResponse:
    if response.response is not None:
        # The runtime writes UTF-8, and raises at a lone surrogate, which a provider of another's may let pass.
        response = response.model_copy(update={"response": mend(response.response)})
    # A character is at most six bytes of JSON, and the rest of an answer a few kilobytes.
    if len(response.response or "") < MAX_RESPONSE_BYTES // 8:
        return response
    size = len(json.dumps(response.to_wire(), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size <= MAX_RESPONSE_BYTES:
        return response
    error = ErrorBody(
        code=ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE,
        message=f"The answer has {size} bytes, and AWS Lambda returns 6 MB at most. Its tokens are counted. Set a "
        "smaller max_tokens, or run this agent locally.",
        may_be_billed=True,
    )
    return response.model_copy(update={"response": None, "error": error})
