"""Anthropic's refusals and failures as ours: by type, code and status.

Four of them are nothing but `invalid_request_error` with status 400, and only their words tell them from a
wrong parameter: a prompt that is too long (anthropics/claude-code issues 12186 and 4951), an answer that the
content filter blocks (58367), an account without credit (66314), and a spend limit that its owner set
(platform.claude.com/docs/en/api/errors). Anthropic has no `error_code` for them as of anthropic 2.12. They are
known by how the vendor begins to say it; should it change its words, they become INVALID_REQUEST, which shows
them.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from core.errors import InvocationError
from core.providers.explaining import BodyExplainer, Head
from core.providers.rows_anthropic import ANTHROPIC
from core.providers.wire import as_object, as_text

if TYPE_CHECKING:
    import anthropic
    import httpx2

_STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_QUOTA_CODES: Final = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
    }
)
_TOO_LONG: Final = re.compile(
    r"prompt is too long\b|input length and `max_tokens` exceed context limit\b", re.IGNORECASE
)
_FILTERED: Final = re.compile(r"output blocked by content filtering policy\b", re.IGNORECASE)
_NO_CREDIT: Final = re.compile(
    r"your credit balance is too low\b|you have reached your specified (workspace )?api usage limits\b",
    re.IGNORECASE,
)


class AnthropicExplainer(BodyExplainer):
    """Makes the errors of one call."""

    __slots__ = ()

    def __init__(self, model: str | None, key: str | None) -> None:
        super().__init__(ANTHROPIC.name, "a Messages API", model, key)

    @override
    def reported(self, head: Head, error: object) -> InvocationError:
        body = as_object(error) or {"message": error}
        status = _STATUS_OF_TYPE.get(as_text(body.get("type")) or "")
        if status is None:
            translated = self.failed_midway()
        elif _FILTERED.match(as_text(body.get("message")) or ""):
            translated = self.filtered(head)
        else:
            translated = self._translated(status, body)
        return self.completed(translated, head, body)

    @override
    def told(self, body: Mapping[str, object]) -> object:
        return body.get("error") or (body if body.get("type") == "error" else None)

    def status(self, exc: "anthropic.APIStatusError") -> InvocationError:
        """The error that an error status means."""
        whole = as_object(exc.body) or {}
        body = as_object(whole.get("error")) or {"message": whole.get("error") or exc.body}
        return self.completed(self._translated(exc.status_code, body), head_of(exc.response), body)

    def _translated(self, status: int, body: Mapping[str, object]) -> InvocationError:
        code = as_text((as_object(body.get("details")) or {}).get("error_code"))
        if status == 402 or code in _QUOTA_CODES:
            return self.no_quota()
        if status == 400:
            words = as_text(body.get("message")) or ""
            if _TOO_LONG.match(words):
                return self.too_long()
            if _FILTERED.match(words):
                return self.prompt_filtered()
            if _NO_CREDIT.match(words):
                return self.no_quota()
        return self.by_status(status, message=body.get("message"))


def head_of(response: "httpx2.Response") -> Head:
    """The head of an answer; what stands before the API may give an id of its own instead."""
    own = "request-id" if "request-id" in response.headers else "x-request-id"
    return Head.of(response.status_code, response.headers, id_header=own)
