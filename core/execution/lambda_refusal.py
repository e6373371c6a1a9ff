"""A status of AWS Lambda's that is not a success, and what it says of itself."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

MAX_RETRY_AFTER_SECONDS: Final = 3_600.0
BAD_CREDENTIALS: Final = frozenset(
    {
        *("UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch"),
        *("InvalidClientTokenId", "IncompleteSignature", "IncompleteSignatureException"),
        *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidAccessKeyId"),
    }
)
EXPIRED: Final = frozenset(
    {"ExpiredTokenException", "ExpiredToken", "RequestExpired", "TokenRefreshRequired"}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status of AWS's that is not a success.

    Attributes:
        function: The function's name, for the text.
        region: Where it was asked.
        status: The HTTP status.
        headers: Their names in lower case.
        body: What came with it.
    """

    function: str
    region: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def name(self) -> str:
        """The exception's name, such as `TooManyRequestsException`; "" if none was given."""
        given = self.headers.get("x-amzn-errortype") or self._field("__type") or self._field("code") or ""
        # As botocore reads it: perhaps after a namespace and before an address of its documentation.
        return given.split(":", 1)[0].rpartition("#")[2].strip()[:100]

    @property
    def detail(self) -> str:
        """For the log: what AWS said."""
        said = self._field("message") or self._field("Message") or self.body[:500].decode("utf-8", "replace")
        return f"status={self.status} {self.name} {said}"

    def _field(self, name: str) -> str | None:
        value = _object(self.body).get(name)
        return value if isinstance(value, str) else None

    @property
    def blames_credentials(self) -> bool:
        """Whether other credentials may be taken."""
        return self.name in BAD_CREDENTIALS or self.name in EXPIRED

    @property
    def is_the_functions(self) -> bool:
        """Whether it is how the function ended: the emulator says 502 of one that crashed or could not start."""
        return (
            not self.name and self._field("errorType") is not None and self._field("errorMessage") is not None
        )

    @property
    def reason(self) -> str:
        """Why it was throttled, in AWS's word; "" if it gave none."""
        word = self._field("Reason") or ""
        return word if re.fullmatch(r"[A-Za-z]{1,80}", word) else ""

    @property
    def retry_after_seconds(self) -> float | None:
        """How long AWS asks us to wait."""
        try:
            seconds = float(self.headers.get("retry-after") or self._field("retryAfterSeconds") or "")
        except ValueError:
            return None
        return min(seconds, MAX_RETRY_AFTER_SECONDS) if math.isfinite(seconds) and seconds >= 0 else None


def _object(body: bytes) -> Mapping[str, object]:
    if not body.startswith(b"{"):
        return {}
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}
