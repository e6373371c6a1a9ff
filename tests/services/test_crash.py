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
import os, random, signal, sys, threading, time
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.runs import RunSpec
from core.settings import load_settings

settings = load_settings()
config = AgentConfig(provider="DEMO", model_name="demo-echo")
slow = config.model_copy(update={"model_name": "demo-slow"})
rng = random.Random(7)

# What is imported at the first run is imported here once, and not by each victim.
os.nice(10)  # for the tests beside this one
first = Application.open(settings, kind="test")
first.runs.run(LOCAL, RunSpec(config=config, prompt="First"), store=False)
first.close()
assert threading.active_count() == 1

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # at once and whole, though it be the last thing

def ask(application):
    live = application.runs.start(LOCAL, RunSpec(config=config, prompt="Quick"))
    say("asked", live.run_id)
    if live.wait(60).stored:
        say("done", live.run_id)

def ask_for_ever(application):
    while True:
        ask(application)

def work(ready):
    application = Application.open(settings, kind="test")
    live = application.runs.start(LOCAL, RunSpec(config=slow, prompt="[[delay=0]] [[words=5000]] Never"))
    next(live.stream())
    say("under way", live.run_id)
    ask(application)
    for _ in range(2):
        threading.Thread(target=ask_for_ever, args=[application], daemon=True).start()
    os.write(ready, b".")
    time.sleep(600)

for _ in range(int(sys.argv[1])):
    reading, ready = os.pipe()
    victim = os.fork()
    if victim == 0:
        try:
            work(ready)
        finally:
            os._exit(1)
    os.close(ready)
    if os.read(reading, 1) != b".":
        sys.exit("a victim ended by itself")
    time.sleep(rng.random() * 0.1)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    os.close(reading)
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
    """Each at a moment of its own: while it begins runs and ends runs, and has one that it never ends.

    In real time, with the real heart-beats; `tests/store` moves the clock.
    """
    said = killed_in_the_middle_of_runs(FIFTY)
    restarted = time.monotonic()
    under_way, asked, done = said["under way"], said["asked"], said["done"]
    assert len(under_way) == FIFTY
    assert len(done) >= FIFTY
    application = Application.open(load_settings(), kind="test")
    try:
        assert orphans(application, under_way) != []
        application.housekeeping.start()
        while left := application.runs.running(LOCAL):
            waited = time.monotonic() - restarted
            assert waited < SETTLED_WITHIN_SECONDS, f"{len(left)} runs are RUNNING after {waited:.0f} s"
            time.sleep(0.25)
        # What was said to have ended has ended as was said; of the others the outcome may have been stored unsaid.
        said_nothing_of = [run_id for run_id in asked if run_id not in set(done)]
        found = details(application, under_way)
        found += [
            detail
            for detail in details(application, said_nothing_of)
            if detail.summary.status is not RunStatus.SUCCEEDED
        ]
        for detail in found:
            assert detail.summary.status is RunStatus.OUTCOME_UNKNOWN
            assert detail.summary.error_code == ErrorCode.OUTCOME_UNKNOWN
            assert "process that worked on it ended" in (detail.error_message or "")
        for detail in details(application, done):
            assert detail.summary.status is RunStatus.SUCCEEDED
            assert (detail.response or "").startswith('You asked: "Quick')
        application.housekeeping.round()
        figures = figures_of_all(application)
        assert figures["outcome_unknown"] >= FIFTY
        assert figures["succeeded"] >= len(done)
        assert figures["succeeded"] + figures["outcome_unknown"] == figures["runs"]
        # One that was stored and not said yet, of each thread of each process, is all that may be there besides.
        assert len(under_way) + len(asked) <= figures["runs"] <= len(under_way) + len(asked) + 2 * FIFTY
    finally:
        application.close()


def killed_in_the_middle_of_runs(count: int) -> dict[str, list[UUID]]:
    """What so many processes, one after the other, could say before each was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIMS, str(count)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        said: dict[str, list[UUID]] = {"under way": [], "asked": [], "done": []}
        try:
            for line in parent.stdout:
                kind, _, run_id = line.strip().rpartition(" ")
                said[kind].append(UUID(run_id))
            assert parent.wait(10) == 0
        except BaseException:
            os.killpg(parent.pid, signal.SIGKILL)  # its own session: it, and what it forked
            raise
    return said


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
