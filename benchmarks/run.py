"""`make bench`: ours beside its peers, interleaved in one run, medians over the rounds, as ratios.

A round runs every contender of a mode once, in a process of its own, in an order that turns with each round. The tables
go to the terminal and to build/bench.md.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.startup import measure_imports, measure_startup

ROOT = Path(__file__).parents[1]
CONTENDERS = ROOT / "benchmarks" / "contenders"
OURS = Path(sys.executable)
PEERS = ROOT / ".tools" / "bench-peers" / "bin" / "python"
LITELLM = ROOT / ".tools" / "bench-litellm" / "bin" / "python"


@dataclass(frozen=True)
class Contender:
    """A program that makes the same calls in a mode; `mode` if it goes by another name there."""

    name: str
    python: Path
    script: str
    mode: str | None = None


RAW = Contender("raw OpenAI SDK", PEERS, "raw_sdk.py")
RUN = Contender("Agent Launcher, stored", OURS, "ours.py")
LITE = Contender("litellm.completion", LITELLM, "litellm_peer.py")
PYDANTIC_AI = Contender("pydantic-ai", PEERS, "pydantic_ai_peer.py")
RAW_ASYNC = Contender("raw OpenAI SDK, AsyncOpenAI", PEERS, "raw_sdk.py", "async32")
RAW_AIOHTTP = Contender("raw OpenAI SDK, AsyncOpenAI on aiohttp", PEERS, "raw_sdk.py", "aiohttp32")


@dataclass(frozen=True)
class Mode:
    """One table: who takes part, how many calls each, and what to show."""

    name: str
    title: str
    calls: int
    contenders: Sequence[Contender]
    figures: Sequence[str]
    path: str = ""


MODES = (
    Mode(
        "complete",
        "One call after another",
        400,
        (RAW, RUN, LITE, PYDANTIC_AI),
        ("cpu_ms_per_call", "calls_per_second"),
    ),
    Mode(
        "complete32",
        "32 at a time",
        1_600,
        (RAW, RAW_ASYNC, RAW_AIOHTTP, RUN, LITE, PYDANTIC_AI),
        ("calls_per_second", "cpu_ms_per_call"),
    ),
    Mode(
        "stream",
        "A stream of 500 chunks, one after another",
        40,
        (RAW, RUN, LITE, PYDANTIC_AI),
        ("cpu_ms_per_call", "first_token_ms"),
    ),
    Mode(
        "stream32",
        "Streams of 500 chunks, 32 at a time",
        160,
        (RAW, RUN, LITE, PYDANTIC_AI),
        ("calls_per_second", "cpu_ms_per_call"),
    ),
    Mode(
        "stream",
        "First token of a model that takes 200 ms to its first byte",
        20,
        (RAW, RUN),
        ("first_token_ms",),
        "/d200",
    ),
)
UNITS = {
    "cpu_ms_per_call": "CPU ms a call",
    "calls_per_second": "calls a second",
    "first_token_ms": "first token ms",
}


@contextmanager
def loopback_server() -> Iterator[str]:
    """The base URL of a server that lives as long as the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loopback"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def run_once(contender: Contender, mode: Mode, base_url: str) -> dict[str, float]:
    """One process of one contender."""
    kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT"}
    environment = {key: value for key, value in os.environ.items() if key in kept}
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [
            str(contender.python),
            str(CONTENDERS / contender.script),
            f"{base_url}{mode.path}/v1",
            contender.mode or mode.name,
            str(mode.calls),
        ],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{contender.name} failed in mode {mode.name}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(mode: Mode, rounds: int, base_url: str) -> list[str]:
    """Runs a mode and returns its table as Markdown lines."""
    results: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in mode.contenders}
    for number in range(rounds):
        order = list(mode.contenders)
        random.Random(number).shuffle(order)
        for contender in order:
            results[contender.name].append(run_once(contender, mode, base_url))
            print(
                f"  {mode.title}: round {number + 1}, {contender.name} {results[contender.name][-1]}",
                file=sys.stderr,
            )
    raw = {key: _median(results[RAW.name], key) for key in mode.figures}
    lines = [f"### {mode.title}", ""]
    lines.append("| | " + " | ".join(f"{UNITS[key]} | of raw" for key in mode.figures) + " |")
    lines.append("| --- |" + " --- | --- |" * len(mode.figures))
    for contender in mode.contenders:
        cells: list[str] = []
        for key in mode.figures:
            if key in results[contender.name][0]:
                value = _median(results[contender.name], key)
                cells += [f"{value:,.2f}", f"{value / raw[key]:.2f}"]
            else:
                cells += ["", ""]
        lines.append(f"| {contender.name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _median(results: Sequence[dict[str, float]], key: str) -> float:
    return statistics.median(result[key] for result in results)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="how often each contender runs; at least 5 for figures that count",
    )
    parser.add_argument("--only", default="", help="only tables whose title contains this text")
    options = parser.parse_args()
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, loopback, "
        f"medians of {options.rounds} interleaved rounds.",
        "",
    ]
    with loopback_server() as base_url:
        for mode in MODES:
            if options.only.lower() in mode.title.lower():
                lines += compare(mode, options.rounds, base_url)
    for measure in (measure_imports, measure_startup):
        title, table = measure(options.rounds, ours=OURS, peers=PEERS, litellm=LITELLM, only=options.only)
        if table:
            lines += [f"### {title}", "", *table, ""]
    text = "\n".join(lines)
    print(text)
    target = ROOT / "build" / "bench.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
