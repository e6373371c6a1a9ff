"""What every contender does with its call: warm up, count CPU and wall time, print one JSON line.

Run by the contender's own interpreter, so it imports nothing but the standard library.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 32


def arguments() -> tuple[str, str, int]:
    """The base URL, the mode, and how many calls to measure."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3])


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _report(calls: int, wall: float, cpu: float, first_token: list[float]) -> None:
    result: dict[str, float] = {"calls_per_second": calls / wall, "cpu_ms_per_call": cpu / calls * 1_000}
    if first_token:
        result["first_token_ms"] = sorted(first_token)[len(first_token) // 2] * 1_000
    print(json.dumps(result))


def measure_threads(call: Callable[[], float | None], calls: int, *, threads: int) -> None:
    """Measures a blocking call, sequentially or in threads; it may return its time to the first token in seconds."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(max(10, threads * 3))))
        gc.collect()
        cpu, wall = _cpu_seconds(), time.perf_counter()
        # One after another in this very thread: handing each call over would be measured too.
        firsts = (
            [call() for _ in range(calls)] if threads == 1 else list(pool.map(lambda _: call(), range(calls)))
        )
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    _report(calls, wall, cpu, [first for first in firsts if first is not None])


def measure_async(call: Callable[[], Awaitable[None]], calls: int) -> None:
    """Measures a coroutine, `THREADS` of them at a time."""

    async def worker(count: int) -> None:
        for _ in range(count):
            await call()

    async def main() -> None:
        await asyncio.gather(*(worker(3) for _ in range(THREADS)))
        gc.collect()
        cpu, wall = _cpu_seconds(), time.perf_counter()
        await asyncio.gather(*(worker(calls // THREADS) for _ in range(THREADS)))
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        _report(calls // THREADS * THREADS, wall, cpu, [])

    asyncio.run(main())
