"""`make bench`: ours beside its peers, interleaved in one run, medians over the rounds, as ratios.

A round runs every contender of a provider once, in a process of its own that makes all its calls, in an order that
turns with each round. The tables go to the terminal and to build/bench.md; benchmarks/README.md says what they mean.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from benchmarks.plan import GROUPS, LITELLM, OURS, PEERS, ROOT, Contender, Group, Kind
from benchmarks.report import Figures, goals, tables
from benchmarks.startup import Startup, measure_imports, measure_startup

CONTENDER_SECONDS: Final = 300
STARTED: Final = time.monotonic()


class ContenderFailed(Exception):
    """A contender's process ended badly."""


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


def run_once(contender: Contender, group: Group, server: str) -> dict[str, Figures]:
    """One process of one contender.

    Raises:
        ContenderFailed: With the end of what it said.
    """
    kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT"}
    environment = {key: value for key, value in os.environ.items() if key in kept}
    environment |= {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONHASHSEED": "0",
        # Bedrock's requests are signed, by everybody, with the keys of AWS's own examples.
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    script = str(ROOT / "benchmarks" / "contenders" / contender.script)
    try:
        done = subprocess.run(
            [str(contender.python), script, server, contender.plan, group.provider],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            check=False,
            timeout=CONTENDER_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise ContenderFailed(f"took longer than {CONTENDER_SECONDS} s") from exc
    if done.returncode != 0:
        raise ContenderFailed(done.stderr[-3_000:])
    return json.loads(done.stdout.splitlines()[-1])


def compare(
    group: Group, rounds: int, server: str, failures: list[str]
) -> dict[Kind, list[dict[str, Figures]]]:
    """Measures a provider's contenders; one that fails is told of and left out of the medians."""
    results: dict[Kind, list[dict[str, Figures]]] = {contender.kind: [] for contender in group.contenders}
    for number in range(rounds):
        order = list(group.contenders)
        random.Random(number).shuffle(order)
        for contender in order:
            name = f"{group.label}, round {number + 1} of {rounds}: {contender.name}"
            started = time.monotonic()
            try:
                results[contender.kind].append(run_once(contender, group, server))
            except ContenderFailed as exc:
                failures.append(name)
                say(f"{name} failed:\n{exc}")
            else:
                say(f"{name}, {time.monotonic() - started:.1f} s")
    return results


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
        default=5,
        help="how often each contender runs; at least 5 for figures that count",
    )
    choices = [group.provider.lower() for group in GROUPS] + ["imports", "startup"]
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
                results[group.provider] = compare(group, options.rounds, server, failures)
    startup, startup_tables = Startup(), list[str]()
    if "imports" in options.only:
        say("imports")
        startup_tables += measure_imports(startup, options.rounds, ours=OURS, peers=PEERS, litellm=LITELLM)
    if "startup" in options.only:
        say("start and memory")
        startup_tables += measure_startup(startup, options.rounds, ours=OURS)
    minutes = (time.monotonic() - STARTED) / 60
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, loopback, "
        f"medians of {options.rounds} interleaved round{'s' if options.rounds > 1 else ''}, "
        f"{minutes:.0f} minutes.",
        "",
        *goals(results, startup),
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
