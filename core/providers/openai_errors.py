"""OpenAI's refusals and failures as ours: by code and status, never by words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core import redaction
from core.errors import (
    BadProviderResponse,
    ContentFiltered,
    ContextLengthExceeded,
    InvocationError,
    ProviderUnavailable,
    RateLimited,
)
from core.providers.registry import OPENAI
from core.providers.wire import (
    as_count,
    as_object,
    as_text,
    error_for_status,
    mend,
    retry_after_seconds,
    said_by,
)

if TYPE_CHECKING:
    import httpx2
    import openai

_QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_FILTER_CODES: Final = frozenset({"content_filter", "content_policy_violation"})
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "invalid_api_key": 401,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
}


@dataclass(frozen=True, slots=True)
class Explainer:
    """Makes the errors of one call.

    Attributes:
        model: What was asked for, if anything.
        key: What was sent, to be kept out of every text.
    """

    model: str | None
    key: str | None = field(repr=False)

    def nonsense(self, response: "httpx2.Response", what: str) -> BadProviderResponse:
        """The error for a success status with a body that is no answer."""
        kind = response.headers.get("content-type", "no content type")[:100]
        return BadProviderResponse(
            f"The answer of {OPENAI.name} {what}. Check that the base URL leads to a chat completions API, "
            "then try again.",
            detail=f"content-type: {kind}",
            provider_status=response.status_code,
            request_id=request_id(response),
        )

    def cut(self, response: "httpx2.Response") -> BadProviderResponse:
        """The error for a stream that stopped before its end mark."""
        return BadProviderResponse(
            f"The stream of {OPENAI.name} ended before the answer did: what was received is incomplete. "
            "Try again.",
            provider_status=response.status_code,
            request_id=request_id(response),
        )

    def filtered(self, response: "httpx2.Response") -> ContentFiltered:
        """The error for an answer that the vendor's filter cut."""
        return ContentFiltered(
            f"The content filter of {OPENAI.name} cut the answer. Change the prompt.",
            provider_status=response.status_code,
            request_id=request_id(response),
        )

    def reported(self, response: "httpx2.Response", error: object) -> InvocationError:
        """The error that a success status or a stream carried in its body."""
        body = as_object(error) or {"message": error}
        status = as_count(body.get("code")) or 0
        translated = self._by_code(body)
        if translated is None and 400 <= status < 600:
            translated = self._by_status(status, body)
        elif translated is None and body.get("type") == "invalid_request_error":
            translated = self._by_status(400, body)
        if translated is None:
            translated = ProviderUnavailable(f"{OPENAI.name} failed while it answered. Try again later.")
        return self._complete_error(translated, response, body)

    def status(self, exc: "openai.APIStatusError") -> InvocationError:
        """The error that an error status means."""
        body = as_object(exc.body) or {"message": exc.body}
        translated = self._by_code(body) or self._by_status(exc.status_code, body)
        return self._complete_error(translated, exc.response, body)

    def _by_code(self, body: Mapping[str, object]) -> InvocationError | None:
        code, kind = as_text(body.get("code")), as_text(body.get("type"))
        if code == "context_length_exceeded":
            return ContextLengthExceeded(
                f"Prompt and answer do not fit the context window of {self.model}. Shorten the prompt or "
                "the chat, ask for fewer max_tokens, or choose a model with a larger window."
            )
        if code in _FILTER_CODES:
            return ContentFiltered(
                f"The content filter of {OPENAI.name} refused the prompt. Change the prompt."
            )
        if code in _QUOTA_CODES or kind in _QUOTA_CODES:
            return RateLimited(
                f"The {OPENAI.name} account of this key has no quota left. Add credit or raise the limit "
                "with the vendor; to try again will not help.",
                retryable=False,
            )
        if code is not None and (status := _STATUS_OF_CODE.get(code)) is not None:
            return self._by_status(status, body)
        return None

    def _by_status(self, status: int, body: Mapping[str, object]) -> InvocationError:
        return error_for_status(
            status,
            provider=OPENAI.name,
            model=self.model,
            parameter=self._public(body.get("param")),
            said=said_by(body.get("message"), secrets=self._secrets()),
            key_given=self.key is not None,
        )

    def _complete_error(
        self, error: InvocationError, response: "httpx2.Response", body: Mapping[str, object]
    ) -> InvocationError:
        error.provider_status = response.status_code
        error.request_id = request_id(response)
        error.retry_after_seconds = retry_after_seconds(response.headers)
        error.detail = redaction.redact(repr(dict(body))[:2_000], self._secrets())
        return error

    def _public(self, value: object) -> str | None:
        text = as_text(value)
        return None if text is None else redaction.redact(mend(text), self._secrets())[:100]

    def _secrets(self) -> list[str]:
        return [] if self.key is None else [self.key]


def request_id(response: "httpx2.Response") -> str | None:
    """The vendor's id of a request."""
    value = response.headers.get("x-request-id")
    return value[:200] if value else None
