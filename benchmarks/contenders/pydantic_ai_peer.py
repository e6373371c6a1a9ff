"""A pydantic-ai `Agent` on its OpenAI model, one agent for all calls."""

import asyncio
import threading
import time

from harness import THREADS, arguments, measure_async, measure_threads
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

base_url, mode, calls = arguments()
client = AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)
agent = Agent(
    OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client)),
    instructions="You are brief.",
)
loop = asyncio.new_event_loop()
if not mode.endswith("32"):
    threading.Thread(target=loop.run_forever, daemon=True).start()


async def complete() -> None:
    result = await agent.run("Tell me about foxes.")
    assert result.output


async def stream() -> float:
    started, first, text = time.perf_counter(), 0.0, ""
    async with agent.run_stream("Tell me about foxes.") as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            first = first or time.perf_counter() - started
            text += piece
    assert len(text) > 2_000, len(text)
    return first


async def stream_untimed() -> None:
    await stream()


match mode:
    case "complete":
        measure_threads(lambda: asyncio.run_coroutine_threadsafe(complete(), loop).result(), calls, threads=1)
    case "stream":
        measure_threads(lambda: asyncio.run_coroutine_threadsafe(stream(), loop).result(), calls, threads=1)
    case "complete32":
        measure_async(complete, calls)
    case "stream32":
        measure_async(stream_untimed, calls)
    case _:
        raise SystemExit(f"no mode {mode} with {THREADS}")
