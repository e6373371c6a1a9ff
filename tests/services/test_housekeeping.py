"""What a long-lived process does beside its runs, also when the database or the program is in trouble."""

import threading
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core import ids
from core.contract import utc_now
from core.errors import ErrorCode, NotFound, StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.housekeeping import KEEPER, PERIOD_SECONDS, Housekeeping
from core.services.presence import BEAT_SECONDS, Presence
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import Backend, NewRun, RunStatus, Trigger
from core.storage.workers import STALE_AFTER_SECONDS
from tests.support.stored_runs import opened_application, store_run

SLOW = AgentConfig(provider="DEMO", model_name="demo-slow")


def start_run(application: Application, *, worker_beat_seconds_ago: float | None) -> NewRun:
    """A run under way in a process that last gave a sign of life so long ago, or never."""
    now = utc_now()
    worker_id = ids.uuid7()
    if worker_beat_seconds_ago is not None:
        beat = now - timedelta(seconds=worker_beat_seconds_ago)
        application.store.workers.beat(worker_id, kind="test", host="here", pid=1, started_at=beat, now=beat)
    run = NewRun(
        id=ids.uuid7(),
        project_id=LOCAL.project_id,
        principal_id=LOCAL.id,
        worker_id=worker_id,
        created_at=now,
        trigger=Trigger.CLI,
        provider="DEMO",
        model="demo-echo",
        backend=Backend.LOCAL,
        request={"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello"},
    )
    application.store.runs.start(run)
    return run


def status(application: Application, run: NewRun) -> RunStatus:
    return application.runs.get(LOCAL, run.id).summary.status


def test_runs_of_dead_processes_end_with_their_cause_and_those_of_living_ones_go_on(
    application: Application,
) -> None:
    alive = start_run(application, worker_beat_seconds_ago=STALE_AFTER_SECONDS - 2)
    silent = start_run(application, worker_beat_seconds_ago=STALE_AFTER_SECONDS + 2)
    unknown = start_run(application, worker_beat_seconds_ago=None)
    application.housekeeping.round()
    assert status(application, alive) is RunStatus.RUNNING
    for run in (silent, unknown):
        detail = application.runs.get(LOCAL, run.id)
        assert detail.summary.status is RunStatus.OUTCOME_UNKNOWN
        assert detail.summary.error_code == ErrorCode.OUTCOME_UNKNOWN
        assert "process" in (detail.error_message or "")
        (attempt,) = detail.attempts
        assert attempt.final


def test_a_dead_processs_runs_are_settled_well_within_thirty_seconds() -> None:
    # Last beat, then silence: noticed at the first round after it is stale.
    assert STALE_AFTER_SECONDS + PERIOD_SECONDS < 25
    # A process that lives is late by three beats before it is taken for dead.
    assert BEAT_SECONDS * 3 <= STALE_AFTER_SECONDS


def test_finished_attempts_are_folded(application: Application) -> None:
    for minute in range(3):
        store_run(application, at=utc_now() - timedelta(minutes=minute))
    assert application.store.describe()["not_folded"] == 3
    application.housekeeping.round()
    assert application.store.describe()["not_folded"] == 0


def test_it_begins_at_once_and_ends_when_asked(application: Application) -> None:
    run = start_run(application, worker_beat_seconds_ago=None)
    rounds = threading.Semaphore(0)

    def settle() -> int:
        rounds.release()
        return 0

    housekeeping = Housekeeping(
        application.store, settle=settle, presence=application.presence, period_seconds=0.01
    )
    housekeeping.start()
    housekeeping.start()
    for _ in range(3):
        assert rounds.acquire(timeout=10)
    housekeeping.stop()
    assert status(application, run) is RunStatus.OUTCOME_UNKNOWN
    while rounds.acquire(blocking=False):
        pass
    assert not rounds.acquire(timeout=0.1)


