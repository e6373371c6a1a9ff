"""A server that answers as all five vendors do, as cheaply as Python can, in a process of its own.

What is asked for is told by the path, and a stream by the path or by `"stream": true`. A prompt that says "after N ms"
waits that long before the first byte, as a model does; one that says "in two words" gets a stream of two. Stops when
its standard input closes.
"""

import asyncio
import re
import sys
from typing import Final

from benchmarks.bodies import ANTHROPIC, BEDROCK, GEMINI, OLLAMA, OPENAI, Wire

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_STREAM: Final = re.compile(rb'"stream": ?true')
_DELAY: Final = re.compile(rb"after (\d+) ms")
_BRIEFLY: Final = b"in two words"
_WIRES: Final = (
    ("/chat/completions", OPENAI, None),
    ("/messages", ANTHROPIC, None),
    (":generateContent", GEMINI, False),
    (":streamGenerateContent", GEMINI, True),
    ("/api/chat", OLLAMA, None),
    ("/converse", BEDROCK, False),
    ("/converse-stream", BEDROCK, True),
)
_NOTHING: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def find_wire(path: str, body: bytes) -> tuple[Wire, bool] | None:
    """Whose answer a request wants, and whether as a stream; None for what is not spoken here."""
    path = path.partition("?")[0]
    for end, wire, streamed in _WIRES:
        if path.endswith(end):
            return wire, _STREAM.search(body) is not None if streamed is None else streamed
    return None


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if delay := _DELAY.search(body):
                await asyncio.sleep(int(delay[1]) / 1_000)
            match find_wire(head.split(b" ", 2)[1].decode("latin-1"), body):
                case None:
                    writer.write(_NOTHING)
                case wire, True:
                    writer.write(wire.first)
                    await writer.drain()
                    writer.write(wire.brief if _BRIEFLY in body else wire.rest)
                case wire, False:
                    writer.write(wire.whole)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()  # the client is gone, or the server is to stop while clients keep their connections


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
