"""A vendor's failures in our words: what all providers say alike. What a vendor's own codes mean stands with it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from core import redaction
from core.errors import (
    BadProviderResponse,
    ContentFiltered,
    ContextLengthExceeded,
    InvocationError,
    ProviderUnavailable,
    RateLimited,
)
from core.providers import registry
from core.providers.wire import (
    as_object,
    as_text,
    decode,
    error_for_status,
    mend,
    retry_after_seconds,
    said_by,
)

MAX_REQUEST_ID_CHARS = 200

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the body of an answer, whichever library read it.

    Attributes:
        headers: By name; looked up in lower case.
        request_id: The vendor's own id of the request.
    """

    status: int
    headers: Mapping[str, str]
    request_id: str | None

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], *, id_header: str) -> "Head":
        """The head of an answer, whose id is in `id_header`."""
        found = headers.get(id_header)
        return cls(status, headers, found[:MAX_REQUEST_ID_CHARS] if found else None)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Makes the errors of one call.

    Attributes:
        provider: Its name, as in the contract.
        api: What the base URL must lead to, such as "a chat completions API".
        model: What was asked for, if anything.
        key: What was sent, to be kept out of every text.
    """

    provider: str
    api: str
    model: str | None
    key: str | None = field(repr=False)

    def nonsense(self, head: Head, what: str) -> BadProviderResponse:
        """The error for a success status with a body that is no answer."""
        kind = head.headers.get("content-type", "no content type")[:100]
        return BadProviderResponse(
            f"The answer of {self.provider} {what}. Check that the base URL leads to {self.api}, then try again.",
            detail=f"content-type: {kind}",
            provider_status=head.status,
            request_id=head.request_id,
        )

    def cut(self, head: Head) -> BadProviderResponse:
        """The error for a stream that stopped before its end mark."""
        if head.headers.get("content-type", "").lower().startswith("text/html"):
            return self.nonsense(head, "came as a web page (text/html), not as a stream")
        return BadProviderResponse(
            f"The stream of {self.provider} ended before the answer did: what was received is incomplete. "
            "Try again.",
            provider_status=head.status,
            request_id=head.request_id,
        )

    def filtered(self, head: Head) -> ContentFiltered:
        """The error for an answer that the vendor's filter cut."""
        return ContentFiltered(
            f"The content filter of {self.provider} cut the answer. Change the prompt.",
            provider_status=head.status,
            request_id=head.request_id,
        )

    def prompt_filtered(self) -> ContentFiltered:
        """The error for a prompt that the vendor's filter refused."""
        return ContentFiltered(
            f"The content filter of {self.provider} refused the prompt. Change the prompt."
        )

    def too_long(self) -> ContextLengthExceeded:
        """The error for more text than the model can read."""
        return ContextLengthExceeded(
            f"Prompt and answer do not fit the context window of {self.model}. Shorten the prompt or "
            "the chat, ask for fewer max_tokens, or choose a model with a larger window."
        )

    def no_quota(self) -> RateLimited:
        """The error for an account without money."""
        return RateLimited(
            f"The {self.provider} account of this key has no quota left. Add credit or raise the limit "
            "with the vendor; to try again will not help.",
            retryable=False,
        )

    def failed_midway(self) -> ProviderUnavailable:
        """The error for a failure that the vendor told of after it had begun well."""
        return ProviderUnavailable(f"{self.provider} failed while it answered. Try again later.")

    def by_status(self, status: int, *, message: object = None, parameter: object = None) -> InvocationError:
        """The error that an HTTP status means.

        Args:
            status: Any that is no success.
            message: The vendor's own words, if any.
            parameter: The parameter that the vendor names.
        """
        spec = registry.specs().get(self.provider)
        return error_for_status(
            status,
            provider=self.provider,
            model=self.model,
            parameter=self.public(parameter),
            said=said_by(message, secrets=self.secrets()),
            key_given=self.key is not None,
            unknown_model_hint=spec.unknown_model_hint if spec else "",
        )

    def completed(self, error: InvocationError, head: Head, body: object) -> InvocationError:
        """The error with what the answer's head says, and the body as its redacted detail."""
        error.provider_status = head.status
        error.request_id = head.request_id
        error.retry_after_seconds = retry_after_seconds(head.headers)
        error.detail = redaction.redact(repr(body)[:2_000], self.secrets())
        return error

    def object_in(self, head: Head, data: bytes, *, what: str = "") -> dict[str, object]:
        """The JSON object in `data`.

        Args:
            head: Of the answer that it came in.
            data: Of a whole body, or of one event.
            what: Such as "has an event that "; empty for a whole body.

        Raises:
            BadProviderResponse: It is something else.
        """
        try:
            value = decode(data)
        except ValueError as exc:
            raise self.nonsense(head, f"{what}is not JSON") from exc
        body = as_object(value)
        if body is None:
            raise self.nonsense(head, f"{what}is not a JSON object")
        return body

    def answer_in(
        self, head: Head, body: dict[str, object], read: Callable[[dict[str, object]], Answer]
    ) -> Answer:
        """What `read` makes of a body.

        Args:
            head: Of the answer.
            body: The whole of it.
            read: Raises ValueError where there is no answer in it; the text says what is missing, as in "the
                answer ... ".

        Raises:
            BadProviderResponse: There is none.
        """
        try:
            return read(body)
        except ValueError as exc:
            raise self.nonsense(head, str(exc)) from exc

    def public(self, value: object) -> str | None:
        """A text of the vendor's that may be shown, if it is one."""
        text = as_text(value)
        return None if text is None else redaction.redact(mend(text), self.secrets())[:100]

    def secrets(self) -> list[str]:
        """What no text may hold."""
        return [] if self.key is None else [self.key]


class BodyExplainer(Explainer, ABC):
    """Of a vendor that may tell of an error in the body of a success, or in an event, as its `error`."""

    __slots__ = ()

    @abstractmethod
    def reported(self, head: Head, error: object) -> InvocationError:
        """The error that a success status or a stream carried in its body."""

    def told(self, body: Mapping[str, object]) -> object:
        """What a body tells of an error; empty if nothing."""
        return body.get("error")

    def body_in(self, head: Head, data: bytes, *, what: str = "") -> dict[str, object]:
        """As `object_in`, of a body or an event that tells of no error.

        Raises:
            InvocationError: The one that it tells of, or `BadProviderResponse`.
        """
        body = self.object_in(head, data, what=what)
        if error := self.told(body):
            raise self.reported(head, error)
        return body
