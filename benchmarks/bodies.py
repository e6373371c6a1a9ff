"""What the loopback server answers: for each vendor one whole answer and one stream of 500 chunks, made once.

After the vendors' API references, as the tests' dialects are (tests/contract/dialects names the pages). Each chunk's
text differs: litellm takes a repeated chunk for a model in a loop, and raises.
"""

import binascii
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

CHUNKS: Final = 500
TEXTS: Final = ("Hello", *(f" word{number}" for number in range(CHUNKS - 1)))
ANSWER: Final = "The quick brown fox jumps over the lazy dog. " * 6
INPUT_TOKENS: Final = 120
CACHED_TOKENS: Final = 64
OUTPUT_TOKENS: Final = 40

_END: Final = b"0\r\n\r\n"


@dataclass(frozen=True)
class Wire:
    """A vendor's answers as bytes, heads included; a stream in two parts, the second after the first is sent.

    Attributes:
        brief: The second part of a stream that has two chunks with text.
    """

    whole: bytes
    first: bytes
    rest: bytes
    brief: bytes


def _wire(whole: object, events: list[bytes], *, content_type: str, before_text: int) -> Wire:
    """Puts the heads on; `before_text` of the events come before the first that has a text."""
    body = json.dumps(whole).encode()
    head = b"HTTP/1.1 200 OK\r\nx-request-id: req-bench\r\nx-amzn-requestid: req-bench\r\ncontent-type: "
    return Wire(
        whole=head + b"application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body),
        first=head
        + content_type.encode()
        + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        + _chunked(b"".join(events[: before_text + 1])),
        rest=b"".join(map(_chunked, events[before_text + 1 :])) + _END,
        brief=b"".join(map(_chunked, events[before_text + CHUNKS - 1 :])) + _END,
    )


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _data(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _openai() -> Wire:
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    base = {"id": "chatcmpl-bench", "created": 1, "model": "gpt-4o-mini"}

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _data(base | {"object": "chat.completion.chunk", "choices": [choice], "usage": None})

    whole = base | {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
        ],
        "usage": usage,
    }
    last = _data(base | {"object": "chat.completion.chunk", "choices": [], "usage": usage})
    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": text}) for text in TEXTS]
    events.append(chunk({}, "stop") + last + b"data: [DONE]\n\n")
    return _wire(whole, events, content_type="text/event-stream", before_text=1)


def _anthropic() -> Wire:
    usage = {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
        "cache_read_input_tokens": CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "output_tokens": OUTPUT_TOKENS,
        "service_tier": "standard",
    }
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5"}
    end = {"stop_reason": "end_turn", "stop_sequence": None}

    def event(kind: str, **fields: Any) -> bytes:
        return b"event: " + kind.encode() + b"\n" + _data({"type": kind, **fields})

    start = message | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events = [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    events += [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in TEXTS
    ]
    events += [
        event("content_block_stop", index=0),
        event("message_delta", delta=end, usage=usage) + event("message_stop"),
    ]
    whole = message | {"content": [{"type": "text", "text": ANSWER}], "usage": usage} | end
    return _wire(whole, events, content_type="text/event-stream", before_text=2)


def _gemini() -> Wire:
    usage = {
        "promptTokenCount": INPUT_TOKENS,
        "cachedContentTokenCount": CACHED_TOKENS,
        "candidatesTokenCount": OUTPUT_TOKENS,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
    }

    def chunk(text: str, finish_reason: str | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish_reason is not None:
            candidate["finishReason"] = finish_reason
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "bench",
        }

    events = [_data(chunk(text)) for text in TEXTS[:-1]] + [_data(chunk(TEXTS[-1], "STOP"))]
    return _wire(chunk(ANSWER, "STOP"), events, content_type="text/event-stream", before_text=0)


def _ollama() -> Wire:
    counts = {
        "total_duration": 4_883_583_458,
        "load_duration": 1_334_875,
        "prompt_eval_count": INPUT_TOKENS,
        "prompt_eval_duration": 342_546_000,
        "eval_count": OUTPUT_TOKENS,
        "eval_duration": 4_535_599_000,
        "done_reason": "stop",
    }

    def line(text: str, *, done: bool = False) -> dict[str, Any]:
        body = {
            "model": "gemma4",
            "created_at": "2026-11-22T17:21:21.196249Z",
            "message": {"role": "assistant", "content": text},
            "done": done,
        }
        return body | counts if done else body

    lines = [*(line(text) for text in TEXTS), line("", done=True)]
    events = [json.dumps(item).encode() + b"\n" for item in lines]
    return _wire(line(ANSWER, done=True), events, content_type="application/x-ndjson", before_text=0)


def _frame(name: str, body: object) -> bytes:
    """A message of an AWS event stream: lengths and their sum, headers of type string, payload, the whole's sum."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for key, value in headers.items()
    )
    payload = json.dumps(body).encode()
    prelude = struct.pack("!II", 12 + len(head) + len(payload) + 4, len(head))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + head + payload
    return message + struct.pack("!I", binascii.crc32(message))


def _bedrock() -> Wire:
    metadata = {
        "usage": {
            "inputTokens": INPUT_TOKENS - CACHED_TOKENS,
            "cacheReadInputTokens": CACHED_TOKENS,
            "cacheWriteInputTokens": 0,
            "outputTokens": OUTPUT_TOKENS,
            "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
        "metrics": {"latencyMs": 551},
    }
    events = [_frame("messageStart", {"role": "assistant", "p": "abcd"})]
    events += [
        _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefgh"})
        for text in TEXTS
    ]
    events += [
        _frame("contentBlockStop", {"contentBlockIndex": 0, "p": "abcdef"}),
        _frame("messageStop", {"stopReason": "end_turn", "p": "abc"})
        + _frame("metadata", {**metadata, "p": "ab"}),
    ]
    whole = {
        "output": {"message": {"role": "assistant", "content": [{"text": ANSWER}]}},
        "stopReason": "end_turn",
        **metadata,
    }
    return _wire(whole, events, content_type="application/vnd.amazon.eventstream", before_text=1)


OPENAI: Final = _openai()
ANTHROPIC: Final = _anthropic()
GEMINI: Final = _gemini()
OLLAMA: Final = _ollama()
BEDROCK: Final = _bedrock()
