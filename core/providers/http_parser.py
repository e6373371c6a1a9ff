"""What a server sends as one reply, read from pieces as they come: the parser is llhttp, Node's own (`httptools`)."""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100


class BrokenReply(ValueError):
    """What came is not a reply in HTTP/1, or not all of it."""


class ReplyParser:
    """One final reply; interim ones (100, 103) before it are passed over.

    Attributes:
        status: Of the head.
        headers: Of the head, as they were sent.
        has_head: Whether status and headers are there.
        complete: Whether all of the body is there, though perhaps not yet taken.
        will_close: Whether the connection is of no use after it.
    """

    __slots__ = ("_broken", "_interim", "_parser", "_pieces", "_size", "complete", "has_head", "headers",
                 "status", "will_close")  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = self.complete = False
        self.will_close = True
        self._interim = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._broken: BrokenReply | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def nothing_came(self) -> bool:
        """Whether the connection ended before the first byte."""
        return not self._size

    def feed(self, data: bytes) -> None:
        """Takes what was received; nothing is the end of the connection.

        Raises:
            BrokenReply: It is none, and the head was not there yet; afterwards `take` raises.
        """
        parser = self._parser
        if parser is None:
            return
        if data:
            self._size += 0 if self.has_head else len(data)
            try:
                parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as exc:
                # After its end: what follows is nobody's, and `on_message_begin` has seen it.
                if not self.complete:
                    self._broken = BrokenReply(f"{type(exc).__name__}: {exc}")
            else:
                if not self.has_head and self._size > MAX_HEAD_BYTES:
                    self._broken = BrokenReply(f"a head of more than {MAX_HEAD_BYTES} bytes")
        elif self.has_head and self._ends_with_connection():
            self.complete = True
        else:
            self._broken = BrokenReply("the connection ended before the reply did")
        if self.complete or self._broken is not None:
            self._parser = None  # it holds this object, which holds it
            if self._broken is not None and not self.has_head:
                raise self._broken

    def take(self) -> bytes:
        """What there is of the body and was not taken; nothing where more has to be fed, or all of it was.

        Raises:
            BrokenReply: What came after the last piece.
        """
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._broken is not None:
            raise self._broken
        return b""

    def _ends_with_connection(self) -> bool:
        fields = {name.lower(): value.lower() for name, value in self.headers}
        coding = fields.get(b"transfer-encoding")
        return b"content-length" not in fields if coding is None else not coding.endswith(b"chunked")

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """See `httptools`."""
        if self.complete:
            self.will_close = True
            raise BrokenReply("something follows the reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`. What follows the last chunk is no part of the head."""
        if not self.has_head:
            if len(self.headers) == MAX_HEADERS:
                raise BrokenReply(f"more than {MAX_HEADERS} headers")
            self.headers.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        assert self._parser is not None
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise BrokenReply(f"a head of more than {MAX_HEAD_BYTES} bytes")
        self.status = self._parser.get_status_code()
        self._interim = self.status < 200
        if self._interim:
            self.headers.clear()
        else:
            self.has_head = True
            self.will_close = not self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """See `httptools`."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """See `httptools`."""
        self.complete = not self._interim
