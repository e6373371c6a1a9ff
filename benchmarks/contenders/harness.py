"""What every contender does with its calls: warm up, count CPU and wall time, answer with one JSON line.

Run by the contender's own interpreter, so it imports nothing but the standard library. A call takes a prompt and
returns the seconds until its first token, or None.
"""

import asyncio
import gc
import json
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Call = Callable[[str], float | None]
AsyncCall = Callable[[str], Awaitable[float | None]]

THREADS = 32
PROMPT = "Tell me about foxes."
SLOW_PROMPT = "Tell me about foxes, after 200 ms."
MODELS = {
    "OPENAI": "gpt-4o-mini",
    "ANTHROPIC": "claude-haiku-4-5",
    "GEMINI": "gemini-2.5-flash",
    "OLLAMA": "gemma4",
    "BEDROCK": "anthropic.claude-haiku-4-5-20251001-v1:0",
}


def server() -> str:
    """The loopback server's address."""
    return sys.argv[1]


def model() -> str:
    """The name of the model that is asked for."""
    return MODELS[sys.argv[2]]


def contend(
    *,
    complete: Call,
    stream: Call,
    asynchronous: Mapping[str, AsyncCall] | None = None,
    close: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Says that it is ready, and measures what each line of standard input asks for: `MODE CALLS WARM_UP`.

    Args:
        complete: A blocking call that takes the whole answer.
        stream: One that takes it chunk by chunk.
        asynchronous: Coroutines for the modes that are theirs, `THREADS` at a time.
        close: Awaited when all coroutines are done.
    """
    coroutines = asynchronous or {}
    loop = EventLoop() if coroutines else None
    with ThreadPoolExecutor(THREADS) as pool:
        print("{}", flush=True)
        for line in sys.stdin:
            mode, calls, warm_up = line.split()
            prompt = SLOW_PROMPT if mode == "first" else PROMPT
            if mode in coroutines:
                assert loop is not None
                figures = loop.run(_in_coroutines(coroutines[mode], prompt, int(calls), int(warm_up)))
            else:
                call = complete if mode.startswith("complete") else stream
                # One after another in this very thread: handing each call over would be measured too.
                spread = pool.map if mode.endswith("32") else map
                figures = _in_threads(spread, call, prompt, int(calls), int(warm_up))
            print(json.dumps(figures), flush=True)
    if loop is not None and close is not None:
        loop.run(close())


class EventLoop:
    """One loop for all coroutines of a process, in a thread: a client belongs to the loop that it was first used in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _in_threads(
    spread: Callable[..., Iterable[float | None]], call: Call, prompt: str, calls: int, warm_up: int
) -> dict[str, float]:
    list(spread(call, [prompt] * warm_up))
    start = _Start()
    return start.figures(calls, list(spread(call, [prompt] * calls)))


async def _in_coroutines(call: AsyncCall, prompt: str, calls: int, warm_up: int) -> dict[str, float]:
    async def workers(count: int) -> list[float | None]:
        left = iter(range(count))
        firsts: list[float | None] = []

        async def worker() -> None:
            for _ in left:
                firsts.append(await call(prompt))

        await asyncio.gather(*(worker() for _ in range(THREADS)))
        return firsts

    await workers(warm_up)
    start = _Start()
    return start.figures(calls, await workers(calls))


class _Start:
    """Where the clocks stood."""

    def __init__(self) -> None:
        gc.collect()
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()

    def figures(self, calls: int, firsts: list[float | None]) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, _cpu_seconds() - self._cpu
        figures = {"calls_per_second": calls / wall, "cpu_ms_per_call": cpu / calls * 1_000}
        if timed := sorted(first for first in firsts if first is not None):
            figures["first_token_ms"] = timed[len(timed) // 2] * 1_000
        return figures


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
