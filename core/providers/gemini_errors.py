"""Gemini's refusals and failures as ours: by status and reason, never by words, save for one.

The body is Google's `{"error": {"code", "status", "message", "details": [...]}}` (google.rpc.Status, AIP-193;
ai.google.dev/gemini-api/docs/troubleshooting, 2026-11-22). `details` are typed objects: `ErrorInfo` has a
`reason`, `QuotaFailure` the quotas that are used up, `RetryInfo` how long to wait, `BadRequest` the fields.

The exception: a prompt longer than the context window is `INVALID_ARGUMENT` without any detail, as is every
other fault of a request, so it is told by its words (`_TOO_LONG`). If Google changes them, it becomes
INVALID_REQUEST with Google's own sentence.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from typing_extensions import override

from core.errors import AuthenticationFailed, InvocationError, PermissionDenied, RateLimited
from core.providers.explaining import BodyExplainer, Head
from core.providers.rows_gemini import GEMINI
from core.providers.wire import as_count, as_list, as_object, as_text, decode

_TOO_LONG: Final = re.compile(
    r"input token count .{0,40}exceeds the maximum number of tokens|exceeds the (context window|model's context)",
    re.IGNORECASE,
)
_BAD_KEY_REASONS: Final = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "CREDENTIALS_MISSING"})
_STATUS_OF_NAME: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The HTTP status of each `status` (google.rpc.Code)."""


class GeminiExplainer(BodyExplainer):
    """Makes the errors of one call."""

    __slots__ = ()

    def __init__(self, model: str | None, key: str | None) -> None:
        super().__init__(GEMINI.name, "a Gemini API", model, key)

    @override
    def reported(self, head: Head, error: object) -> InvocationError:
        body = as_object(error) or {"message": error}
        name = as_text(body.get("status")) or ""
        status = _STATUS_OF_NAME.get(name) or as_count(body.get("code")) or 0
        translated = self._explained(status, body) if 400 <= status < 600 else self.failed_midway()
        return self._completed(translated, head, body)

    def status(self, head: Head, data: bytes) -> InvocationError:
        """The error that an error status means, with its body as far as it came."""
        body = _error_in(data)
        return self._completed(self._explained(head.status, body), head, body)

    def account_limited(self) -> PermissionDenied:
        """The error for an answer that stopped because the account broke the vendor's policies."""
        return PermissionDenied(
            f"{self.provider} stopped the answer: it has limited this account for breaking its prohibited use "
            "policy. See the project's notices at aistudio.google.com."
        )

    def _explained(self, status: int, body: Mapping[str, object]) -> InvocationError:
        name, reasons = as_text(body.get("status")), {as_text(info.get("reason")) for info in _details(body)}
        message = body.get("message")
        if reasons & _BAD_KEY_REASONS or (status == 403 and self.key is None):
            return self._bad_key(status)
        if status == 400 and name == "FAILED_PRECONDITION":
            return PermissionDenied(
                f"{self.provider} does not serve this project from where it is asked without billing. Enable "
                "billing for the project at aistudio.google.com, or ask from another country."
            )
        if status == 400 and isinstance(message, str) and _TOO_LONG.search(message):
            return self.too_long()
        if status == 429 and any("PerDay" in quota for quota in _quotas(body)):
            return RateLimited(
                f"The quota that {self.provider} gives this project for a day is used up. Add credit or raise the "
                "limit at aistudio.google.com, or wait until the next day of California; to try again before "
                "will not help.",
                retryable=False,
            )
        return self.by_status(status, message=message, parameter=_field(body))

    def _bad_key(self, status: int) -> InvocationError:
        if self.key is None:
            return self.by_status(401)
        return AuthenticationFailed(
            f"{self.provider} does not accept the API key ({status}). Check it under Settings > Credentials, and "
            "that it belongs to this endpoint."
        )

    def _completed(self, error: InvocationError, head: Head, body: Mapping[str, object]) -> InvocationError:
        error = self.completed(error, head, body)
        if error.retryable and error.retry_after_seconds is None:
            error.retry_after_seconds = _retry_delay_seconds(body)
        return error


def head_of(status: int, headers: Mapping[str, str]) -> Head:
    """The head of an answer. Google gives an answer its id in the body; a gateway may give one here."""
    return Head.of(status, headers, id_header="x-request-id")


def _error_in(data: bytes) -> dict[str, object]:
    try:
        value = decode(data)
    except ValueError:
        return {}
    if listed := as_list(value):
        value = listed[0]  # the form of a stream that is no event stream
    error = (as_object(value) or {}).get("error")
    return as_object(error) or {"message": error}


def _details(body: Mapping[str, object]) -> Iterator[dict[str, object]]:
    for item in as_list(body.get("details")) or ():
        detail = as_object(item)
        if detail is not None:
            yield detail


def _quotas(body: Mapping[str, object]) -> Iterator[str]:
    """The ids of the quotas that are used up, such as GenerateRequestsPerDayPerProjectPerModel-FreeTier."""
    for detail in _details(body):
        for item in as_list(detail.get("violations")) or ():
            yield as_text((as_object(item) or {}).get("quotaId")) or ""


def _field(body: Mapping[str, object]) -> str | None:
    for detail in _details(body):
        for item in as_list(detail.get("fieldViolations")) or ():
            if field := as_text((as_object(item) or {}).get("field")):
                return field
    return None


_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def _retry_delay_seconds(body: Mapping[str, object]) -> float | None:
    for detail in _details(body):
        if found := _DURATION.fullmatch(as_text(detail.get("retryDelay")) or ""):
            return float(found[1])
    return None
