"""`litellm.completion`, which stores nothing unless callbacks are added."""

import time

import litellm
from harness import THREADS, arguments, measure_threads

base_url, mode, calls = arguments()
MESSAGES = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Tell me about foxes."},
]
FIXED = {
    "model": "openai/gpt-4o-mini",
    "messages": MESSAGES,
    "api_key": "sk-bench",
    "api_base": base_url,
    "num_retries": 0,
}


def complete() -> None:
    answer = litellm.completion(**FIXED)
    assert answer.choices[0].message.content and answer.usage


def stream() -> float:
    started, first, pieces = time.perf_counter(), 0.0, 0
    for chunk in litellm.completion(**FIXED, stream=True, stream_options={"include_usage": True}):
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - started
            pieces += 1
    assert pieces == 500, pieces
    return first


threads = THREADS if mode.endswith("32") else 1
measure_threads(stream if mode.startswith("stream") else complete, calls, threads=threads)
