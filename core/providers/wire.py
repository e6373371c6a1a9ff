"""What the vendors' wire formats have in common: JSON, events, token counts, statuses and `Retry-After`."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

from core import redaction
from core.errors import (
    AuthenticationFailed,
    BadProviderResponse,
    InvalidRequest,
    InvocationError,
    ModelNotFound,
    PermissionDenied,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)

MAX_SAID_CHARS: Final = 300
MAX_TOKENS: Final = 2**53
"""More than this no model reads; a larger count is a mistake, and would not fit a database integer."""


def header_names(lines: str) -> list[str]:
    """The names in a text of one `name: value` a line, as the SDKs' variables for more headers have it.

    Without the one that the key stands in, which no variable takes the place of.
    """
    names = [name.strip() for name, colon, _ in (line.partition(":") for line in lines.split("\n")) if colon]
    return [name for name in names if name.lower() != "authorization"]


def as_object(value: object) -> dict[str, object] | None:
    """`value` if it is a JSON object."""
    return cast(dict[str, object], value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """`value` if it is a JSON array."""
    return cast(list[object], value) if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """`value` if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def as_count(value: object) -> int | None:
    """`value` if it is a whole number that can count tokens."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_TOKENS else None


def decode(data: bytes) -> object:
    """The JSON value in `data`.

    Raises:
        ValueError: It is not JSON in UTF-8, or nested too deep to be an answer.
    """
    try:
        return cast(object, json.loads(data.decode()))
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def object_or_empty(data: bytes) -> dict[str, object]:
    """The JSON object in the body of an error, which may be anything, and cut: empty if there is none."""
    try:
        return as_object(decode(data)) or {}
    except ValueError:
        return {}


def mend(text: str) -> str:
    r"""`text` as valid Unicode: JSON can name half of a character (`"\ud83d"`), which nothing can store."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class TextJoiner:
    """Collects the pieces of a stream; a character that was torn between two pieces is made whole."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._torn = ""

    def add(self, piece: str) -> str:
        """What of `piece` can be shown now."""
        if self._torn or not piece.isascii():
            piece = self._torn + piece
            self._torn = ""
            if "\ud800" <= piece[-1] <= "\udbff":
                self._torn = piece[-1]
                piece = piece[:-1]
            piece = mend(piece)
        self._pieces.append(piece)
        return piece

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._pieces)


def read_events(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The server-sent events in a body, as (event name or b"", data), wherever the network cut it.

    See html.spec.whatwg.org, "Server-sent events", 9.2.6. Unlike there, an event that the end of the body
    left without its empty line is given too: whether it is whole is for its reader to see.
    """
    rest = b""
    name = b""
    data: list[bytes] = []
    for piece in pieces:
        rest += piece
        if b"\r" in rest:
            held = b"\r" if rest.endswith(b"\r") else b""  # maybe half of a CRLF
            rest = rest[: len(rest) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        if b"\n" not in piece and b"\n" not in rest:
            continue
        lines = rest.split(b"\n")
        rest = lines.pop()
        for line in lines:
            if not line:
                if data:
                    yield name, b"\n".join(data)
                    data = []
                name = b""
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                name = line[6:].strip()
    if rest.startswith(b"data:"):
        data.append(rest[5:].strip())
    if data:
        yield name, b"\n".join(data)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """The wait that the vendor asks for: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def said_by(message: object, *, secrets: Iterable[str]) -> str:
    """A vendor's own words on one line, without secrets, as " It said: ..."; empty if there are none."""
    if not isinstance(message, str) or not message.strip():
        return ""
    text = re.sub(r"\s+", " ", redaction.redact(mend(message), secrets)).strip()
    if len(text) > MAX_SAID_CHARS:
        text = text[: MAX_SAID_CHARS - 4] + " ..."
    return f' It said: "{text}"'


def error_for_status(
    status: int,
    *,
    provider: str,
    model: str | None,
    parameter: str | None = None,
    said: str = "",
    key_given: bool = True,
    unknown_model_hint: str = "",
) -> InvocationError:
    """The error that an HTTP status means, for whatever a vendor's own codes do not say more exactly.

    Args:
        status: Any that is no success.
        provider: Its name, as in the contract.
        model: The model asked for, if any.
        parameter: The parameter that the vendor names.
        said: From `said_by`; shown only where it helps and cannot hold a key.
        key_given: Whether a key was sent.
        unknown_model_hint: The provider's own (`ProviderSpec`).
    """
    subject = f"the request for {model}" if model else "the request"
    match status:
        case 401 if not key_given:
            return AuthenticationFailed(
                f"The server wants an API key (401) and none was sent. Give the {provider} agent a "
                "credential; the environment's key is not sent to a base URL that a request names."
            )
        case 401:
            return AuthenticationFailed(
                f"{provider} does not accept the API key (401). Check it under Settings > Credentials, and "
                "that it belongs to this endpoint."
            )
        case 403:
            return PermissionDenied(
                f"{provider} does not allow {subject} with this key (403). Check the key's permissions and "
                "project."
            )
        case 404:
            what = f"the model {model}" if model else "this address"
            hint = f" {unknown_model_hint}" if unknown_model_hint else ""
            return ModelNotFound(
                f"{provider} does not know {what}, or not for this key (404). Check the model's name, and "
                f"that the base URL is complete.{hint}{said}"
            )
        case 408:
            return ProviderTimeout(f"{provider} gave up waiting for {subject} (408). Try again.")
        case 409 | 425:
            return ProviderUnavailable(f"{provider} could not take {subject} just now ({status}). Try again.")
        case 413:
            return InvalidRequest(
                f"{provider} refused {subject} because it is too large (413). Send less text, or smaller "
                "attachments."
            )
        case 429:
            return RateLimited(
                f"{provider} takes no more requests or tokens for now (429). Try again later, or ask for "
                "less."
            )
        case _ if status < 200:
            return BadProviderResponse(
                f"{provider} did not answer the request ({status}). Check the base URL."
            )
        case _ if status < 400:
            return BadProviderResponse(
                f"{provider} sent the request elsewhere ({status}). Correct the base URL."
            )
        case _ if status >= 500:
            return ProviderUnavailable(f"{provider} failed or is overloaded ({status}). Try again later.")
        case _:
            named = f": change or leave out the parameter {parameter!r}" if parameter else ""
            return InvalidRequest(f"{provider} refused {subject} ({status}){named}.{said}")
