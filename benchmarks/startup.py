"""Import times, and how long and how much memory a server takes until its first page."""

import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
IDLE_SECONDS = 10


def measure_imports(
    rounds: int, *, ours: Path, peers: Path, litellm: Path, only: str
) -> tuple[str, list[str]]:
    """A table of import times in fresh interpreters, that of the bare interpreter taken off."""
    title = "Imports"
    if only.lower() not in title.lower():
        return title, []
    rows = (
        ("core.invocation", ours, "import core.invocation"),
        ("the whole core, wired", ours, "import core.services.application"),
        ("openai", ours, "import openai"),
        ("streamlit", ours, "import streamlit"),
        ("pydantic-ai", peers, "import pydantic_ai"),
        ("litellm", litellm, "import litellm"),
    )
    times: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for _ in range(rounds):
        for name, python, statement in rows:
            times[name].append(_run_seconds(python, statement) - _run_seconds(python, "pass"))
    table = ["| import | ms |", "| --- | --- |"]
    return title, table + [
        f"| {name} | {statistics.median(values) * 1_000:.0f} |" for name, values in times.items()
    ]


def _run_seconds(python: Path, statement: str) -> float:
    started = time.perf_counter()
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    subprocess.run([str(python), "-c", statement], check=True, cwd=ROOT, capture_output=True, env=environment)
    return time.perf_counter() - started


def measure_startup(
    rounds: int, *, ours: Path, peers: Path, litellm: Path, only: str
) -> tuple[str, list[str]]:
    """A table of start to first page, and memory after a while of idleness, beside an empty Streamlit app."""
    del peers, litellm
    title = "Start and memory"
    if only.lower() not in title.lower():
        return title, []
    results: dict[str, list[tuple[float, float]]] = {"agent-launcher up": [], "an empty Streamlit app": []}
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text("import streamlit as st\nst.title('Empty')\n")
        for number in range(rounds):
            port = _free_port()
            data = Path(folder) / f"data-{number}"
            command = [str(ours.parent / "agent-launcher"), "up", "--port", str(port)]
            results["agent-launcher up"].append(_start(command, port, {"AGENT_LAUNCHER_DATA_DIR": str(data)}))
            port = _free_port()
            command = [
                str(ours),
                "-m",
                "streamlit",
                "run",
                str(empty),
                "--server.port",
                str(port),
                "--server.headless",
                "true",
            ]
            results["an empty Streamlit app"].append(_start(command, port, {}))
    table = ["| | start to first page, s | idle RSS, MiB |", "| --- | --- | --- |"]
    for name, pairs in results.items():
        seconds = statistics.median(first for first, _ in pairs)
        memory = statistics.median(rss for _, rss in pairs)
        table.append(f"| {name} | {seconds:.2f} | {memory:.0f} |")
    return title, table


def _start(command: list[str], port: int, variables: dict[str, str]) -> tuple[float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (_answers(port, "/_stcore/health") and _answers(port, "/")):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        time.sleep(IDLE_SECONDS)
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        return seconds, sum(member.memory_info().rss for member in tree) / 1024**2
    finally:
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
