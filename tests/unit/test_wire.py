import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvocationError
from core.providers.wire import (
    MAX_TOKENS,
    TextJoiner,
    as_count,
    decode,
    error_for_status,
    mend,
    read_events,
    retry_after_seconds,
    said_by,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=30)
events = st.lists(
    st.tuples(st.sampled_from(["", "delta", "error"]), st.lists(lines, min_size=1, max_size=3)), max_size=6
)


@given(
    events, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 20), max_size=30), st.booleans()
)
def test_events_are_the_same_wherever_the_network_cuts(
    written: list[tuple[str, list[str]]], end: str, sizes: list[int], comments: bool
):
    body = ""
    for name, data in written:
        body += f": keep-alive{end}{end}" if comments else ""
        body += f"event: {name}{end}" if name else ""
        body += "".join(f"data: {line}{end}" for line in data) + end
    expected = [(name.encode(), "\n".join(data).encode()) for name, data in written]
    assert list(read_events(cut(body.encode(), sizes))) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b": ping\n\n", []),
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data\n\n", []),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),  # the body ended without the empty line
        (b"data: a\n\ndata: b\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    ],
)
def test_events(body: bytes, expected: list[bytes]):
    assert [data for _, data in read_events([body])] == expected
    assert [data for _, data in read_events(body[at : at + 1] for at in range(len(body)))] == expected


@given(st.text(max_size=20), st.lists(st.integers(0, 6), max_size=20))
def test_a_torn_character_is_made_whole(text: str, sizes: list[int]):
    """As JSON escapes it: in UTF-16 code units, cut anywhere."""
    units = text.encode("utf-16-le", "surrogatepass")
    whole = units.decode("utf-16-le", "replace")
    joiner, shown = TextJoiner(), ""
    for piece in cut(units, [2 * size for size in sizes]):
        if half := piece.decode("utf-16-le", "surrogatepass"):
            shown += joiner.add(half)
    assert joiner.text == shown
    shown.encode()
    assert whole.startswith(shown)
    assert len(whole) - len(shown) <= 1  # half a character at the very end never came


def test_mend_leaves_good_text_alone():
    assert mend("naïve 🙂") == "naïve 🙂"
    assert mend("a\ud83d\ude42b") == "a🙂b"
    assert mend("a\ud83d") == "a\ufffd"
    assert json.loads(json.dumps(mend("\udfff"))).encode()


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (7.5, None),
        (-1, None),
        (True, None),
        ("7", None),
        (None, None),
        (MAX_TOKENS + 1, None),
    ],
)
def test_counts(value: object, count: int | None):
    assert as_count(value) == count


def test_decode_refuses_what_is_no_json():
    for data in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError):
            decode(data)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": " 20 "}, 20),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, 90),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 13:01:30 +0100"}, 90),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:10 -0000"}, 10),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None):
    assert retry_after_seconds(headers, now=NOW) == seconds


def test_a_vendors_words_are_short_one_line_and_without_secrets():
    said = said_by("Bad\n\tkey sk-canary-0123456789 \ud800" + "!" * 5_000, secrets=["sk-canary-0123456789"])
    assert "canary" not in said
    assert "\n" not in said
    assert len(said) < 400
    said.encode()
    assert said_by(None, secrets=[]) == said_by({"a": 1}, secrets=[]) == said_by("  ", secrets=[]) == ""


@pytest.mark.parametrize("status", [*range(100, 200), *range(300, 600)])
def test_every_status_has_an_error_that_names_a_remedy(status: int):
    error = error_for_status(status, provider="X", model="m")
    assert isinstance(error, InvocationError)
    assert error.code != "INTERNAL_ERROR"
    assert str(status) in error.message
    assert error.retryable is (status in {408, 409, 425, 429} or status >= 500)
