"""kill -9 in the middle of runs: after the next start nothing stays RUNNING, and nothing acknowledged is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest

from core.errors import ErrorCode
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.runs import RunSpec
from core.settings import load_settings
from core.storage.records import RunDetail, RunFilter, RunStatus
from core.storage.store import Store
from tests.support.app_server import AppServer

SETTLED_WITHIN_SECONDS = 30

VICTIM = """
import sys, time
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.runs import RunSpec
from core.settings import load_settings

application = Application.open(load_settings(), kind="test")
config = AgentConfig(provider="DEMO", model_name="demo-echo")
for number in range(3):
    done = application.runs.run(LOCAL, RunSpec(config=config, prompt=f"Done {number}"))
    assert done.stored
    print("done", done.run_id, flush=True)
slow = config.model_copy(update={"model_name": "demo-slow"})
prompt = "[[words=5000]] Never finished"
lives = application.runs.start_many(LOCAL, [RunSpec(config=slow, prompt=prompt) for _ in range(8)])
for live in lives:
    next(live.stream())
    print("under way", live.run_id, flush=True)
print("ready", flush=True)
time.sleep(600)
"""


FIFTY = 50
VICTIMS = """
import os, sys, time
from core.execution import local
from core.providers import demo
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.runs import RunSpec
from core.settings import load_settings

settings = load_settings()
config = AgentConfig(provider="DEMO", model_name="demo-echo")
slow = config.model_copy(update={"model_name": "demo-slow"})

def work():
    application = Application.open(settings, kind="test")
    done = application.runs.run(LOCAL, RunSpec(config=config, prompt="Done"))
    live = application.runs.start(LOCAL, RunSpec(config=slow, prompt="[[words=5000]] Never finished"))
    next(live.stream())
    line = f"{os.getpid()} {done.run_id if done.stored else None} {live.run_id}\\n"
    os.write(1, line.encode())  # at once and whole, among those of the others
    time.sleep(600)

for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        try:
            work()
        finally:
            os._exit(1)
time.sleep(600)
"""


pytestmark = pytest.mark.usefixtures("database")


def killed_in_the_middle(environment: Mapping[str, str] | None = None) -> tuple[list[UUID], list[UUID]]:
    """The runs that a process had finished, and those that it worked on when it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, text=True, env=environment
    )
    found: dict[str, list[UUID]] = {"done": [], "under way": []}
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
            kind, _, run_id = line.strip().rpartition(" ")
            found[kind].append(UUID(run_id))
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return found["done"], found["under way"]


def orphans(application: Application, run_ids: list[UUID]) -> list[UUID]:
    running = {run.id for run in application.runs.running(LOCAL)}
    return [run_id for run_id in run_ids if run_id in running]


def details(application: Application, run_ids: list[UUID]) -> list[RunDetail]:
    return [application.runs.get(LOCAL, run_id) for run_id in run_ids]


def test_nothing_stays_running_after_the_restart() -> None:
    done, under_way = killed_in_the_middle()
    assert (len(done), len(under_way)) == (3, 8)
    restarted = time.monotonic()
    application = Application.open(load_settings(), kind="test")
    try:
        application.housekeeping.start()
        # A run of this process, under way meanwhile, is none of the orphans.
        config = AgentConfig(provider="DEMO", model_name="demo-slow")
        own = application.runs.start(LOCAL, RunSpec(config=config, prompt="[[words=5000]] My own"))
        while left := orphans(application, under_way):
            waited = time.monotonic() - restarted
            assert waited < SETTLED_WITHIN_SECONDS, f"{len(left)} runs are RUNNING after {waited:.0f} s"
            time.sleep(0.25)
        for detail in details(application, under_way):
            assert detail.summary.status is RunStatus.OUTCOME_UNKNOWN
            assert detail.summary.error_code == ErrorCode.OUTCOME_UNKNOWN
            assert "process" in (detail.error_message or "")
            assert detail.request["prompt"] == "[[words=5000]] Never finished"
            assert [attempt.final for attempt in detail.attempts] == [True]
        for detail in details(application, done):
            assert detail.summary.status is RunStatus.SUCCEEDED
            assert (detail.response or "").startswith('You asked: "Done')
        assert orphans(application, [own.run_id]) == [own.run_id]
        application.runs.stop(LOCAL, own.run_id)
        outcome = own.wait(20)
        assert outcome is not None
        assert (outcome.status, outcome.stored) == (RunStatus.CANCELLED, True)
        application.housekeeping.round()
        assert figures_of_all(application) == {
            "runs": 12,
            "succeeded": 3,
            "cancelled": 1,
            "outcome_unknown": 8,
        }
    finally:
        application.close()


