"""A server that answers OpenAI's chat completions as cheaply as Python can, in a process of its own.

Constant bodies after OpenAI's API reference ("Create chat completion", "Streaming"). `?delay=MS` in the base URL's path
segment `/d50/` waits before the first byte, as a model does. Stops when its standard input closes.
"""

import asyncio
import json
import re
import sys

_MODEL = "gpt-4o-mini"
_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 40,
    "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_BODY = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": _MODEL,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "The quick brown fox jumps over the lazy dog. " * 6,
                },
            }
        ],
        "usage": _USAGE,
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-bench\r\ncontent-length: %d\r\n\r\n%s"
    % (len(_BODY), _BODY)
)


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": _MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        "usage": None,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"x-request-id: req-bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
_FIRST = _chunked(_event({"role": "assistant", "content": ""}) + _event({"content": "Hello"}))
# Each piece differs: litellm takes a repeated chunk for a model in a loop, and raises.
_PIECES = [_chunked(_event({"content": f" word{number}"})) for number in range(499)]
_LAST = (
    _chunked(
        _event({}, "stop")
        + b"data: "
        + json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": _MODEL,
                "choices": [],
                "usage": _USAGE,
            }
        ).encode()
        + b"\n\ndata: [DONE]\n\n"
    )
    + b"0\r\n\r\n"
)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if delay := re.match(rb"\S+ /d(\d+)/", head):
                await asyncio.sleep(int(delay[1]) / 1_000)
            if b'"stream":true' in body.replace(b" ", b""):
                writer.write(_STREAM_HEAD + _FIRST)
                await writer.drain()
                writer.write(b"".join(_PIECES) + _LAST)
            else:
                writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
