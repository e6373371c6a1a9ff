import base64
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator

import pytest

from core import redaction
from core.redaction import MASK, SecretRegistry, redact, redact_data
from tests.support.environment import ROOT

# Put together here, so that no scanner of repositories takes them for real ones.
DIGITS_AND_LETTERS = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
VENDOR_KEYS = {
    "OpenAI": "sk-" + DIGITS_AND_LETTERS,
    "OpenAI project": "sk-proj-" + DIGITS_AND_LETTERS + "_-" + DIGITS_AND_LETTERS,
    "OpenAI service account": "sk-svcacct-" + DIGITS_AND_LETTERS,
    "OpenAI without a digit": "sk-" + "abcdefghijklmnopqrstuvwxyz",
    "Anthropic": "sk-ant-api03-" + DIGITS_AND_LETTERS + "-" + DIGITS_AND_LETTERS + "AA",
    "OpenRouter": "sk-or-v1-" + "0123456789abcdef" * 4,
    "Google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "Google, newer": "AQ." + "Ab8RN6" + DIGITS_AND_LETTERS,
    "Google OAuth": "ya29." + "a0AfH6SM-" + DIGITS_AND_LETTERS,
    "Ollama cloud": "0123456789abcdef" * 2 + "." + "AbCdEfGhIjKlMnOpQrStUvWx",
    "Bedrock": "ABSK" + base64.b64encode(b"BedrockAPIKey-abcd-at-1234567890:secret+/part").decode(),
    "Bedrock, temporary": "bedrock-api-key-" + base64.b64encode(b"bedrock.amazonaws.com/?Action=x").decode(),
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS, temporary": "ASIA" + "IOSFODNN7EXAMPLE",
    "Groq": "gsk_" + DIGITS_AND_LETTERS,
    "xAI": "xai-" + DIGITS_AND_LETTERS,
    "Perplexity": "pplx-" + DIGITS_AND_LETTERS,
    "Hugging Face": "hf_" + DIGITS_AND_LETTERS,
    "GitHub": "github_pat_" + DIGITS_AND_LETTERS,
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0In0" + "." + "c2lnbmF0dXJlMTIz",
}


@pytest.fixture
def registered() -> Generator[str]:
    secret = "Tr0ub4dor/and+3 more&é"
    redaction.remember(secret)
    yield secret
    redaction.forget(secret)


# By shape.


