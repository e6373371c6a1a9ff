"""OpenAI's refusals and failures as ours: by code and status, never by words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from core.errors import InvocationError
from core.providers.explaining import BodyExplainer, Head
from core.providers.rows_openai import OPENAI
from core.providers.wire import as_count, as_object, as_text

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


class OpenAIExplainer(BodyExplainer):
    """Makes the errors of one call."""

    __slots__ = ()

    def __init__(self, model: str | None, key: str | None) -> None:
        super().__init__(OPENAI.name, "a chat completions API", model, key)

    @override
    def reported(self, head: Head, error: object) -> InvocationError:
        body = as_object(error) or {"message": error}
        status = as_count(body.get("code")) or 0
        translated = self._by_code(body)
        if translated is None and 400 <= status < 600:
            translated = self._by_status(status, body)
        elif translated is None and body.get("type") == "invalid_request_error":
            translated = self._by_status(400, body)
        return self.completed(translated or self.failed_midway(), head, body)

    def status(self, exc: "openai.APIStatusError") -> InvocationError:
        """The error that an error status means."""
        body = as_object(exc.body) or {"message": exc.body}
        translated = self._by_code(body) or self._by_status(exc.status_code, body)
        return self.completed(translated, head_of(exc.response), body)

    def _by_code(self, body: Mapping[str, object]) -> InvocationError | None:
        code, kind = as_text(body.get("code")), as_text(body.get("type"))
        if code == "context_length_exceeded":
            return self.too_long()
        if code in _FILTER_CODES:
            return self.prompt_filtered()
        if code in _QUOTA_CODES or kind in _QUOTA_CODES:
            return self.no_quota()
        if code is not None and (status := _STATUS_OF_CODE.get(code)) is not None:
            return self._by_status(status, body)
        return None

    def _by_status(self, status: int, body: Mapping[str, object]) -> InvocationError:
        return self.by_status(status, message=body.get("message"), parameter=body.get("param"))


def head_of(response: "httpx2.Response") -> Head:
    """The head of an answer."""
    return Head.of(response.status_code, response.headers, id_header="x-request-id")
