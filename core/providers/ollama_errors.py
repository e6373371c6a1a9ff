"""Ollama's refusals and failures as ours: by status, for it gives nothing else but words.

Its errors are `{"error": "some words"}` (docs.ollama.com/api/errors, 2026-11-22), without a code, a type or a
parameter's name. So what it can only say in words keeps its status' meaning: a prompt that is too long for a
model which refuses it is `INVALID_REQUEST`, a used-up quota of its cloud `RATE_LIMITED` that may be tried again,
and the message quotes the words. An error in the middle of a stream has no status either, and is a failure.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from core.errors import (
    AuthenticationFailed,
    InvocationError,
    ModelNotFound,
    ProviderUnavailable,
)
from core.providers.explaining import BodyExplainer, Head
from core.providers.rows_ollama import OLLAMA
from core.providers.wire import as_text, object_or_empty, said_by

if TYPE_CHECKING:
    import httpx

_PAYMENT_REQUIRED = 402


@dataclass(frozen=True, slots=True)
class OllamaExplainer(BodyExplainer):
    """Makes the errors of one call.

    Attributes:
        address: Of the server that is asked.
    """

    address: str

    @classmethod
    def of(cls, model: str | None, key: str | None, *, address: str) -> Self:
        """For one call."""
        return cls(OLLAMA.name, "an Ollama server", model, key, address)

    def status(self, response: "httpx.Response") -> InvocationError:
        """The error that a status means which is no success."""
        body = object_or_empty(response.content)
        return self.completed(
            self._by_status(response.status_code, as_text(body.get("error"))), head_of(response), body
        )

    @override
    def reported(self, head: Head, error: object) -> InvocationError:
        failed = self.failed_midway()
        failed.message += said_by(error, secrets=self.secrets())
        return self.completed(failed, head, {"error": error})

    def refused(self, error: ProviderUnavailable) -> ProviderUnavailable:
        """The error of a connection that was refused, with the remedy."""
        return ProviderUnavailable(
            f"No Ollama server answers at {self.address}: the connection was refused. Start it on that machine "
            "(`ollama serve`), or correct the base URL or OLLAMA_HOST.",
            detail=error.detail,
            sent=False,
        )

    def _by_status(self, status: int, said: str | None) -> InvocationError:
        match status:
            case 401 if self.key is None and not OLLAMA.is_cloud(self.address):
                return AuthenticationFailed(
                    f"{self.address} wants to know who asks (401). For a model on Ollama's cloud run "
                    "`ollama signin` on that machine; for a server behind a key, add the key under Settings > "
                    "Credentials."
                )
            case _ if status == _PAYMENT_REQUIRED:
                return self.no_quota()
            case 404 if said is None:
                return ModelNotFound(
                    f"There is no Ollama API at {self.address} (404). Give the server's address alone as the "
                    "base URL, without /v1 or /api."
                )
            case 404 if self.model is not None and not OLLAMA.is_cloud(self.address):
                return ModelNotFound(
                    f"{self.address} has no model {self.model} (404). Get it on that machine with "
                    f"`ollama pull {self.model}`, or correct the model's name."
                )
            case 404 if self.model is not None:
                return ModelNotFound(
                    f"Ollama's cloud has no model {self.model} (404). Correct the model's name: test the "
                    "connection to see the list."
                )
            case _:
                return self.by_status(status, message=said)


def head_of(response: "httpx.Response") -> Head:
    """The head of an answer; Ollama gives requests no id."""
    return Head(response.status_code, response.headers, None)
