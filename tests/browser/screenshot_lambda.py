"""An installation that runs on the tests' stand-in for AWS Lambda, for the pictures."""

import json
import random
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.contract import utc_now
from core.errors import ErrorCode
from core.execution.choice import BackendChoice
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import RunStatus
from dashboard import state
from tests.support.app_server import AppServer
from tests.support.lambda_app import application_on_lambda, lambda_environment
from tests.support.lambda_service import Act, LambdaService
from tests.support.lambda_settings import FUNCTION
from tests.support.moto_server import client, moto_server
from tests.support.stored_runs import executed_on_lambda, store_run

_REQUEST = "8f5a7c1e-0d2b-4c3a-9e8f-1a2b3c4d5e6f"


@contextmanager
def installation_on_lambda(folder: Path) -> Generator[tuple[AppServer, Sequence[tuple[str, str]]]]:
    """The installation, not started yet, and what can be seen of it."""
    with LambdaService() as service, moto_server() as logs_url, pytest.MonkeyPatch.context() as patch:
        environment = {**lambda_environment(service), "AWS_ENDPOINT_URL_LOGS": logs_url}
        for name, value in environment.items():
            patch.setenv(name, value)
        server = AppServer(folder, environment=environment)
        server.data_dir.mkdir(parents=True)
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        with application_on_lambda(service) as application:
            _month(application)
            there = _run(application, backend=None)
            service.will(Act.time_out(runs=False))
            fell_back = _run(application, backend=None)
            service.will(Act.reset(runs=True))
            unknown = _run(application, backend=BackendChoice.LAMBDA)
        _write_log(logs_url, there)
        service.otherwise = Act.time_out(runs=False)
        section = f"/settings?{state.SETTINGS_SECTION}=AWS+Lambda"
        yield (
            server,
            (
                ("settings-lambda", section),
                ("overview", "/"),
                ("playground", "/playground"),
                ("run-lambda", f"/run?{state.RUN_ID}={there}"),
                ("run-fell-back", f"/run?{state.RUN_ID}={fell_back}"),
                ("run-unknown", f"/run?{state.RUN_ID}={unknown}"),
                ("usage-lambda", f"/usage?{state.USAGE_VIEW}=AWS+Lambda"),
                ("logs", "/logs"),
                ("logs-live", f"/logs?{state.LOGS_LIVE}=true&{state.LOGS_LEVEL}=WARNING"),
                ("logs-local", f"/logs?{state.LOGS_ORIGIN}=This+installation&{state.LOGS_BACK}=7+days"),
            ),
        )


def open_breaker(page: Page, server: AppServer) -> None:
    """Runs there until the server's breaker opens."""
    page.goto(f"{server.url}/settings?{state.SETTINGS_SECTION}=AWS+Lambda")
    for _ in range(3):
        page.get_by_role("button", name="Test", exact=True).click()
        expect(page.get_by_text("LAMBDA_TIMEOUT").first).to_be_visible()
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        time.sleep(0.5)


def _month(application: Application) -> None:
    """Runs of three agents on Lambda and here."""
    chance, now = random.Random(4), utc_now()
    for name, model, weight in (
        ("Support triage", "gpt-5.4-mini", 90),
        ("Contract review", "gpt-5.4", 50),
        ("Nightly digest", "gpt-4.1-nano", 30),
    ):
        config = AgentConfig(provider="OPENAI", model_name=model, prompt="Say hello.")
        agent = application.agents.create(LOCAL, name=name, config=config)
        for _ in range(weight):
            seconds = chance.lognormvariate(0.2, 0.4)
            at = now - timedelta(hours=chance.uniform(0.1, 150))
            cost = round(seconds * 1_300_000)
            fields: dict[str, Any]
            if chance.random() < 0.3:
                fields = {"model_time_us": round(seconds * 0.97e6)}
            else:
                cold = chance.random() < 0.08
                fields = executed_on_lambda(
                    billed_ms=round(seconds * 1_030), cold=cold, max_memory_mb=chance.randint(118, 171)
                ) | {"model_time_us": round(seconds * 0.95e6)}
                seconds += (0.7 if cold else 0.02) + 0.06
            failed = chance.random() < 0.03
            store_run(
                application,
                at=at,
                model=model,
                agent=agent,
                seconds=seconds,
                cost_nanousd=0 if failed else cost,
                status=RunStatus.FAILED if failed else RunStatus.SUCCEEDED,
                error=ErrorCode.RATE_LIMITED if failed else None,
                **fields,
            )


def _run(application: Application, *, backend: BackendChoice | None) -> str:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo", system_prompt="Answer in one paragraph."),
        prompt="Explain to a new colleague what a fall-back is, and when it may cost twice.",
        backend=backend,
    )
    return str(application.runs.run(LOCAL, spec).run_id)


def _write_log(url: str, run_id: str) -> None:
    group = f"/aws/lambda/{FUNCTION}"
    aws, now = client("logs", url), int(time.time() * 1_000)
    aws.create_log_group(logGroupName=group)
    aws.create_log_stream(logGroupName=group, logStreamName="s")
    ours = {"logger": "agent_launcher.function", "request_id": _REQUEST, "run_id": run_id}
    lines: list[str] = [
        f"START RequestId: {_REQUEST} Version: $LATEST",
        json.dumps(
            {"level": "INFO", "event": "began", "provider": "OPENAI", "agent": "Support triage", **ours}
        ),
        json.dumps({"level": "WARNING", "event": "the provider answers slowly", "seconds": 4.2, **ours}),
        json.dumps({"level": "INFO", "event": "finished", "duration_ms": 4812, "output_tokens": 212, **ours}),
        f"END RequestId: {_REQUEST}",
        f"REPORT RequestId: {_REQUEST}\tDuration: 4812.04 ms\tBilled Duration: 4813 ms\tMemory Size: 512 MB\t"
        "Max Memory Used: 131 MB",
        "00000000-0000-4000-8000-000000000000 Task timed out after 60.00 seconds",
    ]
    events = [{"timestamp": now - 60_000 + 700 * n, "message": line} for n, line in enumerate(lines)]
    aws.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    aws.close()
