"""What a function on AWS Lambda returned: the contract's response, or how the function ended without one."""

import json
import re
from collections.abc import Mapping
from typing import Final, cast, get_args

from pydantic import ValidationError

from core.contract import AgentResponse, FinishReason
from core.errors import (
    ErrorCode,
    ExecutionError,
    LambdaFunctionError,
    LambdaTimeout,
    OutcomeUnknown,
)
from core.execution.lambda_errors import too_large_to_return
from core.execution.report_line import LambdaReport
from core.redaction import redact

MAX_RESPONSE_BYTES: Final = 6_291_556
"""As AWS says in `Function.ResponseSizeTooLarge`."""
MAX_SHOWN_CHARS: Final = 300

_TIMED_OUT: Final = re.compile(r"Task timed out after ([0-9.]{1,10}) seconds")
_TYPE: Final = re.compile(r"[A-Za-z_][\w.:]{0,99}")
_BEFORE_THE_HANDLER: Final = frozenset(
    {
        *("Runtime.ImportModuleError", "Runtime.HandlerNotFound", "Runtime.UserCodeSyntaxError"),
        *("Runtime.MalformedHandlerName", "Runtime.InvalidEntrypoint", "Runtime.InvalidWorkingDir"),
    }
)
"""The function's own code did not begin, so that no model was asked. AWS bills the time it took."""
_OF_THE_PLATFORM: Final = ("Runtime.", "Function.", "Sandbox.", "Extension.", "InvalidRequest")
"""Types whose text AWS or its runtime wrote, which holds nothing of the request."""


def read_answer(
    payload: bytes, *, function_error: str | None, function: str, report: LambdaReport
) -> AgentResponse | ExecutionError:
    """The response in a payload; an error if the function made none.

    Args:
        payload: The body.
        function_error: The header `X-Amz-Function-Error`: "Unhandled", "Handled"; None without one.
        function: Its name, for the texts.
        report: What AWS reported of it.
    """
    if function_error is None:
        if len(payload) > MAX_RESPONSE_BYTES:
            return too_large_to_return(size=len(payload))
        try:
            return AgentResponse.model_validate_json(payload)
        except ValidationError:
            pass
    value = _decoded(payload)
    fields = _object(value)
    # The runtime emulator has no header, and says a time-out in plain text.
    ended = _said(value, payload)
    if function_error is not None or "errorType" in fields or _TIMED_OUT.match(ended):
        return _ended(fields, ended, function=function, report=report)
    return _from_another_version(fields) or OutcomeUnknown(
        f"{function} answered, but not in this program's contract. It may have been billed. Check that "
        "LAMBDA_AGENT_FUNCTION_NAME names our function, or deploy it again (lambda_handler/scripts/deploy.sh).",
        detail=payload[:MAX_SHOWN_CHARS].decode("utf-8", "replace"),
    )


def _ended(fields: Mapping[str, object], said: str, *, function: str, report: LambdaReport) -> ExecutionError:
    kind = _type_of(fields) or report.error_type or ""
    timed_out = _TIMED_OUT.search(said)
    detail = f"{kind} {said} {json.dumps(fields.get('stackTrace'))[:2_000]}"
    if kind == "Sandbox.Timedout" or timed_out is not None or report.status == "timeout":
        after = f" after {float(timed_out[1]):g} s" if timed_out and _is_number(timed_out[1]) else ""
        return LambdaTimeout(
            f"AWS Lambda ended {function}{after}: its time-out. Raise its Timeout (up to 900 s), or ask for less.",
            detail=detail,
        )
    if kind == "Function.ResponseSizeTooLarge":
        return too_large_to_return()
    if kind == "Runtime.OutOfMemory" or report.out_of_memory:
        size = "" if report.memory_mb is None else f" of {report.memory_mb} MB"
        return LambdaFunctionError(
            f"{function} ran out of its memory{size}. Raise its MemorySize.", detail=detail
        )
    if kind == "Runtime.ImportModuleError":
        return LambdaFunctionError(
            f"{function} cannot be imported: {_shown(said)} Build its package for its own runtime and architecture, "
            "and deploy it again (lambda_handler/scripts/deploy.sh).",
            detail=detail,
            sent=False,
        )
    why = f" ({kind})" if kind else ""
    if kind.startswith(_OF_THE_PLATFORM):
        why += f": {_shown(said)}"
    return LambdaFunctionError(
        f"{function} ended without an answer{why.rstrip('.')}. Its log has the detail; if it is not this version's "
        "code, deploy it again (lambda_handler/scripts/deploy.sh).",
        detail=detail,
        sent=kind not in _BEFORE_THE_HANDLER,
    )


def _type_of(fields: Mapping[str, object]) -> str | None:
    kind = fields.get("errorType")
    return kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else None


def _said(value: object, payload: bytes) -> str:
    said = value if isinstance(value, str) else _object(value).get("errorMessage")
    return said if isinstance(said, str) else payload[: MAX_SHOWN_CHARS * 4].decode("utf-8", "replace")


def _shown(said: str) -> str:
    text = " ".join(redact(said).split())[:MAX_SHOWN_CHARS]
    return text if not text or text.endswith(".") else f"{text}."


def _from_another_version(fields: Mapping[str, object]) -> AgentResponse | None:
    """The response of a newer function, with what this version has no word for in its nearest own."""
    error = dict(_object(fields.get("error")))
    if error and error.get("code") not in set(ErrorCode):
        error["code"] = ErrorCode.INTERNAL_ERROR.value
    changed = {**fields, **({"error": error} if error else {})}
    if changed.get("finish_reason") not in (None, *get_args(FinishReason)):
        changed["finish_reason"] = "other"
    if changed == fields:
        return None
    try:
        return AgentResponse.model_validate(changed)
    except ValidationError:
        return None


def _decoded(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "replace")


def _object(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