@pytest.mark.parametrize("vendor", VENDOR_KEYS)
@pytest.mark.parametrize(
    "around",
    ["{}", "key {} refused", '"{}"', "'{}'", "<{}>", "={},", "({})", "\\n{}\\n", "a%20{}", "x_{}", "/{}?"],
)
def test_every_vendors_key_is_known_by_its_shape(vendor: str, around: str) -> None:
    key = VENDOR_KEYS[vendor]
    masked = redact(around.format(key))
    assert masked == around.format(MASK), masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.DEF-123_~+/=", f"Authorization: {MASK}"),
        ("authorization: bearer 12345678", f"authorization: {MASK}"),
        ("sent Bearer abcdef123456 to it", f"sent Bearer {MASK} to it"),
        ("sent BEARER abcdefghijklmnopqrstuvwxyz to it", f"sent BEARER {MASK} to it"),
        ("with Basic dXNlcjpwYXNz today", f"with Basic {MASK} today"),
        ("with basic dXNlcjpwYXNzd29yZA== today", f"with basic {MASK} today"),
        ("Cookie: session=abc; id=def", f"Cookie: {MASK}"),
        ("(b'Authorization', b'Bearer xyz')", f"(b'Authorization', b'{MASK}')"),
        ("('x-api-key', 'short'), ('accept', '*/*')", f"('x-api-key', '{MASK}'), ('accept', '*/*')"),
        ("[(b'set-cookie', b'__cf_bm=q; path=/')]", f"[(b'set-cookie', b'{MASK}')]"),
        ("postgres://me:hunter2@db:5432/x", f"postgres://me:{MASK}@db:5432/x"),
        ("https://:token@proxy:80", f"https://:{MASK}@proxy:80"),
        ("GET /v1beta/models?key=abcdef&alt=sse", f"GET /v1beta/models?key={MASK}&alt=sse"),
        ("/x?alt=sse&key=abcdef#top", f"/x?alt=sse&key={MASK}#top"),
        ("/f?X-Amz-Signature=0f0f0f0f&X-Amz-Date=20260101", f"/f?X-Amz-Signature={MASK}&X-Amz-Date=20260101"),
        ('{"api_key": "x", "model": "m"}', f'{{"api_key": "{MASK}", "model": "m"}}'),
        ('{"api_key":"a\\"b", "model": "m"}', f'{{"api_key":"{MASK}", "model": "m"}}'),
        ("{'api_key': 'x', 'n': 1}", f"{{'api_key': '{MASK}', 'n': 1}}"),
        ('"{\\"api_key\\": \\"abc\\", \\"n\\": 1}"', f'"{{\\"api_key\\": \\"{MASK}\\", \\"n\\": 1}}"'),
        ("AgentRequest(api_key='x', prompt='p')", f"AgentRequest(api_key='{MASK}', prompt='p')"),
        ("OPENAI_API_KEY=abcd run", f"OPENAI_API_KEY={MASK} run"),
        ("apiKey: 'q'", f"apiKey: '{MASK}'"),
        ("x-goog-api-key: abc12345", f"x-goog-api-key: {MASK}"),
        ("api_key: 0123456789abcdef", f"api_key: {MASK}"),
        ("password=hunter2, user=me", f"password={MASK}, user=me"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", f"aws_secret_access_key = {MASK}"),
        ('"SecretAccessKey": "wJalrXUtnFEMI"', f'"SecretAccessKey": "{MASK}"'),
        ('{"aws_session_token": "q"}', f'{{"aws_session_token": "{MASK}"}}'),
        ("client_secret => 'q'", f"client_secret => '{MASK}'"),
        ("api_key='never closed", f"api_key='{MASK}"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            f"a {MASK} b",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", MASK),
    ],
)
def test_what_carries_a_secret_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The quick brown fox jumps over the lazy dog.",
        "A basic understanding of tokens, and of Basic JavaScript, is enough.",
        "Basic authentication is off; bearer authentication is on.",
        "the bearer of bad news; Bearer tokens expire",
        "sk-learn, sk-learn-contrib and risk-2024-averse, task-12345678, desk-a1b2c3d4e5",
        "max_tokens=2000 input_tokens: 123 output_tokens=45678901 total_tokens: 12345678",
        '{"token_usage": {"input_tokens": 100}, "max_tokens": 2000}',
        "API key required for OPENAI. Add one under Settings > Credentials, or set OPENAI_API_KEY.",
        "Invalid request: api_key: Input should be a valid string",
        '{"api_key": null, "api_key_ref": "env:OPENAI_API_KEY"}',
        "api_key=None password=null api_key: required secret_key='' ",
        "fields: 'api_key', 'prompt', 'model_name'",
        "0198c0de-1111-7222-8333-444455556666 d41d8cd98f00b204e9800998ecf8427e",
        "https://example.com:8501/path/to@x and mailto:me@example.com, http://localhost:11434/v1",
        "Set AGENT_LAUNCHER_SECRET_KEY to the key that sealed it.",
        "the primary key=id, sort=name; keyboard: qwerty",
        "AKIA is a prefix; so is ASIA, as in ASIA-PACIFIC, and AIza.",
        "authorization: not given",
        "Straße İstanbul 東京 🎉 key",
        "x = y ? key : token & sig",
    ],
)
def test_prose_and_ordinary_data_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_positions_hold_in_text_whose_lower_case_is_longer() -> None:
    assert redact("İİİ password=hunter2 İ") == f"İİİ password={MASK} İ"


# By memory.


def test_a_remembered_secret_needs_no_shape(registered: str) -> None:
    assert redact(f"a {registered} b {registered}") == f"a {MASK} b {MASK}"
    assert redact(json.dumps({"text": f"<{registered}>"})) == json.dumps({"text": f"<{MASK}>"})


def test_a_forgotten_secret_is_not_looked_for() -> None:
    redaction.remember("just-some-words")
    redaction.forget("just-some-words")
    redaction.forget("never-remembered")
    assert redact("just-some-words") == "just-some-words"


@pytest.mark.parametrize("word", ["", "short", "1234567", "redacted", "[redacted]"])
def test_words_and_the_mask_itself_are_not_remembered(word: str) -> None:
    redaction.remember(word)
    assert redact(f"a {word} b") == f"a {word} b"


def test_given_secrets_are_masked_from_four_characters_on() -> None:
    assert redact("pin 1234, pan 123", ["1234", "123"]) == f"pin {MASK}, pan 123"
    assert redact("pin MTIzNA==", ["1234"]) == f"pin {MASK}A=="


def test_a_secret_within_another_and_one_that_overlaps_leave_nothing() -> None:
    registry = ["abcdefgh-12345", "abcdefgh", "12345-zyxwvu"]
    assert redact("<abcdefgh-12345>", registry) == f"<{MASK}>"
    assert redact("<abcdefgh-12345-zyxwvu>", registry) == f"<{MASK}>"
    assert redact("<abcdefgh-12345>", ["abcdefgh-12345", "efgh", "efgh-1234"]) == f"<{MASK}>"


