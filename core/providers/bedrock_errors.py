"""Bedrock's refusals and failures as ours: by error code and status.

The one exception to "never by words": for a prompt that is too long and for an answer that a model's own filter
withheld Bedrock has no code, only a `ValidationException` that repeats what the model said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.errors import (
    AuthenticationFailed,
    InvocationError,
    ModelNotFound,
    PermissionDenied,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from core.providers.explaining import Explainer, Head
from core.providers.rows_bedrock import BEDROCK
from core.providers.wire import MAX_SAID_CHARS, as_text, said_by

_BAD_CREDENTIALS: Final = frozenset(
    {
        *("unrecognizedclientexception", "invalidsignatureexception", "signaturedoesnotmatch"),
        *("invalidclienttokenid", "incompletesignature", "incompletesignatureexception"),
        *("missingauthenticationtoken", "missingauthenticationtokenexception"),
    }
)
_EXPIRED: Final = frozenset(
    {"expiredtokenexception", "expiredtoken", "requestexpired", "tokenrefreshrequired"}
)
_FAILED: Final = frozenset(
    {"modelerrorexception", "modelstreamerrorexception", "internalserverexception", "internalfailure"}
)
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "validationexception": 400,
    "throttlingexception": 429,
    "toomanyrequestsexception": 429,
    "serviceunavailableexception": 503,
    "serviceunavailable": 503,
    "requestentitytoolargeexception": 413,
}

# github.com/strands-agents/harness-sdk issue 1912, aws-samples/bedrock-chat issue 95, aaif-goose/goose pull 7504.
_TOO_LONG: Final = re.compile(
    r"input is too long for requested model|prompt is too long: \d|maximum context length is \d"
    r"|exceeds? (the )?(model's )?context (limit|window|length)",
    re.IGNORECASE,
)
_FILTERED: Final = re.compile(r"output blocked by content filtering policy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BedrockExplainer(Explainer):
    """Makes the errors of one call.

    Attributes:
        region: Where Bedrock was asked.
        listing: The call was for the list of models.
    """

    region: str
    listing: bool = False

    def status(self, head: Head, body: Mapping[str, object]) -> InvocationError:
        """The error that an error status means.

        Args:
            head: Of the answer.
            body: Its JSON object; empty if it has none.
        """
        code = (
            head.headers.get("x-amzn-errortype") or as_text(body.get("code")) or as_text(body.get("__type"))
        )
        return self._translated(head, head.status, code or "", body)

    def reported(self, head: Head, code: str, body: Mapping[str, object]) -> InvocationError:
        """The error that came as an event of a stream.

        Args:
            head: Of the stream.
            code: The exception's name.
            body: The event.
        """
        return self._translated(head, None, code, body)

    def _translated(
        self, head: Head, status: int | None, code: str, body: Mapping[str, object]
    ) -> InvocationError:
        # As botocore reads it: a name, perhaps after a namespace and before an address of its documentation.
        name = code.split(":", 1)[0].rpartition("#")[2].strip().lower()
        message = body.get("message") or body.get("Message")
        translated = self._by_code(name, message, midway=None if status is not None else head)
        if translated is None:
            meant = _STATUS_OF_CODE.get(name)
            if status is None and meant is None:
                translated = self.failed_midway()
            else:
                translated = self._by_status(meant or status or 0, message)
        return self.completed(translated, head, {"code": code, **body})

    def _by_code(self, name: str, message: object, *, midway: Head | None) -> InvocationError | None:
        said = said_by(message, secrets=self.secrets())[:MAX_SAID_CHARS]
        match name:
            case "validationexception":
                return self._by_words(as_text(message) or "", midway=midway)
            case "accessdeniedexception":
                return self._denied(said)
            case _ if name in _BAD_CREDENTIALS:
                return self._bad_credentials()
            case _ if name in _EXPIRED:
                return AuthenticationFailed(
                    "The AWS credentials have expired. Renew them (`aws sso login`, or new values in the environment "
                    "and a restart), then try again."
                )
            case "resourcenotfoundexception":
                return ModelNotFound(
                    f"Bedrock in {self.region} does not know {self.model or 'this'}, or no longer. Check the model's "
                    "name and the region (BEDROCK_REGION); newer models are asked by an inference profile, such as "
                    f"us.anthropic....{said}"
                )
            case "servicequotaexceededexception":
                return RateLimited(
                    f"A quota of the AWS account for Bedrock in {self.region} is used up. Raise it in the Service "
                    "Quotas console; to try again will not help.",
                    retryable=False,
                )
            case "modeltimeoutexception":
                return ProviderTimeout(
                    f"{self.model} took longer than Bedrock lets it. Ask for less, or try again."
                )
            case "modelnotreadyexception":
                return ProviderUnavailable(f"{self.model} is not ready on Bedrock yet. Try again later.")
            case _ if name in _FAILED:
                return ProviderUnavailable("Bedrock or its model failed on this request. Try again later.")
            case _:
                return None

    def _by_status(self, status: int, message: object) -> InvocationError:
        if status == 401:
            return self._bad_credentials()
        if status == 403:
            return self._denied(said_by(message, secrets=self.secrets()))
        return self.by_status(status, message=message)

    def _by_words(self, message: str, *, midway: Head | None) -> InvocationError | None:
        if _TOO_LONG.search(message):
            return self.too_long()
        if not _FILTERED.search(message):
            return None
        return self.prompt_filtered() if midway is None else self.filtered(midway)

    def _bad_credentials(self) -> AuthenticationFailed:
        if self.key is not None:
            return AuthenticationFailed(
                f"Bedrock in {self.region} does not accept the API key. Check it under Settings > Credentials: it must "
                "be a Bedrock API key of this region that has not expired. Or use AWS credentials and no key."
            )
        return AuthenticationFailed(
            "AWS does not accept the credentials of this machine. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN or the profile, that they belong together, and this machine's clock."
        )

    def _denied(self, said: str) -> PermissionDenied:
        if self.listing:
            return PermissionDenied(
                "AWS does not allow these credentials to list Bedrock's models. The list needs the permissions "
                f"bedrock:ListFoundationModels and bedrock:ListInferenceProfiles; runs do not.{said}"
            )
        return PermissionDenied(
            f"AWS does not allow these credentials to use {self.model} in {self.region}. Check the IAM permissions "
            "bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream, and that access to the model is granted "
            f"under Bedrock > Model access.{said}"
        )


def explainer(*, model: str | None, key: str | None, region: str) -> BedrockExplainer:
    """What explains the failures of a call; without a model it is for a list."""
    return BedrockExplainer(
        BEDROCK.name, "Bedrock's Converse API", model, key, region=region, listing=model is None
    )
