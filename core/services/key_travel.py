"""How a run's key gets to AWS Lambda: so that a page can say it before anybody presses "Run"."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from core.contract import AgentRequest
from core.services.credentials import ResolvedKey


class KeyTravel(StrEnum):
    """How a key gets there.

    `STAYS`: the run begins here. `OWN`: the function's own role or variable serves. `REFERENCE`: the function reads the
    key itself, by the reference that is sent. `PAYLOAD`: the key is in the request, encrypted on its way by TLS.
    """

    STAYS = "STAYS"
    OWN = "OWN"
    REFERENCE = "REFERENCE"
    PAYLOAD = "PAYLOAD"

    @property
    def sentence(self) -> str:
        """For people."""
        match self:
            case KeyTravel.STAYS:
                return "The run begins on this machine: no key is sent to AWS Lambda."
            case KeyTravel.OWN:
                return "No key is sent to AWS Lambda: the function's own role or variable must serve."
            case KeyTravel.REFERENCE:
                return "AWS Lambda gets a reference, and reads the key itself."
            case KeyTravel.PAYLOAD:
                return "The key is sent to AWS Lambda in the request, over TLS: a reference would avoid that."
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyJourney:
    """How a run's key gets to where it begins.

    Attributes:
        travel: How.
        credential: The name of the stored key that serves; None if none does.
        reference: What is sent in its place.
    """

    travel: KeyTravel
    credential: str | None = None
    reference: str | None = None


def for_lambda(request: AgentRequest, key: ResolvedKey) -> AgentRequest:
    """The same request as AWS Lambda gets it: with the credential's reference instead of its secret, if it has one."""
    if key.api_key_ref is None:
        return request
    return request.model_copy(update={"api_key": None, "api_key_ref": key.api_key_ref})
