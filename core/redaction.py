"""The one place that knows what a secret looks like; logs, errors and exports go through it."""

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

MASK: Final = "[redacted]"

_PATTERNS: Final = (
    re.compile(r"\b(?:sk|rk|pk)-[A-Za-z0-9_\-]{8,}"),
    re.compile(r"\bAIza[0-9A-Za-z_\-]{30,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}"),
    re.compile(r"(?i)(?<=[?&]key=)[^&\s\"']+"),
    re.compile(r"(?i)(?<=api[-_]key[\"']: [\"'])[^\"']+"),
)


def forms_of(secret: str) -> list[str]:
    """The secret as it may appear in text: as it is, URL-encoded, in base64 and in URL-safe base64."""
    raw = secret.encode()
    standard = base64.b64encode(raw).decode()
    safe = base64.urlsafe_b64encode(raw).decode()
    forms = {secret, quote(secret, safe=""), standard, standard.rstrip("="), safe, safe.rstrip("=")}
    return sorted(forms, key=len, reverse=True)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with the given secrets, in every form, and everything shaped like a key replaced by a mask."""
    for secret in secrets:
        if len(secret) >= 4:
            for form in forms_of(secret):
                text = text.replace(form, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text
