"""An answer as most vendors give it, read from their JSON, and what becomes of it."""

from dataclasses import dataclass

from core.contract import FinishReason, TokenUsage
from core.providers.base import Completion
from core.providers.explaining import Explainer, Head


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor said.

    Attributes:
        text: The answer, or what was said in its place.
        refused: It is a refusal, the model's or a guardrail's, and not an answer that was cut.
        finish_reason: None if the vendor gave none.
        model: None if the vendor named none.
        usage: None if the vendor reported none.
        service_tier: At which tier the vendor says that it worked; None if it does not say.
    """

    text: str
    refused: bool
    finish_reason: FinishReason | None
    model: str | None
    usage: TokenUsage | None
    service_tier: str | None

    def completion(self, head: Head, errors: Explainer, *, asked: str | None) -> Completion:
        """The answer with its place in the contract: one that the vendor's filter cut is an error.

        Args:
            head: Of the response that it came in.
            errors: Makes the error.
            asked: The model asked for, in case the vendor names none.
        """
        cut = self.finish_reason == "content_filter" and not self.refused
        return Completion(
            text=self.text,
            usage=self.usage,
            finish_reason="content_filter" if self.refused else self.finish_reason,
            model=self.model or asked or "",
            provider_request_id=head.request_id,
            service_tier=self.service_tier,
            error=errors.filtered(head) if cut else None,
        )
