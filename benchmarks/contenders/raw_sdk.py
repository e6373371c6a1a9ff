"""The official OpenAI SDK, bare: nothing is stored, priced or checked."""

import time

from harness import THREADS, arguments, measure_async, measure_threads
from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAI
from openai.types.chat import ChatCompletionMessageParam

base_url, mode, calls = arguments()
MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Tell me about foxes."},
]
client = OpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)


def complete() -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert answer.choices[0].message.content and answer.usage


def stream() -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for chunk in client.chat.completions.create(
        model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - started
            text.append(chunk.choices[0].delta.content)
    assert len(text) == 500
    return first


def asynchronous(aiohttp: bool) -> None:
    if aiohttp:
        other = AsyncOpenAI(
            api_key="sk-bench", base_url=base_url, max_retries=0, http_client=DefaultAioHttpClient()
        )
    else:
        other = AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)

    async def call() -> None:
        answer = await other.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        assert answer.choices[0].message.content and answer.usage

    measure_async(call, calls)


match mode:
    case "complete":
        measure_threads(complete, calls, threads=1)
    case "complete32":
        measure_threads(complete, calls, threads=THREADS)
    case "async32":
        asynchronous(aiohttp=False)
    case "aiohttp32":
        asynchronous(aiohttp=True)
    case "stream":
        measure_threads(stream, calls, threads=1)
    case "stream32":
        measure_threads(stream, calls, threads=THREADS)
    case _:
        raise SystemExit(f"no mode {mode}")
