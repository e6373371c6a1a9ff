"""Secrets nobody told us about: keys that show by their shape, and values that show by the name before them.

Every search begins with a plain substring, which Python finds at memory speed, so that a text without
anything suspicious costs a few dozen `in` tests; each pattern is then tried only where its substring stands.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

Span = tuple[int, int]

# Literal beginning -> what must follow. A vendor's key has a digit or is long: "sk-learn" is a library.
_SHAPES: Final = {
    **dict.fromkeys(
        ("sk-", "rk-", "pk-"), r"(?:(?=[A-Za-z0-9_-]{0,64}[0-9])[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{20,})"
    ),  # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek and others
    "sess-": r"[A-Za-z0-9_-]{20,}",  # OpenAI's browser sessions
    "AIza": r"[A-Za-z0-9_-]{30,}",  # Google
    "AQ.": r"[A-Za-z0-9_-]{20,}",  # Google, newer
    "ya29.": r"[A-Za-z0-9_.-]{20,}",  # Google OAuth
    "AKIA": r"[0-9A-Z]{16}(?![0-9A-Z])",  # AWS access key ids, lasting and temporary
    "ASIA": r"[0-9A-Z]{16}(?![0-9A-Z])",
    "ABSK": r"[A-Za-z0-9+/=]{20,}",  # Bedrock API keys, lasting and temporary
    "bedrock-api-key-": r"[A-Za-z0-9+/=_-]{20,}",
    "gsk_": r"[A-Za-z0-9]{20,}",  # Groq
    "xai-": r"[A-Za-z0-9]{20,}",
    "pplx-": r"[A-Za-z0-9]{20,}",  # Perplexity
    "hf_": r"[A-Za-z0-9]{20,}",  # Hugging Face
    **dict.fromkeys(("ghp_", "gho_", "ghs_", "github_pat_"), r"[A-Za-z0-9_]{20,}"),
    "eyJ": r"[A-Za-z0-9_-]{8,300}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",  # JSON web tokens
    "-----BEGIN ": r"[A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
}


@cache
def _shape(beginning: str) -> re.Pattern[str]:
    # The lookbehinds stand after the literal, for the literal to speed the search up. Before it must stand no
    # letter or digit, unless that ends an escape (\n in JSON, %20 in a URL).
    literal = re.escape(beginning)
    before = rf"(?:(?<![A-Za-z0-9]{literal})|(?<=\\[nrt]{literal})|(?<=%[0-9A-Fa-f]{{2}}{literal}))"
    return re.compile(literal + before + _SHAPES[beginning])


# Ollama's cloud keys: 32 hex digits, a dot, a token. Searched from the dot, as hex is everywhere.
_OLLAMA: Final = re.compile(
    r"""
    \.(?:(?<![0-9A-Za-z][0-9a-f]{32}\.)|(?<=\\[nrt][0-9a-f]{32}\.)|(?<=%[0-9A-Fa-f]{2}[0-9a-f]{32}\.))
    (?<=[0-9a-f]{32}\.)[A-Za-z0-9_-]{20,}
    """,
    re.VERBOSE,
)
_OLLAMA_BEFORE_DOT: Final = 32

_BEARER: Final = re.compile(
    r"\s+((?=[A-Za-z0-9._~+/=-]{0,64}[0-9])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9_+/=]{20,})"
)
_BASIC: Final = re.compile(r"\s+([A-Za-z0-9+/_-]{4,}={0,2})")
_URL_PASSWORD: Final = re.compile(r"""://[^/\s:@"'<>?\#]*:([^\s/@"'<>?\#]+)@""")
_QUERY_NAMES: Final = ("key=", "token=", "sig=", "signature=", "x-amz-signature=", "x-goog-signature=")
_QUERY_VALUE: Final = re.compile(r"""[^&\s"'<>\\\#]{4,}""")

_FIELD_NAMES: Final = (
    *("api_key", "api-key", "apikey", "secret_key", "secret-key", "secretkey", "access_key", "accesskey"),
    *("private_key", "privatekey", "client_secret", "clientsecret", "access_token", "accesstoken"),
    *(
        "refresh_token",
        "refreshtoken",
        "id_token",
        "auth_token",
        "authtoken",
        "session_token",
        "sessiontoken",
    ),
    *("security-token", "password", "passwd", "authorization", "cookie"),
)
_HEADERS_WITH_SPACES: Final = frozenset({"authorization", "cookie"})
_WHOLE_NAMES: Final = frozenset({"token", "secret", "secrets", "key", "credentials", "bearer", "passphrase"})
"""Too common to look for in a text; as the name of a field they are plain enough."""

