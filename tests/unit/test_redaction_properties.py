"""Whatever the secret is and however a program writes it into a text, it does not come out."""

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import assume, example, given
from hypothesis import strategies as st

from core import redaction
from core.redaction import MASK, forms_of, redact

PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)
ANY = st.characters(exclude_categories=["Cs"])
KEY_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
KEYS = st.text(st.sampled_from(KEY_CHARS), min_size=8)
SECRETS = (KEYS | st.text(PRINTABLE, min_size=8) | st.text(ANY, min_size=8)).filter(lambda s: s not in MASK)
AROUND = st.text(ANY, max_size=12)


# Each gives the text without what it puts around: the code of two texts is the codes of each, joined.
ENCODERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "bytes repr": lambda text: repr(text.encode())[2:-1],
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "URL, as browsers do": lambda text: quote(text, safe="!'()*"),
    "URL, lower case": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "URL query": quote_plus,
    "HTML": html.escape,
    "HTML text": lambda text: html.escape(text, quote=False),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


@given(secret=SECRETS, before=AROUND, after=AROUND, encoder=st.sampled_from(sorted(ENCODERS)))
@example(secret="a/b+c&d e\"f'g\\h<i>é\n", before="", after="", encoder="JSON in JSON")
@example(secret="~~~~~~~~", before="", after="", encoder="URL")
def test_no_encoding_hides_a_remembered_secret(secret: str, before: str, after: str, encoder: str) -> None:
    encode = ENCODERS[encoder]
    text, alone = encode(before + secret + after), encode(secret)
    # Python's repr chooses its quotes by the whole text, so that an apostrophe is escaped or not.
    assume("repr" not in encoder or not set("'\"") & set(before + after))
    assert alone in text
    redaction.remember(secret)
    try:
        assert alone not in redact(text)
    finally:
        redaction.forget(secret)
    assert alone not in redact(text, [secret])


@given(
    secret=SECRETS,
    before=st.binary(max_size=12),
    after=st.binary(max_size=12),
    alphabet=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_base64_of_a_longer_text_hides_no_secret_at_any_alignment(
    secret: str, before: bytes, after: bytes, alphabet: Callable[[bytes], bytes]
) -> None:
    raw = secret.encode()
    text = alphabet(before + raw + after).decode()
    # The characters that hold bits of the secret and of nothing else.
    first, last = -(-len(before) * 8 // 6), (len(before) + len(raw)) * 8 // 6
    redaction.remember(secret)
    try:
        masked = redact(text)
    finally:
        redaction.forget(secret)
    assert text[first:last] not in masked
    assert MASK in masked


@given(
    secret=st.lists(st.sampled_from(KEY_CHARS), min_size=8, max_size=40, unique=True).map("".join),
    before=st.text(" ,.", max_size=9),
    after=st.text(" ,.", max_size=9),
)
def test_of_a_key_in_base64_only_the_shared_characters_are_left(secret: str, before: str, after: str) -> None:
    text = base64.b64encode((before + secret + after).encode()).decode()
    first, last = -(-len(before) * 8 // 6), (len(before) + len(secret)) * 8 // 6
    assert redact(text, [secret]) == text[:first] + MASK + text[last:]


@given(secrets=st.lists(SECRETS, min_size=1, max_size=5), glue=st.text(PRINTABLE, max_size=3))
def test_several_secrets_in_one_text(secrets: list[str], glue: str) -> None:
    # A mask beside a text may happen to spell a secret that has the mask's own characters in it.
    assume(not any(set("[]") & set(secret) or "redacted" in secret for secret in secrets))
    text = glue.join(secrets)
    masked = redact(text, secrets).replace(MASK, "\0")
    assert not any(secret in masked for secret in secrets)


@given(st.text(ANY, max_size=200))
def test_redacting_never_fails_and_again_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=40))
def test_every_form_has_a_length_and_the_first_is_the_longest(secret: str) -> None:
    forms = forms_of(secret)
    assert [len(form) for form in forms] == sorted((len(form) for form in forms), reverse=True)
    assert all(forms)
    assert not secret or secret in forms
