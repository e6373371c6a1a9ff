"""Every way in which a vendor, or the way to it, fails: one typed error, one request, no secret."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from core.contract import AgentResponse
from core.providers import registry
from tests.contract.conftest import CANARY, Caller
from tests.contract.dialects import DIALECTS
from tests.contract.dialects.base import REFUSED_PARAMETER, Answer, Dialect, Failure
from tests.support.vendor_server import Reply, VendorServer

MakeRequest = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Expected:
    """What a failure becomes."""

    code: str
    retryable: bool
    names: str = ""
    """A word that the message must have: the remedy."""


EXPECTED = {
    Failure.BAD_PARAMETER: Expected("INVALID_REQUEST", False, REFUSED_PARAMETER),
    Failure.CONTEXT_LENGTH: Expected("CONTEXT_LENGTH_EXCEEDED", False, "Shorten"),
    Failure.PROMPT_FILTERED: Expected("CONTENT_FILTERED", False, "Change the prompt"),
    Failure.BAD_KEY: Expected("AUTHENTICATION_FAILED", False, "Credentials"),
    Failure.FORBIDDEN: Expected("PERMISSION_DENIED", False, "permissions"),
    Failure.UNKNOWN_MODEL: Expected("MODEL_NOT_FOUND", False, "model's name"),
    Failure.TOO_LARGE: Expected("INVALID_REQUEST", False, "smaller"),
    Failure.RATE_LIMIT: Expected("RATE_LIMITED", True, "later"),
    Failure.QUOTA: Expected("RATE_LIMITED", False, "Add credit"),
    Failure.SERVER_ERROR: Expected("PROVIDER_UNAVAILABLE", True, "later"),
    Failure.OVERLOADED: Expected("PROVIDER_UNAVAILABLE", True, "later"),
}


def assert_failed(response: AgentResponse, code: str) -> None:
    assert response.error is not None, response
    assert response.error.code == code, response.error
    assert response.error.message
    assert "  " not in response.error.message
    assert len(response.error.message) < 700
    wire = response.to_wire()
    assert wire["error"]["code"] == code
    assert json.loads(json.dumps(wire)) == wire


SAID = [(name, failure) for name, d in DIALECTS.items() for failure in Failure if failure in d.failures]
SAID_IN_A_STREAM = [
    (name, failure) for name, d in DIALECTS.items() for failure in sorted(d.failures_in_a_stream)
]


@pytest.mark.parametrize(("dialect", "failure"), SAID, indirect=["dialect"])
def test_status(
    vendor: VendorServer,
    dialect: Dialect,
    request_to: MakeRequest,
    call: Caller,
    stream: bool,
    failure: Failure,
):
    expected = EXPECTED[failure]
    vendor.will(dialect.failure(failure))
    response = call(request_to(), stream=stream)
    assert_failed(response, expected.code)
    assert response.error is not None
    assert response.error.retryable is expected.retryable
    assert response.error.provider_status == dialect.failure(failure).status
    # A vendor may tell of a refused prompt as of an answer, with a success status; and bill its tokens.
    assert response.error.may_be_billed is (dialect.failure(failure).status == 200)
    assert expected.names.lower() in response.error.message.lower()
    assert not response.response
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 425, 429, 451])
@pytest.mark.parametrize(
    "body", ["", "{", "[]", '"no"', '{"error": "no"}', '{"error": {"code": []}}', "<html>", "null"]
)
def test_any_client_error_with_any_body(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, status: int, body: str
):
    vendor.will(Reply.text(body, content_type="application/json", status=status))
    response = call(request_to(), stream=bool(status % 2))
    assert response.error is not None
    assert response.error.code not in {"INTERNAL_ERROR", "BAD_PROVIDER_RESPONSE"}
    assert response.error.provider_status == status
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 529, 599])
def test_any_server_error_can_be_tried_again(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, status: int
):
    vendor.will(Reply.text("<h1>Bad gateway</h1>", content_type="text/html", status=status))
    response = call(request_to(), stream=stream)
    assert_failed(response, "PROVIDER_UNAVAILABLE")
    assert response.error is not None
    assert response.error.retryable
    assert response.error.provider_status == status
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, status: int
):
    vendor.will(Reply.text("", status=status, headers={"Location": f"{vendor.url}/elsewhere"}))
    response = call(request_to(), stream=stream)
    assert_failed(response, "BAD_PROVIDER_RESPONSE")
    assert "base URL" in (response.error.message if response.error else "")
    assert len(vendor.requests) == 1


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("failure", [Failure.RATE_LIMIT, Failure.OVERLOADED])
@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "20"}, 20, 20),
        ({"Retry-After": "0.5"}, 0.5, 0.5),
        ({"Retry-After": "0"}, 0, 0),
        ({"Retry-After": "-3"}, 0, 0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5, 1.5),
        ({"Retry-After": "30 s from now"}, 20, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 0),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_retry_after(
    vendor: VendorServer,
    dialect: Dialect,
    request_to: MakeRequest,
    call: Caller,
    failure: Failure,
    headers: dict[str, str],
    low: float,
    high: float,
):
    if headers["Retry-After"].startswith("30 s"):
        headers = {"Retry-After": in_seconds(30)}
    vendor.will(dialect.failure(failure).with_headers(headers))
    response = call(request_to())
    assert response.error is not None
    assert response.error.retry_after_seconds is not None
    assert low <= response.error.retry_after_seconds <= high
    assert len(vendor.requests) == 1  # told, not waited for here


@pytest.mark.parametrize("value", [None, "", "soon", "nan", "inf", "Wed, 99 Oct"])
def test_no_usable_retry_after(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, value: str | None
):
    vendor.will(
        dialect.failure(Failure.RATE_LIMIT).with_headers({} if value is None else {"Retry-After": value})
    )
    response = call(request_to())
    assert_failed(response, "RATE_LIMITED")
    assert response.error is not None
    assert response.error.retry_after_seconds is None


@pytest.mark.parametrize(
    "failure", [Failure.BAD_PARAMETER, Failure.BAD_KEY, Failure.UNKNOWN_MODEL, Failure.RATE_LIMIT]
)
def test_a_vendor_that_repeats_the_key(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, failure: Failure
):
    """The message and the log are searched for the key by the `written` fixture."""
    vendor.will(dialect.failure(failure, message=f"You sent {CANARY}, also as Bearer {CANARY}.\n" * 40))
    response = call(request_to())
    assert response.error is not None
    assert "\n" not in response.error.message
    assert len(response.error.message) < 700


@pytest.mark.parametrize(("dialect", "failure"), SAID_IN_A_STREAM, indirect=["dialect"])
def test_error_inside_a_stream_that_began_well(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, failure: Failure
):
    events = dialect.events(Answer())
    vendor.will(dialect.streamed([*events[:3], dialect.error_event(failure)]))
    response = call(request_to(), stream=True)
    assert_failed(response, EXPECTED[failure].code)
    assert response.response == "".join(call.deltas)
    assert call.deltas
    assert len(vendor.requests) == 1


NONSENSE = {
    "broken JSON": Reply.text('{"id": "x", "choices": [', content_type="application/json"),
    "HTML": Reply.text("<html><body>Welcome to the proxy</body></html>", content_type="text/html"),
    "empty object": Reply.text("{}", content_type="application/json"),
    "empty body": Reply.text("", content_type="application/json"),
    "nothing at all": Reply(status=200, headers={}),
    "array": Reply.text("[]", content_type="application/json"),
    "null": Reply.text("null", content_type="application/json"),
    "number": Reply.text("42", content_type="application/json"),
    "text": Reply.text('"hello"', content_type="application/json"),
    "wrong types": Reply.text(
        '{"choices": {"a": 1}, "content": 3, "candidates": "x", "message": []}',
        content_type="application/json",
    ),
    "empty lists": Reply.text(
        '{"choices": [], "content": null, "candidates": []}', content_type="application/json"
    ),
    "deep nesting": Reply.text("[" * 100_000, content_type="application/json"),
    "not UTF-8": Reply.text(b'{"choices": "\xff\xfe"}', content_type="application/json"),
    "not gzip": Reply.text("{}", content_type="application/json", headers={"Content-Encoding": "gzip"}),
    "events of nothing": Reply.sse([], last=None),
    "event that is not JSON": Reply.sse(["{broken"], last=None),
    "event that is no object": Reply.sse(["[1, 2]"], last=None),
    "event of null": Reply.sse(["null"], last=None),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_success_status_with_nonsense(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, name: str
):
    vendor.will(NONSENSE[name])
    response = call(request_to(), stream=stream)
    assert_failed(response, "BAD_PROVIDER_RESPONSE")
    assert response.error is not None
    assert response.error.may_be_billed
    assert len(vendor.requests) == 1


def test_a_web_page_in_place_of_an_answer_leads_to_the_base_url(
    vendor: VendorServer, request_to: MakeRequest, call: Caller, stream: bool
):
    vendor.will(NONSENSE["HTML"])
    response = call(request_to(), stream=stream)
    assert response.error is not None
    assert "Check that the base URL leads to" in response.error.message


def test_an_unknown_model_leads_to_what_this_provider_needs(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    vendor.will(dialect.failure(Failure.UNKNOWN_MODEL))
    error = call(request_to()).error
    assert error is not None
    assert ("/v1." in error.message) is (dialect.provider == "OPENAI")
    assert ("GOOGLE_GENAI_API_VERSION" in error.message) is (dialect.provider == "GEMINI")


@pytest.mark.parametrize("kept", [0, 1, 30, 0.5, -1])
def test_a_body_cut_short(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, kept: float
):
    reply = dialect.whole(Answer())
    size = sum(map(len, reply.chunks))
    vendor.will(reply.cut(size - 1 if kept == -1 else int(size * kept) if 0 < kept < 1 else int(kept)))
    assert_failed(call(request_to(), stream=stream), "BAD_PROVIDER_RESPONSE")


@pytest.mark.parametrize("failure", [Failure.RATE_LIMIT, Failure.SERVER_ERROR, Failure.FORBIDDEN])
def test_an_error_whose_body_is_cut_is_still_that_error(
    vendor: VendorServer,
    dialect: Dialect,
    request_to: MakeRequest,
    call: Caller,
    stream: bool,
    failure: Failure,
):
    vendor.will(dialect.failure(failure).cut(20))
    response = call(request_to(), stream=stream)
    assert_failed(response, EXPECTED[failure].code)
    assert response.error is not None
    assert response.error.provider_status == dialect.failure(failure).status


@pytest.mark.parametrize("failure", [Failure.RATE_LIMIT, Failure.SERVER_ERROR, Failure.FORBIDDEN])
def test_an_error_whose_body_cannot_be_decompressed_is_still_that_error(
    vendor: VendorServer,
    dialect: Dialect,
    request_to: MakeRequest,
    call: Caller,
    stream: bool,
    failure: Failure,
):
    vendor.will(dialect.failure(failure).with_headers({"Content-Encoding": "gzip"}))
    response = call(request_to(), stream=stream)
    assert_failed(response, EXPECTED[failure].code)
    assert response.error is not None
    assert response.error.provider_status == dialect.failure(failure).status


def test_a_stream_ended_cleanly_before_its_end_mark(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    """The SDKs report this one as a finished answer."""
    events = dialect.events(Answer())
    text_events = 1 + len(Answer().pieces)
    for count in range(text_events + 1):
        vendor.will(dialect.streamed(events[:count]))
        response = call(request_to(), stream=True)
        assert_failed(response, "BAD_PROVIDER_RESPONSE")
        assert (response.response or "") == "".join(Answer().pieces[: max(0, count - 1)])
        assert response.finish_reason is None
        assert response.token_usage is None


def test_a_stream_cut_at_any_byte_is_whole_or_an_error(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    answer = Answer(pieces=("Zürich ", "🙂 日本"))
    wire = b"".join(dialect.events(answer))
    whole = 0
    for cut in range(0, len(wire), 13):
        vendor.will(dialect.streamed([wire[:cut]] if cut else []).cut(1))
        response = call(request_to(), stream=True)
        text = response.response or ""
        assert answer.text.startswith(text)
        assert "\ufffd" not in text
        if response.error is None:
            whole += 1
            assert text == answer.text
        else:
            assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert whole < 60  # only where the end mark had come


def test_the_network_may_cut_the_stream_anywhere(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    answer = Answer(pieces=("Zürich ", "🙂 日本"))
    wire = b"".join(dialect.events(answer))
    for size in (1, 2, 3, 7, 64, 1_000):
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        vendor.will(dialect.streamed(pieces))
        response = call(request_to(), stream=True)
        assert response.error is None
        assert response.response == answer.text
        assert response.token_usage == dialect.told(answer).usage


def test_reset_before_the_request_was_read(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    vendor.will(Reply.reset(before_reading=True))
    response = call(request_to(), stream=stream)
    assert_failed(response, "PROVIDER_UNAVAILABLE")
    assert response.error is not None
    assert response.error.retryable
    assert vendor.requests == []
    assert vendor.connections == 1


def test_reset_after_the_request_was_read(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    vendor.will(Reply.reset())
    response = call(request_to(), stream=stream)
    assert_failed(response, "PROVIDER_UNAVAILABLE")
    assert response.error is not None
    assert response.error.may_be_billed
    assert len(vendor.requests) == 1


def test_connection_refused(
    nobody_url: str, dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool
):
    started = time.monotonic()
    response = call(request_to(**dialect.connection(nobody_url)), stream=stream)
    assert_failed(response, "PROVIDER_UNAVAILABLE")
    assert response.error is not None
    assert response.error.retryable
    assert response.error.may_be_billed is False
    assert "base URL" in response.error.message
    assert time.monotonic() - started < 5


def test_a_name_that_does_not_resolve(
    dialect: Dialect, request_to: MakeRequest, call: Caller, stream: bool, refused_addresses: list[str]
):
    response = call(request_to(**dialect.connection("http://nonesuch.invalid:1")), stream=stream)
    refused_addresses.clear()
    assert_failed(response, "PROVIDER_UNAVAILABLE")
    assert response.error is not None
    assert response.error.may_be_billed is False


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "http://:80", "http://a b", "http://h:99999", "http://h:0"]
)
def test_an_address_that_is_none(dialect: Dialect, request_to: MakeRequest, call: Caller, url: str):
    from core.errors import InvalidRequest

    with pytest.raises(InvalidRequest, match="base_url"):
        call(request_to(**dialect.connection(url)))


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/9.9 what\r\n\r\n"]
)
def test_a_server_that_speaks_something_else(
    dialect: Dialect, request_to: MakeRequest, call: Caller, raw_server: Callable[[bytes], str], answer: bytes
):
    response = call(request_to(**dialect.connection(raw_server(answer))))
    assert_failed(response, "BAD_PROVIDER_RESPONSE")


WITH_KEY = [name for name in DIALECTS if registry.get_spec(name).needs_api_key]


@pytest.mark.parametrize("dialect", WITH_KEY, indirect=True)
def test_a_missing_key(dialect: Dialect, request_to: MakeRequest, call: Caller):
    request = request_to()
    for name in ("api_key", *dialect.connection("http://127.0.0.1:1")):
        del request[name]
    response = call(request)
    assert_failed(response, "MISSING_API_KEY")
    assert response.error is not None
    assert response.error.message.startswith(f"API key required for {dialect.provider}")
    assert "DEMO" in response.error.message
    assert response.error.may_be_billed is False


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-ü", "sk a", "sk-\x00", "sk-\ud800"])
def test_a_key_that_no_header_can_carry(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller, key: str
):
    response = call(request_to(api_key=key))
    assert_failed(response, "INVALID_REQUEST")
    assert vendor.requests == []


def test_a_pasted_key_loses_its_line_break(
    vendor: VendorServer, dialect: Dialect, request_to: MakeRequest, call: Caller
):
    vendor.will(dialect.whole(Answer()))
    assert call(request_to(api_key=f" {CANARY}\n")).error is None
    assert dialect.seen(vendor.last).key == CANARY