# What stands between a field's name and its value in JSON, JSON in JSON, a repr, an assignment, YAML.
_QUOTED: Final = re.compile(
    r"""
    \\*["']?\s{0,8}(?:=>|[:=])\s{0,8}b?
    (?: "(?=[^"])(?P<double>[^"\\]*(?:\\.[^"\\]*)*) | '(?=[^'])(?P<single>[^'\\]*(?:\\.[^'\\]*)*)
      | \\+["'](?P<escaped>[^"'\\]+) )
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNED: Final = re.compile(r"""\s{0,2}=\s{0,2}([^\s"'<>,;&()\[\]{}\\]{4,})""")
_WRITTEN: Final = re.compile(
    r"""\\*["']?\s{0,2}:\s{0,8}((?=[^\s"',;]{0,64}[0-9])[^\s"'<>,;()\[\]{}\\]{8,}|[A-Za-z0-9_+/=-]{20,})"""
)
_HEADER_LINE: Final = re.compile(r"""\s{0,2}[:=]\s{0,8}((?=[^\r\n"']{0,64}[0-9=])[^\r\n"']{8,})""")
# (b'authorization', b'Bearer ...'), as HTTP libraries write their headers.
_HEADER_PAIR: Final = re.compile(
    r"""\(b?["'](?:[a-z-]*authorization|[a-z-]*api-key|(?:set-)?cookie|[a-z-]*-token)["'],\ ?b?
    (?:"([^"]+)|'([^']+))""",
    re.VERBOSE | re.IGNORECASE,
)
_NOT_SECRETS: Final = frozenset(
    {"none", "null", "true", "false", "undefined", "string", "required", "optional"}
)


def spans(text: str) -> Iterator[Span]:
    """Where something stands that looks like a secret, in no order; the spans may overlap."""
    for beginning in _SHAPES:
        if beginning in text:
            yield from (match.span() for match in _shape(beginning).finditer(text))
    if "." in text:
        for match in _OLLAMA.finditer(text):
            yield match.start() - _OLLAMA_BEFORE_DOT, match.end()
    if "://" in text:
        yield from (match.span(1) for match in _URL_PASSWORD.finditer(text))
    lowered = text.lower()
    if len(lowered) != len(text):
        # The one letter that becomes two; positions in both texts must agree.
        lowered = text.replace("\u0130", "i").lower()
    yield from _credentials(text, lowered)
    if "=" in text and ("?" in text or "&" in text):
        yield from _query_values(text, lowered)
    for name in _FIELD_NAMES:
        if name in lowered:
            yield from _field_values(text, lowered, name)
    if "('" in text or "(b'" in text or '("' in text:
        for match in _HEADER_PAIR.finditer(text):
            yield match.span(match.lastindex or 0)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret: `api_key`, `OPENAI_API_KEY`, but not `max_tokens`."""
    lowered = name.lower()
    return lowered in _WHOLE_NAMES or lowered.endswith(_FIELD_NAMES)


def _credentials(text: str, lowered: str) -> Iterator[Span]:
    for end in _ends(lowered, "bearer"):
        if match := _BEARER.match(text, end):
            yield match.span(1)
    for end in _ends(lowered, "basic"):
        # "Basic understanding" is not one: it must decode to user:password.
        if (match := _BASIC.match(text, end)) and b":" in _decoded(match[1]):
            yield match.span(1)


def _query_values(text: str, lowered: str) -> Iterator[Span]:
    for name in _QUERY_NAMES:
        done = 0
        for end in _ends(lowered, name):
            before = lowered[end - len(name) - 1 : end - len(name)]
            if end >= done and before in ("?", "&") and (match := _QUERY_VALUE.match(text, end)):
                done = match.end()
                yield match.span()


def _field_values(text: str, lowered: str, name: str) -> Iterator[Span]:
    done = 0
    for end in _ends(lowered, name):
        # A value that holds names of fields is masked once, not searched again for each of them.
        if end >= done and (span := _field_value(text, end, name)):
            done = span[1]
            yield span


def _field_value(text: str, end: int, name: str) -> Span | None:
    if match := _QUOTED.match(text, end):
        return match.span(match.lastindex or 0)
    match = _HEADER_LINE.match(text, end) if name in _HEADERS_WITH_SPACES else None
    match = match or _ASSIGNED.match(text, end) or _WRITTEN.match(text, end)
    return match.span(1) if match and match[1].lower() not in _NOT_SECRETS else None


def _ends(lowered: str, part: str) -> Iterator[int]:
    at = lowered.find(part)
    while at >= 0:
        end = at + len(part)
        yield end
        at = lowered.find(part, end)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & {"-", "_"} else None
        )
    except (binascii.Error, ValueError):
        return b""
