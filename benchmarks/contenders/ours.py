"""A run of Agent Launcher: checked, sent, priced and stored in SQLite, with its texts."""

import os
import tempfile
import time

from harness import THREADS, arguments, measure_threads

base_url, mode, calls = arguments()
os.environ["AGENT_LAUNCHER_DATA_DIR"] = tempfile.mkdtemp(prefix="bench-")
os.environ["AGENT_LAUNCHER_LOG_LEVEL"] = "WARNING"

from core.services.agent_config import AgentConfig  # noqa: E402
from core.services.application import Application  # noqa: E402
from core.services.principal import LOCAL  # noqa: E402
from core.services.runs import RunSpec  # noqa: E402
from core.settings import load_settings  # noqa: E402

application = Application.open(load_settings(), kind="bench")
config = AgentConfig(
    provider="OPENAI", model_name="gpt-4o-mini", system_prompt="You are brief.", base_url=base_url
)
spec = RunSpec(config=config, prompt="Tell me about foxes.", api_key="sk-bench")


def complete() -> None:
    outcome = application.runs.run(LOCAL, spec)
    assert outcome.stored and outcome.response.error is None and outcome.response.token_usage, outcome


def stream() -> float:
    started, first, pieces = time.perf_counter(), 0.0, 0

    def on_delta(text: str) -> None:
        nonlocal first, pieces
        first = first or time.perf_counter() - started
        pieces += 1

    outcome = application.runs.run(LOCAL, spec, on_delta=on_delta)
    assert outcome.stored and pieces >= 1 and len(outcome.response.response or "") > 2_000, outcome
    return first


threads = THREADS if mode.endswith("32") else 1
measure_threads(stream if mode.startswith("stream") else complete, calls, threads=threads)
application.close()
