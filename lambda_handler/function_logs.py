"""The function's log: a JSON object a line on stdout, which CloudWatch keeps.

Every line of an invocation carries its request id and, where the caller sent one, its run id. Lambda's runtime has put
a handler of its own on the root logger, which would write other people's records as they are; ours takes its place.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from core import redaction, secret_shapes
from core.contract import AgentRequest, AgentResponse
from core.errors import ErrorCode
from core.loggers import ROOT, JsonFormatter, get_logger
from core.providers import registry
from lambda_handler.call import Call

LOG_LEVEL: Final = "AGENT_LAUNCHER_LOG_LEVEL"
LOG_PROMPTS: Final = "AGENT_LAUNCHER_LOG_PROMPTS"
CODE_VERSION: Final = "AGENT_LAUNCHER_CODE_VERSION"
MAX_TEXT_CHARS: Final = 20_000
"""Of a prompt or an answer in the log, if they are asked for: an event of CloudWatch has room for 256 KB."""

_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})

_log = get_logger("agent_launcher.function")
_call: ContextVar[Call | None] = ContextVar("agent_launcher_call", default=None)


def configure() -> None:
    """Sends every record of this process to stdout as JSON, redacted, in place of what the runtime set up."""
    for name, value in os.environ.items():
        if value and secret_shapes.is_secret_name(name):
            redaction.remember(value)
    for handler in list(logging.root.handlers):
        logging.root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_with_ids)
    logging.root.addHandler(handler)
    level = os.environ.get(LOG_LEVEL, "").strip().upper() or "INFO"
    logging.getLogger(ROOT).setLevel(level if level in _LEVELS else "INFO")
    if level not in _LEVELS:
        _log.warning("%s takes one of %s; INFO is used.", LOG_LEVEL, ", ".join(sorted(_LEVELS)))


def _with_ids(record: logging.LogRecord) -> bool:
    call = _call.get()
    if call is not None:
        record.request_id, record.run_id = call.request_id, call.run_id
    return True


class CallLog:
    """What is written of one invocation.

    Attributes:
        request: Set as soon as it could be read.
    """

    def __init__(self, *, cold: bool) -> None:
        self.request: AgentRequest | None = None
        self._cold = cold
        self._started = time.monotonic()

    def fault(self, exc: Exception) -> None:
        """A fault of ours, with its traceback; as text, which is redacted."""
        _log.error("internal error: %s", "".join(traceback.format_exception(exc)))

    def finished(self, response: AgentResponse) -> None:
        """The one line of a finished invocation: INFO, or WARNING if it failed.

        Of an event that could not be read, no value is written but a provider's name that there is: any other may be
        anything, a key too.
        """
        error, usage, request = response.error, response.token_usage, self.request
        unread = request is None
        # The text of an unknown provider repeats what came as its name.
        told = None if unread and error is not None and error.code is ErrorCode.UNKNOWN_PROVIDER else error
        fields: dict[str, Any] = {
            "agent": None if request is None else request.agent_name,
            "provider": None if unread and response.provider not in registry.specs() else response.provider,
            "model": None if unread else response.model,
            "duration_seconds": round(time.monotonic() - self._started, 6),
            "provider_seconds": response.execution_time_seconds,
            "input_tokens": None if usage is None else usage.input_tokens,
            "output_tokens": None if usage is None else usage.output_tokens,
            "finish_reason": response.finish_reason,
            "error_code": None if error is None else error.code.value,
            "error_message": None if told is None else told.message,
            "provider_request_id": response.provider_request_id,
            "caller_contract": None if request is None else request.contract_version,
            "code_version": os.environ.get(CODE_VERSION),
            "cold_start": self._cold,
        }
        if request is not None and _is_on(os.environ.get(LOG_PROMPTS)):
            fields |= {
                "prompt": _shortened(request.prompt),
                "system_prompt": _shortened(request.system_prompt),
                "response": _shortened(response.response),
            }
        _log.log(logging.INFO if error is None else logging.WARNING, "invocation finished", extra=fields)


class _Cold:
    """Whether the next invocation is the first one of this environment; after a snapshot, of its copy."""

    value = True


@contextmanager
def of_call(call: Call) -> Generator[CallLog]:
    """The log of one invocation; what anybody logs inside the block carries its ids."""
    cold, _Cold.value = _Cold.value, False
    token = _call.set(call)
    try:
        yield CallLog(cold=cold)
    finally:
        _call.reset(token)


def _is_on(value: str | None) -> bool:
    return (value or "").strip().lower() in {"1", "true", "yes", "on"}


def _shortened(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_TEXT_CHARS:
        return text
    return f"{text[:MAX_TEXT_CHARS]}... ({len(text)} characters)"