def test_of_fifty_killed_processes_nothing_stays_running_and_nothing_acknowledged_is_lost() -> None:
    """In real time, with the real heart-beats; `tests/store` kills at random moments, and moves the clock."""
    acknowledged = killed_in_the_middle_of_runs(FIFTY)
    assert len(acknowledged) == FIFTY
    restarted = time.monotonic()
    application = Application.open(load_settings(), kind="test")
    try:
        under_way = [running for _, running in acknowledged]
        assert len(orphans(application, under_way)) == FIFTY
        application.housekeeping.start()
        while left := orphans(application, under_way):
            waited = time.monotonic() - restarted
            assert waited < SETTLED_WITHIN_SECONDS, f"{len(left)} runs are RUNNING after {waited:.0f} s"
            time.sleep(0.25)
        for detail in details(application, under_way):
            assert detail.summary.status is RunStatus.OUTCOME_UNKNOWN
            assert "process" in (detail.error_message or "")
        for detail in details(application, [done for done, _ in acknowledged]):
            assert detail.summary.status is RunStatus.SUCCEEDED
            assert (detail.response or "").startswith('You asked: "Done')
        assert application.runs.running(LOCAL) == []
    finally:
        application.close()


def killed_in_the_middle_of_runs(count: int) -> list[tuple[UUID, UUID]]:
    """Of each process, a run that it had finished and the one that it worked on when it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIMS, str(count)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        try:
            lines = [parent.stdout.readline().split() for _ in range(count)]
            for pid, _, _ in lines:
                os.kill(int(pid), signal.SIGKILL)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)  # its own session: it, and what it forked
    return [(UUID(done), UUID(running)) for _, done, running in lines]


def test_the_server_settles_what_a_killed_process_left(make_server: Callable[..., AppServer]) -> None:
    server = make_server()
    done, under_way = killed_in_the_middle(server.environment)
    server.start()
    began = time.monotonic()
    store = Store.open(load_settings(server.environment).database_url)
    try:
        while left := store.runs.running(LOCAL.project_id):
            waited = time.monotonic() - began
            assert waited < SETTLED_WITHIN_SECONDS, f"{len(left)} runs are RUNNING\n{server.log}"
            time.sleep(0.25)
        for run_id in under_way:
            detail = store.runs.get(LOCAL.project_id, run_id)
            assert detail.summary.status is RunStatus.OUTCOME_UNKNOWN
            assert "process that worked on it ended" in (detail.error_message or "")
        for run_id in done:
            assert store.runs.summary(LOCAL.project_id, run_id).status is RunStatus.SUCCEEDED
    finally:
        store.close()
    assert server.stop() == 0


def figures_of_all(application: Application) -> dict[str, Any]:
    """What the overview counts, and a count of the runs themselves must agree with."""
    from core.services.usage import Period
    from core.storage.records import Dimension

    zone = application.preferences.get(LOCAL).zone
    figures = application.usage.overview(LOCAL, Period.DAYS_7, zone=zone).figures
    by_provider = application.usage.breakdown(
        LOCAL, application.usage.overview(LOCAL, Period.DAYS_7, zone=zone).span, by=Dimension.PROVIDER
    )
    assert [point.figures.runs for point in by_provider] == [figures.runs]
    assert application.runs.count(LOCAL, RunFilter()) == figures.runs
    assert application.store.describe()["not_folded"] == 0
    return {
        "runs": figures.runs,
        "succeeded": figures.succeeded,
        "cancelled": figures.cancelled,
        "outcome_unknown": figures.outcome_unknown,
    }
