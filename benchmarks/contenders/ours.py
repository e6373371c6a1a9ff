"""A run of Agent Launcher: checked, sent, priced and stored in SQLite, with its texts."""

import os
import sys
import tempfile
import time
from dataclasses import replace

from harness import PROMPT, contend, model, server

folder = tempfile.TemporaryDirectory(prefix="bench-")
os.environ["AGENT_LAUNCHER_DATA_DIR"] = folder.name
os.environ["AGENT_LAUNCHER_LOG_LEVEL"] = "WARNING"

from core.services.agent_config import AgentConfig  # noqa: E402
from core.services.application import Application  # noqa: E402
from core.services.principal import LOCAL  # noqa: E402
from core.services.runs import RunSpec  # noqa: E402
from core.settings import load_settings  # noqa: E402

provider = sys.argv[2]
application = Application.open(load_settings(), kind="bench")
config = AgentConfig(
    provider=provider,
    model_name=model(),
    system_prompt="You are brief.",
    base_url=f"{server()}/v1" if provider == "OPENAI" else server(),
)
# Bedrock without a key: its requests are signed, as the raw SDK's are.
fixed = RunSpec(
    config=config,
    prompt=PROMPT,
    api_key="sk-bench" if provider in ("OPENAI", "ANTHROPIC", "GEMINI") else None,
)


def complete(prompt: str) -> None:
    outcome = application.runs.run(LOCAL, replace(fixed, prompt=prompt))
    assert outcome.stored and outcome.response.error is None and outcome.response.token_usage, outcome


def stream(prompt: str) -> float:
    started, first, pieces = time.perf_counter(), 0.0, 0

    def on_delta(text: str) -> None:
        nonlocal first, pieces
        first = first or time.perf_counter() - started
        pieces += 1

    outcome = application.runs.run(LOCAL, replace(fixed, prompt=prompt), on_delta=on_delta)
    assert outcome.stored and outcome.response.error is None and outcome.response.token_usage, outcome
    assert pieces >= 1 and len(outcome.response.response or "") > 2_000, outcome
    return first


contend(complete=complete, stream=stream)
application.close()
folder.cleanup()
