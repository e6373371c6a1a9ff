"""Runs through the real Runtime Interface Emulator with the deployed handler, which is killed."""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace

import pytest

from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.live_runs import RunOutcome
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import AttemptReason, Backend, RunFilter, RunStatus
from tests.support.lambda_emulator import LambdaEmulator
from tests.support.stored_runs import opened_application

DEMO = AgentConfig(provider="DEMO", model_name="demo-echo")


@pytest.fixture
def emulator(
    make_lambda_emulator: Callable[..., LambdaEmulator], monkeypatch: pytest.MonkeyPatch
) -> LambdaEmulator:
    """One that runs, and the settings that lead to it."""
    emulator = make_lambda_emulator()
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", "true")
    for name, value in emulator.settings.items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture
def application(emulator: LambdaEmulator) -> Generator[Application]:
    with opened_application() as application:
        yield application


def killed_in_the_middle(application: Application, emulator: LambdaEmulator, spec: RunSpec) -> RunOutcome:
    live = application.runs.start(LOCAL, replace(spec, prompt="[[delay=6]] Hello"))
    deadline = time.monotonic() + 20
    while not live.begun and time.monotonic() < deadline:
        time.sleep(0.01)
    killer = threading.Timer(2.0, emulator.kill)
    killer.start()
    outcome = live.wait(60)
    killer.join()
    assert outcome is not None
    return outcome


@pytest.mark.slow
def test_killed_before_a_call_the_run_is_done_here_and_killed_in_the_middle_nobody_knows(
    application: Application, emulator: LambdaEmulator
) -> None:
    spec = RunSpec(config=DEMO, prompt="Hello")
    there = application.runs.run(LOCAL, spec)
    assert (there.status, there.records[-1].backend) == (RunStatus.SUCCEEDED, Backend.LAMBDA)
    assert there.cost_nanousd is None, "the emulator reports nothing"

    emulator.kill()
    fell_back = application.runs.run(LOCAL, spec)
    assert (fell_back.status, fell_back.fell_back_from) == (RunStatus.SUCCEEDED, Backend.LAMBDA)
    assert [record.backend for record in fell_back.records] == [Backend.LAMBDA, Backend.LOCAL]
    assert fell_back.records[0].error_code == "LAMBDA_UNREACHABLE"
    assert fell_back.cost_nanousd == 0, "refused, it cost a known nothing, and the demo costs nothing"
    assert application.runs.count(LOCAL, RunFilter(statuses=(RunStatus.SUCCEEDED,))) == 2

    emulator.start()
    lost = killed_in_the_middle(application, emulator, spec)
    assert (lost.status, lost.attempts, lost.cost_nanousd) == (RunStatus.OUTCOME_UNKNOWN, 1, None)

    emulator.start()
    again = RunSpec(config=DEMO.model_copy(update={"retry_on_unknown": True}))
    asked = replace(again, config=again.config.model_copy(update={"timeout_seconds": 60.0}))
    twice = killed_in_the_middle(application, emulator, asked)
    assert twice.status is RunStatus.SUCCEEDED
    assert [(record.backend, record.reason) for record in twice.records] == [
        (Backend.LAMBDA, None),
        (Backend.LOCAL, AttemptReason.UNKNOWN),
    ]
    assert application.runs.count(LOCAL, RunFilter()) == 4
