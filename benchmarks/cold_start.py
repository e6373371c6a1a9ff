"""The function's cold start: from the start of a process to its first answer, beside a bare handler with one SDK.

Both start from the staged package, compiled for this interpreter, with boto3 beside it as in Lambda's runtime and
nothing else on their path. Only the handler that imports everything has the peers' environment, for pydantic-ai.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.children import child_environment
from benchmarks.contenders.harness import MODELS
from benchmarks.plan import PEERS, ROOT
from lambda_handler.scripts.bytecode import compile_folder
from lambda_handler.scripts.staging import Target, stage

_FOLDER: Final = ROOT / "benchmarks" / "cold"
_BUILD: Final = ROOT / "build" / "cold-start"
_RUNTIMES_OWN: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


@dataclass
class ColdStarts:
    """What was measured of one provider, round by round; `everything` is a handler that imports all SDKs.

    Attributes:
        memory_mib: The most that each held, the median over the rounds.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    memory_mib: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, seconds: float, mib: float) -> None:
        """A round of one contender."""
        self.seconds.setdefault(name, []).append(seconds)
        self.memory_mib.setdefault(name, []).append(mib)

    def ratio(self, beside: str) -> float | None:
        """Of ours to another, each round by itself; the median."""
        ours, other = self.seconds.get("ours", []), self.seconds.get(beside, [])
        pairs = [one / two for one, two in zip(ours, other, strict=False)]
        return statistics.median(pairs) if pairs else None


def measure_cold_starts(server: str, rounds: int, *, say: Callable[[str], None]) -> dict[str, ColdStarts]:
    """Each provider's contenders in turn, in fresh interpreters; the first round warms the disk and does not count."""
    task, runtime = _staged()
    found = {provider: ColdStarts() for provider in MODELS}
    alone = [sys.executable, "-S"]
    for number in range(rounds + 1):
        for provider, measured in found.items():
            contenders = {
                "ours": (alone, "lambda_handler.handler", [task, runtime]),
                "bare": (alone, f"bare_{provider.lower()}", [_FOLDER, task, runtime]),
            }
            if provider == "OPENAI":
                contenders["everything"] = ([str(PEERS)], "everything", [_FOLDER])
            for name, contender in contenders.items():
                seconds, mib = _start(*contender, _event(provider, server))
                if number:
                    measured.add(name, seconds, mib)
        say(f"cold starts, round {number} of {rounds}")
    return found


def cold_start_tables(found: dict[str, ColdStarts]) -> list[str]:
    """The figures as Markdown."""
    rows: list[str] = []
    for provider, measured in found.items():
        for name, label in (
            ("bare", "bare handler"),
            ("ours", "ours"),
            ("everything", "all SDKs at the top"),
        ):
            if name in measured.seconds:
                milliseconds = statistics.median(measured.seconds[name]) * 1e3
                memory = statistics.median(measured.memory_mib[name])
                rows.append(f"| {provider}: {label} | {milliseconds:,.0f} | {memory:,.0f} |")
    return ["### The function's cold start", "", "| | ms | MiB |", "| --- | ---: | ---: |", *rows, ""]


def _event(provider: str, server: str) -> str:
    event = {
        "provider": provider,
        "model_name": MODELS[provider],
        "system_prompt": "You are brief.",
        "prompt": "Tell me about foxes, in two words.",  # ours asks for a stream, a bare handler does not
        "base_url": f"{server}/v1" if provider == "OPENAI" else server,
    }
    if provider in ("OPENAI", "ANTHROPIC", "GEMINI"):
        event["api_key"] = "sk-bench"
    return json.dumps(event)


def _staged() -> tuple[Path, Path]:
    """The package as it stands in Lambda's /var/task, and what Lambda's runtime has of its own."""
    task, runtime = _BUILD / "task", _BUILD / "runtime"
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    stage(Target(architecture=architecture, python=python), task, uv=_uv())
    if not compile_folder(task, sys.executable):
        raise SystemExit("The staged package could not be compiled.")
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir(parents=True)
    for name in _RUNTIMES_OWN:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None, name
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (runtime / source.name).symlink_to(source)
    return task, runtime


def _uv() -> str:
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    return str(own) if own.exists() else "uv"


def _start(python: Sequence[str], module: str, path: Sequence[Path], event: str) -> tuple[float, float]:
    environment = child_environment(
        PYTHONPATH=os.pathsep.join(map(str, path)),
        PYTHONDONTWRITEBYTECODE="1",
        AGENT_LAUNCHER_ALLOW_LOOPBACK="1",
        AWS_LAMBDA_RUNTIME_API="127.0.0.1:9001",  # a handler may look at whether Lambda's runtime imports it
    )
    command = [*python, str(_FOLDER / "start.py"), module, event]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=_BUILD, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{module} did not answer:\n{done.stderr[-3_000:]}")
    return seconds, int(done.stdout.splitlines()[-1]) / 1024
