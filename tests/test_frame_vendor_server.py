"""The scripted vendor does on the wire what its replies say, seen by real clients."""

import os
import resource
import socket
import threading
import time
import urllib.parse
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import openai
import pytest

from tests.support.vendor_server import ReceivedRequest, Reply, VendorServer

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
}


def chunk(text: str) -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"content": text}}],
    }


@pytest.fixture
def client(vendor: VendorServer) -> Generator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{vendor.url}/v1", api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


def ask(client: openai.OpenAI) -> str | None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "capital?"}]
    )
    return answer.choices[0].message.content


def stream(client: openai.OpenAI) -> list[str]:
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "capital?"}], stream=True
    ) as chunks:
        return [part.choices[0].delta.content or "" for part in chunks]


def test_answers_and_records(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(Reply.json(COMPLETION, headers={"x-request-id": "req-7"}))
    assert ask(client) == "Paris"
    request = vendor.last
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json["messages"] == [{"role": "user", "content": "capital?"}]
    assert not request.client_left.is_set()


def test_replies_are_used_in_order_then_otherwise(vendor: VendorServer) -> None:
    vendor.will(Reply.text("first"), Reply.text("second", status=201))
    vendor.otherwise(Reply.text("rest"))
    with httpx2.Client() as http:
        answers = [http.get(f"{vendor.url}/models?page={n}") for n in range(4)]
    assert [(a.status_code, a.text) for a in answers] == [
        (200, "first"),
        (201, "second"),
        (200, "rest"),
        (200, "rest"),
    ]
    assert vendor.requests[3].path == "/models?page=3"
    assert vendor.connections == 1, "a client that keeps its connection must find it open"


def test_a_function_sees_the_request(vendor: VendorServer) -> None:
    def echo(request: ReceivedRequest) -> Reply:
        return Reply.json({"you sent": request.json})

    vendor.otherwise(echo)
    assert httpx2.post(vendor.url, json=[1, 2]).json() == {"you sent": [1, 2]}


def test_errors_keep_status_and_headers(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(
        Reply.json(
            {"error": {"message": "slow down", "code": "rate_limit"}},
            status=429,
            headers={"Retry-After": "7"},
        )
    )
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == "7"
    assert len(vendor.requests) == 1


def test_streams_events_as_they_come(vendor: VendorServer) -> None:
    vendor.will(Reply.sse([chunk("Pa"), chunk("ris")], pause_s=0.3))
    arrivals: list[tuple[str, float]] = []
    with httpx2.stream("POST", vendor.url) as answer:
        for line in answer.iter_lines():
            if line:
                arrivals.append((line, time.monotonic()))
    assert [line for line, _ in arrivals][-1] == "data: [DONE]"
    assert arrivals[2][1] - arrivals[0][1] > 0.3, "two pauses lie between the first event and the last"


def test_a_stream_reaches_the_sdk(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(Reply.sse([chunk("Pa"), chunk("ris")]))
    assert stream(client) == ["Pa", "ris"]


def test_a_stream_may_end_cleanly_too_early(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(Reply.sse([chunk("Pa")], last=None))
    assert stream(client) == ["Pa"], (
        "the SDK takes it for the end: the reason why callers must look themselves"
    )


def test_a_stream_may_be_cut(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(Reply.sse([chunk("Pa"), chunk("ris")]).cut(1))
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
        stream(client)


def test_a_stream_may_be_cut_within_a_chunk(vendor: VendorServer) -> None:
    vendor.will(Reply.sse(["first", "second"], last=None).cut_within(1))
    address = urllib.parse.urlsplit(vendor.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=5) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: vendor\r\nContent-Length: 0\r\n\r\n")
        body = connection.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert body == b"d\r\ndata: first\n\n\r\ne\r\ndata: s"


def test_a_body_may_be_cut(vendor: VendorServer, client: openai.OpenAI) -> None:
    vendor.will(Reply.json(COMPLETION).cut(20))
    with pytest.raises(openai.APIConnectionError):
        ask(client)


@pytest.mark.parametrize("before_reading", [True, False])
def test_a_connection_may_be_reset(vendor: VendorServer, before_reading: bool) -> None:
    vendor.will(Reply.reset(before_reading=before_reading))
    # What the client reports depends on how far it was: reset while reading or writing, or no answer at all.
    with httpx2.Client() as http, pytest.raises(httpx2.TransportError):
        http.post(vendor.url, content=b"x" * 100)
    assert len(vendor.requests) == (0 if before_reading else 1)
    assert vendor.connections == 1


def test_a_kept_connection_may_be_reset(vendor: VendorServer) -> None:
    with httpx2.Client() as http:
        vendor.will(Reply.text("fine"), Reply.reset(before_reading=True))
        http.get(vendor.url)
        with pytest.raises(httpx2.TransportError):
            http.get(vendor.url)
    assert (vendor.connections, len(vendor.requests)) == (1, 1)


def test_silence_lasts_until_the_client_leaves(vendor: VendorServer) -> None:
    vendor.will(Reply.silence())
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(vendor.url, timeout=httpx2.Timeout(30, read=0.3))
    [request] = vendor.wait_for_requests(1)
    assert request.client_left.wait(10)


def test_silence_ends_with_the_server() -> None:
    with VendorServer() as vendor, httpx2.Client(timeout=10) as http:
        vendor.will(Reply.silence())
        failure: list[Exception] = []

        def wait_for_answer() -> None:
            try:
                http.get(vendor.url)
            except httpx2.HTTPError as error:
                failure.append(error)

        waiting = threading.Thread(target=wait_for_answer)
        waiting.start()
        vendor.wait_for_requests(1)
        started = time.monotonic()
        vendor.stop()
        waiting.join(20)
        assert time.monotonic() - started < 9, "well before the client gave up"
        assert isinstance(failure[0], httpx2.RemoteProtocolError)


def test_a_client_that_stops_a_stream_is_noticed(vendor: VendorServer) -> None:
    vendor.will(Reply.sse([chunk("word")] * 500, pause_s=0.05))
    with httpx2.stream("POST", vendor.url) as answer:
        next(answer.iter_lines())
    assert vendor.last.client_left.wait(10)


def test_an_answer_may_be_late(vendor: VendorServer) -> None:
    vendor.will(Reply.text("late").delayed(0.3))
    started = time.monotonic()
    assert httpx2.get(vendor.url).text == "late"
    assert time.monotonic() - started >= 0.3


def test_lines_of_json(vendor: VendorServer) -> None:
    vendor.will(Reply.lines([{"n": 1}, {"n": 2}]))
    assert httpx2.get(vendor.url).text == '{"n": 1}\n{"n": 2}\n'


def test_many_at_once(vendor: VendorServer) -> None:
    everyone = threading.Barrier(32)

    def answer_when_all_are_here(request: ReceivedRequest) -> Reply:
        everyone.wait(60)
        return Reply.text(request.path)

    vendor.otherwise(answer_when_all_are_here)
    with ThreadPoolExecutor(32) as pool, httpx2.Client(timeout=90) as http:
        texts = list(pool.map(lambda number: http.get(f"{vendor.url}/{number}").text, range(32)))
    assert texts == [f"/{number}" for number in range(32)]
    assert len(vendor.requests) == vendor.connections == 32


def test_a_request_without_a_reply_is_told_and_listed() -> None:
    with VendorServer() as vendor:
        assert httpx2.get(vendor.url).status_code == 500
        assert [request.method for request in vendor.unexpected] == ["GET"]


def test_reset_forgets(vendor: VendorServer) -> None:
    vendor.will(Reply.text("used"), Reply.text("never used"))
    httpx2.get(vendor.url)
    vendor.reset()
    vendor.will(Reply.text("new"))
    assert httpx2.get(vendor.url).text == "new"
    assert len(vendor.requests) == 1


def test_waiting_for_a_request_that_does_not_come(vendor: VendorServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        vendor.wait_for_requests(1, timeout_s=0.05)


def test_a_refused_connection(nobody_url: str) -> None:
    with pytest.raises(httpx2.ConnectError, match="refused"):
        httpx2.get(nobody_url)


def test_stopping_frees_the_port() -> None:
    with VendorServer() as vendor:
        port = urllib.parse.urlsplit(vendor.url).port
    assert port
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_it_answers_in_a_process_with_more_than_a_thousand_open_files() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, limits[1]), limits[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        for _ in range(1_100):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        vendor = stack.enter_context(VendorServer())
        vendor.will(Reply.json({"ok": True}))
        assert httpx2.get(vendor.url).json() == {"ok": True}
