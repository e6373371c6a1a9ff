"""Import times, and how long and how much memory a server takes until its first page."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parents[1]
SETTLE_SECONDS: Final = 5
"""For what a server loads while nobody waits."""
IDLE_SECONDS: Final = 8
OURS: Final = "agent-launcher up"
OURS_WITH_KEYS: Final = "agent-launcher up, with a key for every vendor in the environment"
EMPTY: Final = "an empty Streamlit app"
KEYS: Final = {
    "OPENAI_API_KEY": "sk-bench",
    "ANTHROPIC_API_KEY": "sk-bench",
    "GEMINI_API_KEY": "sk-bench",
    "OLLAMA_API_KEY": "sk-bench",
    "AWS_BEARER_TOKEN_BEDROCK": "sk-bench",
}


@dataclass
class Startup:
    """What the goals ask for; None until it is measured."""

    import_ms: float | None = None
    sdks_loaded: float | None = None
    first_page_s: float | None = None
    idle_mib: float | None = None


SDKS: Final = ("openai", "anthropic", "google.genai", "ollama", "boto3", "botocore")


def measure_imports(startup: Startup, rounds: int, *, ours: Path, peers: Path, litellm: Path) -> list[str]:
    """A table of import times in fresh interpreters, that of the bare interpreter taken off."""
    rows = (
        ("core.invocation", ours, "import core.invocation"),
        ("the whole core, wired", ours, "import core.services.application"),
        ("boto3", ours, "import boto3"),
        ("ollama", ours, "import ollama"),
        ("google-genai", ours, "import google.genai"),
        ("openai", ours, "import openai"),
        ("anthropic", ours, "import anthropic"),
        ("streamlit", ours, "import streamlit"),
        ("pydantic-ai", peers, "import pydantic_ai"),
        ("litellm", litellm, "import litellm"),
    )
    times: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for _ in range(rounds):
        for name, python, statement in rows:
            times[name].append(_run_seconds(python, statement) - _run_seconds(python, "pass"))
    medians = {name: statistics.median(values) * 1_000 for name, values in times.items()}
    loaded = _sdks_after(ours, "import core.invocation")
    startup.import_ms, startup.sdks_loaded = medians["core.invocation"], len(loaded)
    return [
        "### Imports",
        "",
        "| import | ms |",
        "| --- | ---: |",
        *(f"| {name} | {value:.0f} |" for name, value in medians.items()),
        "",
        f"Vendors' SDKs loaded by `import core.invocation`: {', '.join(loaded) or 'none'}.",
        "",
    ]


def _sdks_after(python: Path, statement: str) -> list[str]:
    program = f"import sys; {statement}; print(*[name for name in {SDKS!r} if name in sys.modules])"
    done = subprocess.run([str(python), "-c", program], check=True, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.split()


def _run_seconds(python: Path, statement: str) -> float:
    started = time.perf_counter()
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    subprocess.run([str(python), "-c", statement], check=True, cwd=ROOT, capture_output=True, env=environment)
    return time.perf_counter() - started


def measure_startup(startup: Startup, rounds: int, *, ours: Path) -> list[str]:
    """A table of start to first page, then memory and CPU in idleness, beside an empty Streamlit app."""
    results: dict[str, list[_Server]] = {OURS: [], OURS_WITH_KEYS: [], EMPTY: []}
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text("import streamlit as st\nst.title('Empty')\n")
        for number in range(rounds):
            # One after the other as far as the first page; idle, they do not disturb one another.
            started = {
                OURS: _start_ours(ours, Path(folder) / f"data-{number}", {}),
                OURS_WITH_KEYS: _start_ours(ours, Path(folder) / f"keys-{number}", KEYS),
                EMPTY: _start_streamlit(ours, empty),
            }
            time.sleep(SETTLE_SECONDS)
            for server in started.values():
                server.rest()
            time.sleep(IDLE_SECONDS)
            for name, server in started.items():
                server.stop()
                results[name].append(server)
    table = [
        "| | start to first page, s | idle RSS, MiB | idle CPU, % of a core |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, servers in results.items():
        figures = [statistics.median(values) for values in zip(*(s.figures for s in servers), strict=True)]
        table.append(f"| {name} | {figures[0]:.2f} | {figures[1]:.0f} | {figures[2]:.1f} |")
        if name == OURS:
            startup.first_page_s, startup.idle_mib = figures[0], figures[1]
    return ["### Start and memory", "", *table, ""]


@dataclass
class _Server:
    """A server that runs, and what was measured of it."""

    process: subprocess.Popen[bytes]
    first_page_s: float
    cpu_s: float = 0.0
    rested_at: float = 0.0
    figures: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def rest(self) -> None:
        """From here on its CPU time counts as idle."""
        self.cpu_s, self.rested_at = _cpu_and_rss(self.process)[0], time.perf_counter()

    def stop(self) -> None:
        """Measures and stops it."""
        cpu, rss = _cpu_and_rss(self.process)
        share = (cpu - self.cpu_s) / (time.perf_counter() - self.rested_at)
        self.figures = (self.first_page_s, rss / 1024**2, share * 100)
        _kill(self.process)


def _start_ours(ours: Path, data: Path, keys: Mapping[str, str]) -> _Server:
    port = _free_port()
    command = [str(ours.parent / "agent-launcher"), "up", "--port", str(port)]
    return _start(command, port, {"AGENT_LAUNCHER_DATA_DIR": str(data), **keys})


def _start_streamlit(ours: Path, script: Path) -> _Server:
    port = _free_port()
    options = ["--server.port", str(port), "--server.headless", "true"]
    return _start([str(ours), "-m", "streamlit", "run", str(script), *options], port, {})


@contextmanager
def running_server(variables: Mapping[str, str]) -> Generator[str]:
    """The address of a dashboard with these environment variables, as long as the block."""
    port = _free_port()
    command = [str(Path(sys.executable).parent / "agent-launcher"), "up", "--port", str(port)]
    server = _start(command, port, dict(variables))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        _kill(server.process)


def _start(command: list[str], port: int, variables: dict[str, str]) -> _Server:
    started = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name not in KEYS}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (_answers(port, "/_stcore/health") and _answers(port, "/")):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.02)
    except BaseException:
        _kill(process)
        raise
    return _Server(process, time.perf_counter() - started)


def _cpu_and_rss(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """CPU seconds so far and bytes of memory, of a process and those it started."""
    parent = psutil.Process(process.pid)
    tree = [parent, *parent.children(recursive=True)]
    times = [member.cpu_times() for member in tree]
    return sum(t.user + t.system for t in times), sum(member.memory_info().rss for member in tree)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=20)


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
