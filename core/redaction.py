"""The one place that knows what a secret looks like; logs, errors and exports go through it.

Two ways to know: the secrets in use are remembered (`remember`), and found in every form in which a program
writes a text; and keys nobody told us about are found by their shape or by the name before them
(`core.secret_shapes`). What is found is replaced by `MASK`. Not found: a secret that is split over several
lines or fields, compressed, encrypted, or encoded twice.
"""

import base64
import html
import json
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import quote, quote_plus

from core import secret_shapes
from core.forks import renew_in_children

MASK: Final = "[redacted]"

MIN_REMEMBERED_CHARS: Final = 8
"""Shorter values are words; masking them everywhere would make logs unreadable and hide nothing."""

_MAX_REMEMBERED: Final = 1_000
_MIN_GIVEN_CHARS: Final = 4
_MAX_DEPTH: Final = 20
_WINDOW: Final = 4
_WINDOWS: Final = re.compile("." * _WINDOW, re.DOTALL)
_CHUNK: Final = 1 << 16
# What the encoders of Python, JavaScript and most others leave as it is.
_URL_SAFE_SETS: Final = ("", "/", "!'()*", "!'()*,;:@&=+$/?#[]")

Span = tuple[int, int]


def forms_of(secret: str) -> list[str]:
    """The secret as programs write it into a text, longest first.

    As it is; in URLs, JSON, Python's repr and HTML; in hex; and in base64 (both alphabets) at each of the
    three alignments, so that it is also found inside the base64 of a longer text. Those forms leave out the
    characters at either end, up to three, that the neighbouring bytes decide.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = json.dumps(secret)[1:-1]
    forms = {secret, escaped, json.dumps(secret, ensure_ascii=False)[1:-1], escaped.replace("/", "\\/")}
    forms |= {json.dumps(escaped)[1:-1], repr(secret)[1:-1], repr(raw)[2:-1]}
    forms |= {html.escape(secret), html.escape(secret, quote=False), raw.hex(), raw.hex().upper()}
    encoded = {quote(raw, safe=safe) for safe in _URL_SAFE_SETS} | {quote_plus(raw)}
    forms |= encoded | {re.sub("%..", lambda match: match[0].lower(), form) for form in encoded}
    for shift in range(3):
        # The first characters also hold bits of what stands before; the last one, of what follows.
        first, last = (0, 2, 3)[shift], (shift + len(raw)) * 8 // 6
        text = base64.b64encode(b"\0" * shift + raw).decode()[first:last]
        forms |= {text, text.replace("+", "-").replace("/", "_")}
    return sorted((form for form in forms if form), key=len, reverse=True)


class SecretRegistry:
    """The secrets in use, found in a text in time that does not depend on how many there are.

    Of each form the four windows of four characters that begin 7, 6, 5 and 4 characters before its end are
    indexed. Wherever the form stands in a text, exactly one of them begins at a multiple of four, so that
    only every fourth window of the text is looked up. (One alternation of all forms costs as much for every
    character, and has to be compiled again for every new key.) A window that is known is a candidate, and a
    candidate is searched for as a whole.

    Args:
        limit: How many secrets are kept; the one not used for longest is forgotten first.
    """

    def __init__(self, *, limit: int = _MAX_REMEMBERED) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._secrets: OrderedDict[str, None] = OrderedDict()
        # Window -> (form, its secret). Tuples are replaced, never changed, so that readers need no lock.
        self._index: dict[str, tuple[tuple[str, str], ...]] = {}
        renew_in_children(self)

    def remember(self, secret: str) -> None:
        """Finds this secret from now on; one that is too short, or part of the mask, is left out."""
        with self._lock:
            if secret in self._secrets:
                self._secrets.move_to_end(secret)
                return
            if len(secret) < MIN_REMEMBERED_CHARS or secret in MASK:
                return
            self._secrets[secret] = None
            for form in forms_of(secret):
                for window in _end_windows(form):
                    self._index[window] = (*self._index.get(window, ()), (form, secret))
            while len(self._secrets) > self._limit:
                self._drop(next(iter(self._secrets)))

    def forget(self, secret: str) -> None:
        """Stops looking for it; unknown is fine."""
        with self._lock:
            if secret in self._secrets:
                self._drop(secret)

    def spans(self, text: str) -> list[Span]:
        """Where secrets stand in `text`, in no order; they may overlap."""
        index = self._index
        if not index:
            return []
        hits: set[str] = set()
        for start in range(0, len(text), _CHUNK):
            hits |= index.keys() & _WINDOWS.findall(text, start, start + _CHUNK)
        forms = {form for window in hits for form, _ in index.get(window, ())}
        return [span for form in forms for span in _occurrences(text, form)]

    def after_fork(self) -> None:
        """See `core.forks`."""
        self._lock = threading.Lock()

    def _drop(self, secret: str) -> None:
        del self._secrets[secret]
        for form in forms_of(secret):
            for window in _end_windows(form):
                left = tuple(entry for entry in self._index.get(window, ()) if entry[1] != secret)
                if left:
                    self._index[window] = left
                else:
                    self._index.pop(window, None)


_in_use = SecretRegistry()


def remember(secret: str) -> None:
    """Makes every `redact` of this process find `secret`; cheap when it is known already."""
    _in_use.remember(secret)


def forget(secret: str) -> None:
    """Takes `remember` back."""
    _in_use.forget(secret)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every remembered secret, the given ones, and everything shaped like a key masked.

    The given secrets are looked for in every form although nobody remembered them; those of less than four
    characters are not.
    """
    spans = _in_use.spans(text)
    for secret in secrets:
        if len(secret) >= _MIN_GIVEN_CHARS:
            spans += [span for form in forms_of(secret) for span in _occurrences(text, form)]
    spans += secret_shapes.spans(text)
    return _masked(text, spans) if spans else text


def redact_data(value: object, *, depth: int = 0) -> object:
    """`value` as JSON data, redacted: strings by `redact`, the values of fields named like a secret wholly.

    What JSON does not have becomes text; nesting beyond 20 levels becomes "...".
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if depth >= _MAX_DEPTH:
        return "..."
    if isinstance(value, bytes | bytearray):
        return redact(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {
            redact(str(name)): MASK
            if item not in (None, "") and secret_shapes.is_secret_name(str(name))
            else redact_data(item, depth=depth + 1)
            for name, item in items
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_data(item, depth=depth + 1) for item in cast("Iterable[object]", value)]
    try:
        return redact(str(value))
    except Exception as exc:  # a foreign object's own __str__; a log line must not fail for it
        return f"<{type(value).__name__}: no text, {type(exc).__name__}>"


def _end_windows(form: str) -> list[str]:
    end = len(form)
    return [form[at : at + _WINDOW] for at in range(max(0, end - 2 * _WINDOW + 1), end - _WINDOW + 1)]


def _occurrences(text: str, form: str) -> list[Span]:
    spans: list[Span] = []
    at = text.find(form)
    while at >= 0:
        spans.append((at, at + len(form)))
        at = text.find(form, at + len(form))
    return spans


def _masked(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    done = 0
    masked_to = -1
    for start, end in sorted(spans):
        if start > masked_to:
            pieces += (text[done:start], MASK)
        masked_to = max(masked_to, end)
        done = masked_to
    pieces.append(text[done:])
    return "".join(pieces)
