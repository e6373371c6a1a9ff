"""What a server sends is read the same however the network cuts it, and nothing but a whole reply is taken for one."""

import gc
import weakref

import pytest

from core.providers.http_parser import MAX_HEAD_BYTES, MAX_HEADERS, BrokenReply, ReplyParser

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
SIZED = HEAD + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = (
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;note=x\r\nllo\r\n0\r\nTrailer: no header\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
TO_THE_END = HEAD + b"\r\nhello"


def read(sent: bytes, *, pieces_of: int, then_ended: bool = True) -> tuple[ReplyParser, bytes]:
    parser, body = ReplyParser(), b""
    for start in range(0, len(sent), pieces_of):
        parser.feed(sent[start : start + pieces_of])
        body += parser.take()
    if then_ended and not parser.complete:
        parser.feed(b"")
        body += parser.take()
    return parser, body


@pytest.mark.parametrize("pieces_of", [1, 2, 7, 10_000])
@pytest.mark.parametrize(
    ("sent", "keeps"),
    [
        (SIZED, True),
        (CHUNKED, True),
        (INTERIM + SIZED, True),
        (TO_THE_END, False),
        (SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
    ],
)
def test_a_reply_is_whole_however_it_is_cut(sent: bytes, keeps: bool, pieces_of: int) -> None:
    parser, body = read(sent, pieces_of=pieces_of)
    assert (parser.status, body, parser.complete, parser.will_close) == (200, b"hello", True, not keeps)
    names = [name for name, _ in parser.headers]
    assert (names[0], b"Link" in names, b"Trailer" in names) == (b"Content-Type", False, False)


@pytest.mark.parametrize("sent", [SIZED[:-1], CHUNKED[:-2], CHUNKED[:-30], SIZED + b"x"])
def test_what_is_cut_is_not_complete_and_what_follows_spoils_the_connection(sent: bytes) -> None:
    if sent.startswith(SIZED):
        parser, body = read(sent, pieces_of=10_000)
        assert (body, parser.complete, parser.will_close) == (b"hello", True, True)
        return
    parser, body = read(sent, pieces_of=10_000, then_ended=False)
    assert not parser.complete
    parser.feed(b"")
    with pytest.raises(BrokenReply, match="ended before"):
        parser.take()
    assert b"hello".startswith(body)


def test_what_came_before_a_fault_is_taken_first() -> None:
    parser = ReplyParser()
    parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nnonsense\r\n")
    assert parser.take() == b"he"
    with pytest.raises(BrokenReply):
        parser.take()
    assert not parser.complete


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"a: b\r\n" * MAX_HEADERS + b"\r\n",
        HEAD + b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pieces_of", [1_000, 1_000_000])
def test_no_head(sent: bytes, pieces_of: int) -> None:
    with pytest.raises(BrokenReply):
        read(sent, pieces_of=pieces_of)


def test_nothing_at_all_is_told_from_half_a_head() -> None:
    for sent, nothing in ((b"", True), (b"HTT", False)):
        parser = ReplyParser()
        if sent:
            parser.feed(sent)
        with pytest.raises(BrokenReply):
            parser.feed(b"")
        assert parser.nothing_came is nothing


def test_a_parser_that_is_done_leaves_nothing_to_the_garbage_collector() -> None:
    class Watched(ReplyParser):
        pass

    gc.disable()
    try:
        parser = Watched()
        gone = weakref.ref(parser)
        parser.feed(SIZED)
        del parser
        assert gone() is None
    finally:
        gc.enable()
