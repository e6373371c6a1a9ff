"""An invocation of AWS Lambda by `LambdaExecutor`, beside a bare boto3 `invoke`: sequential, and 64 at a time.

Sequential on the real runtime emulator (which works on one call at a time), and both on a stand-in for the service, in
processes of their own. The bare client is set up as one has to for Lambda: no retries, 64 connections, TCP keep-alive;
it reads the answer as JSON. Both sign their requests. What ours does beside: it makes the request of a validated
object, reads the answer into one, and reads, redacts and keeps the REPORT line.

Run as a program (`python -m benchmarks.lambda_invoke ours URL FUNCTION`), it is one of the two contenders.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from benchmarks.children import child_environment
from benchmarks.plan import ROOT

AT_ONCE: Final = 64
GOAL: Final = 1.25
_EVENT: Final = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello", "timeout_seconds": 60}

Who = Literal["ours", "bare"]


@dataclass(frozen=True, slots=True)
class Mode:
    """How the function is called.

    Attributes:
        calls: In a round, for each contender.
    """

    title: str
    place: Literal["emulator", "stand-in"]
    at_once: int
    calls: int


MODES: Final = (
    Mode("one after another, runtime emulator", "emulator", 1, 60),
    Mode("one after another, stand-in", "stand-in", 1, 150),
    Mode(f"{AT_ONCE} at a time, stand-in", "stand-in", AT_ONCE, 640),
)


@dataclass
class Invokes:
    """What was measured of one mode: seconds a call, round by round."""

    seconds: dict[Who, list[float]] = field(default_factory=dict[Who, list[float]])

    def ratio(self) -> float | None:
        """Of ours to the bare one, each round by itself; the median."""
        pairs = [
            ours / bare
            for ours, bare in zip(self.seconds.get("ours", []), self.seconds.get("bare", []), strict=True)
        ]
        return statistics.median(pairs) if pairs else None


class _Contender:
    def __init__(self, who: Who, url: str, function: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lambda_invoke", who, url, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=child_environment(),
        )

    def measure(self, mode: Mode) -> float:
        """Seconds a call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{mode.at_once} {mode.calls}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Lets it end."""
        with self._process:  # which closes its standard input, and waits for it
            pass


@contextmanager
def _stand_in() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.lambda_service", "--quick"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


@contextmanager
def _emulator() -> Iterator[str | None]:
    """Its address; None where it is not installed."""
    from tests.support.lambda_emulator import LambdaEmulator, find_emulator

    program = find_emulator()
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        emulator = LambdaEmulator(program, Path(folder)).start()
        try:
            yield emulator.url
        finally:
            emulator.kill()


def measure_invokes(rounds: int, *, say: Callable[[str], None]) -> dict[str, Invokes]:
    """Both contenders in turn, in an order that changes; the first round warms up and does not count."""
    found: dict[str, Invokes] = {}
    with ExitStack() as stack:
        urls = {"stand-in": stack.enter_context(_stand_in()), "emulator": stack.enter_context(_emulator())}
        for place, url in urls.items():
            if url is None:
                say("the runtime emulator is not there: .ci/setup lambda-tools installs it")
                continue
            with ExitStack() as contenders:
                both: dict[Who, _Contender] = {}
                for who in ("ours", "bare"):
                    both[who] = _Contender(who, url, "function")
                    contenders.callback(both[who].close)
                for mode in (mode for mode in MODES if mode.place == place):
                    measured = found[mode.title] = Invokes()
                    for number in range(rounds + 1):
                        for who in list(both) if number % 2 else list(reversed(both)):
                            seconds = both[who].measure(mode)
                            if number:
                                measured.seconds.setdefault(who, []).append(seconds)
                    say(f"Lambda: {mode.title}")
    return found


def invoke_tables(found: Mapping[str, Invokes]) -> list[str]:
    """The figures as Markdown."""
    rows: list[str] = []
    for title, measured in found.items():
        ours, bare = (statistics.median(measured.seconds[who]) * 1e3 for who in ("ours", "bare"))
        rows.append(f"| {title} | {bare:,.2f} | {ours:,.2f} | {measured.ratio():.2f} |")
    head = ["| | boto3, ms a call | ours | of boto3 |", "| --- | ---: | ---: | ---: |"]
    return ["### Invoking the function", "", *head, *rows, ""]


def _call_of(who: Who, url: str, function: str) -> Callable[[object], None]:
    if who == "ours":
        from core.contract import AgentRequest
        from core.execution.aws_lambda import LambdaExecutor, LambdaTarget

        target = LambdaTarget(
            function=function, region="us-east-1", endpoint_url=url, max_concurrency=AT_ONCE
        )
        executor, request = LambdaExecutor(target), AgentRequest.model_validate(_EVENT)

        def ours(_: object) -> None:
            response = executor.invoke(request).response
            assert response.error is None, response.error

        return ours
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=AT_ONCE,
        tcp_keepalive=True,
        read_timeout=120,
    )
    client = boto3.client("lambda", region_name="us-east-1", endpoint_url=url, config=config)

    def bare(_: object) -> None:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(_EVENT), LogType="Tail")
        assert "error" not in json.loads(answer["Payload"].read())

    return bare


def _contend(who: Who, url: str, function: str) -> None:
    call = _call_of(who, url, function)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin:
            at_once, calls = map(int, line.split())
            spread = map if at_once == 1 else pool.map
            began = time.perf_counter()
            for _ in spread(call, range(calls)):
                pass
            print((time.perf_counter() - began) / calls, flush=True)


if __name__ == "__main__":
    _contend("ours" if sys.argv[1] == "ours" else "bare", *sys.argv[2:4])