def test_one_that_stands_by_keeps_house_only_while_no_other_does(application: Application) -> None:
    run = start_run(application, worker_beat_seconds_ago=None)
    store_run(application, at=utc_now())
    settled = threading.Semaphore(0)

    def settle() -> int:
        settled.release()
        return 0

    def keeper_beats(at: datetime) -> None:
        application.store.workers.beat(keeper_id, kind=KEEPER, host="here", pid=1, started_at=at, now=at)

    keeper_id = ids.uuid7()
    keeper_beats(utc_now() + timedelta(hours=1))
    housekeeping = Housekeeping(
        application.store, settle=settle, presence=application.presence, period_seconds=0.01
    )
    housekeeping.start(stand_by=True)
    try:
        # What only this process knows it stores all the same, and others see that it lives.
        for _ in range(3):
            assert settled.acquire(timeout=10)
        assert {worker.kind for worker in application.store.workers.live()} == {KEEPER, "test"}
        assert status(application, run) is RunStatus.RUNNING
        assert application.store.describe()["not_folded"] == 1

        keeper_beats(utc_now() - timedelta(seconds=STALE_AFTER_SECONDS + 1))
        deadline = time.monotonic() + 10
        while application.store.describe()["not_folded"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert status(application, run) is RunStatus.OUTCOME_UNKNOWN
    finally:
        housekeeping.stop()


def test_stopping_what_never_started_is_free(application: Application) -> None:
    Housekeeping(application.store, settle=lambda: 0, presence=application.presence).stop()


def test_after_a_long_silence_a_process_does_not_take_itself_for_dead(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = application.runs.start(LOCAL, RunSpec(config=SLOW, prompt="[[words=5000]] Hello"))
    worker_id, long_ago = application.presence.worker_id, utc_now() - timedelta(minutes=5)

    def forget_beats() -> None:
        application.store.workers.beat(
            worker_id, kind="test", host="here", pid=1, started_at=long_ago, now=long_ago
        )

    forget_beats()
    application.housekeeping.round()
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.RUNNING
    # The round has beaten, so other processes' reapers leave it alone too.
    assert application.store.runs.reap() == 0
    # Even when nothing can beat, it knows better than the store.
    monkeypatch.setattr(application.presence, "beat", forget_beats)
    application.housekeeping.round()
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.RUNNING


def test_whatever_a_part_meets_the_parts_after_it_are_done(application: Application) -> None:
    run = start_run(application, worker_beat_seconds_ago=None)
    store_run(application, at=utc_now())

    def settle() -> int:
        raise NotFound("There is no run.")

    housekeeping = Housekeeping(application.store, settle=settle, presence=application.presence)
    with pytest.raises(NotFound):
        housekeeping.round()
    assert status(application, run) is RunStatus.OUTCOME_UNKNOWN
    assert application.store.describe()["not_folded"] == 0


def test_processes_that_died_days_ago_are_forgotten(application: Application) -> None:
    start_run(application, worker_beat_seconds_ago=2 * 24 * 3600)
    start_run(application, worker_beat_seconds_ago=60)
    application.housekeeping.round()
    assert application.store.workers.forget_dead(silent_for=timedelta(0)) == 1


def test_the_heart_beats_on_after_any_trouble(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beat, beats, recovered = application.store.workers.beat, 0, threading.Event()

    def troubled(worker_id: UUID, **values: Any) -> None:
        nonlocal beats
        beats += 1
        if 1 < beats <= 4:
            raise RuntimeError("a fault of ours")
        beat(worker_id, **values)
        if beats > 4:
            recovered.set()

    monkeypatch.setattr(application.store.workers, "beat", troubled)
    presence = Presence(application.store, kind="test", period_seconds=0.01)
    presence.appear()
    assert recovered.wait(timeout=10)
    presence.leave()
    told = [record for record in caplog.records if "heart-beat not stored" in record.getMessage()]
    assert len(told) == 1
    assert told[0].exc_text or told[0].exc_info


@pytest.mark.parametrize(
    "trouble", [StoreUnavailable("The database is away."), RuntimeError("a fault of ours")]
)
def test_trouble_is_said_once_and_the_next_rounds_go_on(
    application: Application, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    run = start_run(application, worker_beat_seconds_ago=None)
    rounds = 0
    settled = threading.Event()

    def settle() -> int:
        nonlocal rounds
        rounds += 1
        if rounds <= 5:
            raise trouble
        if rounds > 6:
            settled.set()
        return 0

    housekeeping = Housekeeping(
        application.store, settle=settle, presence=application.presence, period_seconds=0.01
    )
    housekeeping.start()
    assert settled.wait(timeout=10)
    housekeeping.stop()
    assert status(application, run) is RunStatus.OUTCOME_UNKNOWN
    told = [record for record in caplog.records if "put off" in record.getMessage()]
    assert len(told) == 1
    assert str(trouble) in told[0].getMessage()
    assert bool(told[0].exc_text or told[0].exc_info) == isinstance(trouble, RuntimeError)


def test_a_process_that_does_not_stay_settles_and_folds_when_it_closes(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(application, worker_beat_seconds_ago=None)
    store_run(application, at=utc_now())
    with opened_application() as short:
        short.runs.run(LOCAL, RunSpec(config=SLOW, prompt="[[words=1]] Hello"))
    assert status(application, run) is RunStatus.OUTCOME_UNKNOWN
    assert application.store.describe()["not_folded"] == 3, "folding so few is not worth a write"
    application.housekeeping.once(long_tail=4)
    assert application.store.describe()["not_folded"] == 3
    application.housekeeping.once(long_tail=3)
    assert application.store.describe()["not_folded"] == 0


def test_trouble_at_the_close_is_only_logged(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(**_: Any) -> int:
        raise StoreUnavailable("The database is away.")

    with opened_application() as short:
        monkeypatch.setattr(short.store.runs, "reap", away)
    assert "left to the next process: The database is away." in caplog.text
