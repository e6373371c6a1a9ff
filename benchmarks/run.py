"""`make bench`: ours beside its peers, interleaved in one run, medians over the rounds, as ratios.

Every contender is a process of its own, and a round asks each in turn (`contest.py`). The tables go to the terminal and
to build/bench.md; benchmarks/README.md says what they mean.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from benchmarks.cold_start import ColdStarts, cold_start_tables, measure_cold_starts
from benchmarks.contest import compete
from benchmarks.lambda_invoke import Invokes, invoke_tables, measure_invokes
from benchmarks.plan import GROUPS, LITELLM, OURS, PEERS, ROOT, Kind
from benchmarks.report import Figures, goals, tables
from benchmarks.startup import Startup, measure_imports, measure_startup

START_ROUNDS: Final = 5
STARTED: Final = time.monotonic()


def say(text: str) -> None:
    """Progress, on standard error."""
    minutes, seconds = divmod(round(time.monotonic() - STARTED), 60)
    print(f"[{minutes:02}:{seconds:02}] {text}", file=sys.stderr, flush=True)


@contextmanager
def loopback_server() -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loopback"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # which closes its standard input at the end, and waits for it
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def with_figures(readme: str, figures: str) -> str:
    """The page with these figures in place of those that it has."""
    before, heading, after = readme.partition("\n## Figures\n")
    _, next_heading, rest = after.partition("\n## ")
    return f"{before}{heading}\n{figures.strip()}\n{next_heading}{rest}"


def main() -> int:
    """Measures and prints; the exit status is 1 if a contender failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        default=10,
        help="how often each contender is asked in each mode; at least 5 for figures that count",
    )
    choices = [group.provider.lower() for group in GROUPS] + ["imports", "startup", "cold", "lambda"]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=choices,
        default=choices,
        help="only these parts (all of them by default)",
    )
    parser.add_argument(
        "--publish", action="store_true", help="also write the figures into benchmarks/README.md"
    )
    options = parser.parse_args()
    failures: list[str] = []
    results: dict[str, dict[Kind, list[dict[str, Figures]]]] = {}
    with loopback_server() as server:
        for group in GROUPS:
            if group.provider.lower() in options.only:
                results[group.provider] = compete(group, options.rounds, server, say=say, failures=failures)
    startup, startup_tables = Startup(), list[str]()
    if "imports" in options.only:
        say("imports")
        startup_tables += measure_imports(
            startup, min(options.rounds, START_ROUNDS), ours=OURS, peers=PEERS, litellm=LITELLM
        )
    if "startup" in options.only:
        say("start and memory")
        startup_tables += measure_startup(startup, min(options.rounds, START_ROUNDS), ours=OURS)
    cold: dict[str, ColdStarts] = {}
    if "cold" in options.only:
        with loopback_server() as server:
            cold = measure_cold_starts(server, options.rounds, say=say)
        startup_tables += cold_start_tables(cold)
    invokes: dict[str, Invokes] = {}
    if "lambda" in options.only:
        invokes = measure_invokes(options.rounds, say=say)
        startup_tables += invoke_tables(invokes)
    minutes = (time.monotonic() - STARTED) / 60
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, loopback, "
        f"medians of {options.rounds} interleaved round{'s' if options.rounds > 1 else ''}, "
        f"{minutes:.0f} minutes.",
        "",
        *goals(results, startup, cold, invokes),
        *tables(results),
        *startup_tables,
    ]
    if failures:
        lines += ["### Failed", "", *(f"- {failure}" for failure in failures), ""]
    text = "\n".join(lines)
    print(text)
    target = ROOT / "build" / "bench.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    say(f"written to {target.relative_to(ROOT)}")
    if options.publish:
        readme = ROOT / "benchmarks" / "README.md"
        readme.write_text(with_figures(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
