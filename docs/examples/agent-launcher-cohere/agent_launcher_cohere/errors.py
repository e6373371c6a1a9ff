"""Cohere's refusals and failures as ours: by status.

An error is `{"message": "some words"}` (docs.cohere.com/reference/errors, 2026-11-22), with an id at times, and without
a code, a type or a parameter's name. A prompt that is too long has the status of any bad request, and is known by how
Cohere begins to say it; should it change its words, it becomes INVALID_REQUEST, which shows them.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent_launcher_cohere.spec import COHERE
from agent_launcher_cohere.wire import TIMED_OUT, Answer
from core.errors import InvocationError, ProviderTimeout, ProviderUnavailable
from core.providers.explaining import MAX_REQUEST_ID_CHARS, Explainer, Head
from core.providers.wire import as_text, mend, object_or_empty, said_by

if TYPE_CHECKING:
    import httpx

_TOO_LONG: Final = re.compile(
    r"too many tokens: ((the )?total number of tokens|size limit exceeded)", re.IGNORECASE
)


class CohereExplainer(Explainer):
    """Makes the errors of one call."""

    __slots__ = ()

    def __init__(self, model: str | None, key: str | None) -> None:
        super().__init__(COHERE.name, "Cohere's API, without /v1 or /v2", model, key)

    def status(self, response: "httpx.Response", data: bytes) -> InvocationError:
        """The error that a status means which is no success."""
        body = object_or_empty(data)
        error = self._by_status(response.status_code, as_text(body.get("message")))
        return self.completed(error, with_id(head_of(response), as_text(body.get("id"))), body)

    def ended(self, head: Head, answer: Answer) -> InvocationError:
        """The error for an answer that ended as a failure."""
        error: InvocationError = self.failed_midway()
        if answer.reason == TIMED_OUT:
            error = ProviderTimeout(f"{COHERE.name} took too long and gave up. Try again, or ask for less.")
        error.message += said_by(answer.said, secrets=self.secrets())
        return self.completed(error, head, {"finish_reason": answer.reason, "error": answer.said})

    def _by_status(self, status: int, said: str | None) -> InvocationError:
        match status:
            case 400 if said is not None and _TOO_LONG.match(said):
                return self.too_long()
            case 402:
                return self.no_quota()
            case 498:  # "a request or response contains a deny-listed token"
                return self.prompt_filtered()
            case 499:  # "cancelled by the user", which was not us: we hear nothing of what we cancel
                return ProviderUnavailable(
                    f"{COHERE.name}, or something on the way to it, cancelled the request (499). Try again."
                )
            case _:
                return self.by_status(status, message=said)


def head_of(response: "httpx.Response") -> Head:
    """The head of an answer; the request's id is in its body."""
    return Head(response.status_code, response.headers, None)


def with_id(head: Head, request_id: str | None) -> Head:
    """The head with the id that the body gave."""
    return head if request_id is None else replace(head, request_id=mend(request_id)[:MAX_REQUEST_ID_CHARS])