def test_the_least_recently_used_secret_is_forgotten_first() -> None:
    registry = SecretRegistry(limit=3)
    for number in (1, 2, 3, 1, 4):
        registry.remember(f"secret-number-{number}")
    found = [number for number in (1, 2, 3, 4) if registry.spans(f"secret-number-{number}")]
    assert found == [1, 3, 4]


def test_forgetting_one_of_two_that_share_their_end_keeps_the_other() -> None:
    registry = SecretRegistry()
    registry.remember("first-common-end")
    registry.remember("other-common-end")
    registry.forget("first-common-end")
    assert registry.spans("first-common-end") == []
    assert registry.spans("other-common-end") == [(0, 16)]


def test_forgetting_a_secret_keeps_one_that_looks_like_its_code() -> None:
    registry = SecretRegistry()
    registry.remember("sécret/name")
    registry.remember("s%C3%A9cret%2Fname")
    registry.forget("sécret/name")
    assert registry.spans("sécret/name") == []
    assert registry.spans("s%C3%A9cret%2Fname") == [(0, 18)]


def test_everything_is_forgotten_without_a_rest() -> None:
    registry = SecretRegistry(limit=2)
    for number in range(50):
        registry.remember(f"secret-{number:04}-é/+")
    registry.forget("secret-0048-é/+")
    registry.forget("secret-0049-é/+")
    assert registry._index == {}


def test_a_thousand_secrets_are_all_found() -> None:
    registry = SecretRegistry()
    secrets = [f"sk-proj-{number:06}-{'x' * (number % 7)}" for number in range(1000)]
    for secret in secrets:
        registry.remember(secret)
    text = " ".join(secrets)
    assert {text[start:end] for start, end in registry.spans(text)} >= set(secrets)


def test_threads_may_remember_while_others_redact() -> None:
    registry = SecretRegistry(limit=50)
    registry.remember("always-there-0")
    failures: list[object] = []

    def write() -> None:
        for number in range(400):
            registry.remember(f"comes-and-goes-{number}")
            registry.remember("always-there-0")

    def read() -> None:
        for _ in range(2000):
            if registry.spans("x always-there-0 y") != [(2, 16)]:
                failures.append("missed")

    threads = [threading.Thread(target=work) for work in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_forked_process_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    code = """
        import os, threading
        from core import redaction
        held, done = threading.Event(), threading.Event()
        def hold():
            with redaction._in_use._lock:
                held.set()
                done.wait()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        if (child := os.fork()) == 0:
            redaction.remember("said-in-the-child")
            os._exit(redaction.redact("said-in-the-child") != redaction.MASK)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        done.set()
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert process.stdout == "0\n"


def test_a_secret_across_the_borders_of_what_is_scanned_at_a_time(registered: str) -> None:
    for shift in range(-len(registered), 2):
        text = "." * (65_536 + shift) + registered + "."
        assert registered not in redact(text), shift


@pytest.mark.parametrize(
    "piece",
    [
        *("sk-", "eyJ-", "api_key", 'api_key:\\"', "bearer ", "://a:", "authorization: ", "cookie=", "?key="),
        *("-----BEGIN ", "basic ", "password ", "api_key: a", "('authorization', ", "('-", "0a", "%20sk-a"),
        *("\\n", "a.", "x=y&", "api_key='\\'", "Bearer a-"),
    ],
)
def test_no_text_takes_more_than_time_in_proportion_to_its_length(piece: str) -> None:
    # Quadratic, these would run for minutes; no time is asserted.
    redact(piece * (400_000 // len(piece)))


# Data.


def test_data_is_redacted_at_every_depth(registered: str) -> None:
    class Thing:
        def __str__(self) -> str:
            return f"thing with {registered}"

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError(registered)

    data = {
        "api_key": "anything",
        "X-API-Key": ["a", "b"],
        "password": "",
        "secret": None,
        "max_tokens": 2000,
        "nested": [{"text": registered, registered: 1}, (registered, 1.5, True, None)],
        "bytes": registered.encode(),
        "things": [Thing(), Mute()],
    }
    assert redact_data(data) == {
        "api_key": MASK,
        "X-API-Key": MASK,
        "password": "",
        "secret": None,
        "max_tokens": 2000,
        "nested": [{"text": MASK, MASK: 1}, [MASK, 1.5, True, None]],
        "bytes": MASK,
        "things": [f"thing with {MASK}", "<Mute: no text, RuntimeError>"],
    }


def test_data_without_end_ends() -> None:
    data: list[object] = []
    data.append(data)
    assert json.dumps(redact_data(data)).count("[") == 20


def test_what_json_has_no_number_for_becomes_text() -> None:
    assert redact_data([float("nan"), float("inf"), 1.0]) == ["nan", "inf", 1.0]
