"""The life of a run: written before it is sent, continued, ended once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from core import ids
from core.errors import NotFound
from core.storage.engine import Database
from core.storage.records import AttemptReason, Backend, NewRun, RunFilter, RunStatus, Trigger
from core.storage.store import Store
from core.storage.tables import RunContentRow, table_of
from tests.store.samples import PROJECT, WORKER, figures_of, finish, new_attempt, new_run, now, stored_run


def test_a_run_is_there_before_it_ends(store: Store) -> None:
    run = new_run(
        agent_id=uuid4(),
        agent_version_id=uuid4(),
        agent_name="Greeter",
        group_id=uuid4(),
        replay_of=uuid4(),
        trigger=Trigger.REPLAY,
        deadline_at=now() + timedelta(seconds=60),
    )
    store.runs.start(run)
    detail = store.runs.get(PROJECT, run.id)
    summary = detail.summary
    for name in ("id", "project_id", "principal_id", "created_at", "trigger", "provider", "model", "backend"):
        assert getattr(summary, name) == getattr(run, name)
    for name in ("agent_id", "agent_version_id", "agent_name", "group_id", "replay_of"):
        assert getattr(summary, name) == getattr(run, name)
    assert summary.status is RunStatus.RUNNING
    assert (summary.attempts, summary.cost_nanousd, summary.finished_at, summary.latency_us) == (
        0,
        None,
        None,
        None,
    )
    assert summary.prompt_preview == "Say hello."
    assert detail.request == run.request
    assert (detail.response, detail.attempts, detail.error_message) == (None, (), None)
    assert store.runs.running(PROJECT) == [summary]


def test_a_run_ends_with_its_attempt_and_totals(store: Store) -> None:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    run = new_run(at=at)
    store.runs.start(run)
    attempt = new_attempt(
        run,
        finished_at=at + timedelta(seconds=2, microseconds=7),
        first_token_us=250_000,
        model_time_us=900_000,
        cache_write_input_tokens=3,
        lambda_compute_nanousd=50,
        lambda_request_nanousd=200,
        backend=Backend.LAMBDA,
        answered_by_model="gpt-5-mini-2026",
        provider_request_id="req_1",
        error_retryable=None,
        provider_status=200,
    )
    assert finish(store, run, attempt, at=attempt.finished_at, response="Hello.")
    detail = store.runs.get(PROJECT, run.id)
    assert detail.attempts == (attempt,)
    assert detail.response == "Hello."
    summary = detail.summary
    assert (summary.status, summary.attempts, summary.backend) == (RunStatus.SUCCEEDED, 1, Backend.LAMBDA)
    assert summary.finished_at == at + timedelta(seconds=2, microseconds=7)
    # From the run's beginning, whenever the attempt began.
    first_token = attempt.started_at + timedelta(milliseconds=250) - at
    assert (summary.latency_us, timedelta(microseconds=summary.first_token_us or 0)) == (
        2_000_007,
        first_token,
    )
    assert (summary.input_tokens, summary.output_tokens, summary.cost_nanousd) == (100, 20, 1_484)


def test_a_run_of_several_attempts_is_their_sum(store: Store) -> None:
    run = new_run()
    store.runs.start(run)
    first = new_attempt(run, ordinal=1, final=False, status=RunStatus.FAILED, error_code="RATE_LIMITED")
    second = new_attempt(
        run,
        ordinal=2,
        input_tokens=None,
        backend=Backend.LAMBDA,
        lambda_compute_nanousd=0,
        lambda_request_nanousd=0,
    )
    assert store.runs.add_attempt(first)
    assert store.runs.add_attempt(first)  # told twice, kept once
    assert store.runs.summary(PROJECT, run.id).attempts == 1
    assert finish(store, run, first, second)
    detail = store.runs.get(PROJECT, run.id)
    assert detail.attempts == (first, second)
    assert (detail.summary.attempts, detail.summary.backend) == (2, Backend.LAMBDA)
    # An attempt's unknown input makes the whole unknown, as with money.
    assert (detail.summary.input_tokens, detail.summary.output_tokens) == (None, 40)
    assert detail.summary.cost_nanousd == 2_468
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now())
    assert (totals.runs, totals.attempts, totals.cost_nanousd) == (1, 2, 2_468)


def test_one_attempt_without_a_price_makes_the_runs_cost_unknown(store: Store) -> None:
    run = new_run()
    store.runs.start(run)
    unpriced = new_attempt(run, ordinal=1, final=False, tokens_cost_nanousd=None)
    assert finish(store, run, unpriced, new_attempt(run, ordinal=2))
    assert store.runs.summary(PROJECT, run.id).cost_nanousd is None
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now())
    assert (totals.unpriced_runs, totals.tokens_cost_nanousd) == (1, 1_234)
    free = stored_run(store)
    store.runs.start(other := new_run())
    finish(store, other, new_attempt(other, tokens_cost_nanousd=0))
    assert store.runs.summary(PROJECT, other.id).cost_nanousd == 0
    assert store.runs.summary(PROJECT, free.id).cost_nanousd == 1_234


@pytest.mark.parametrize(
    ("compute", "request_fee", "cost"), [(None, 200, None), (50, None, None), (50, 200, 2_718), (0, 0, 2_468)]
)
def test_what_lambda_costs_is_part_of_the_run_and_unknown_when_a_part_is(
    store: Store, compute: int | None, request_fee: int | None, cost: int | None
) -> None:
    run = new_run(backend=Backend.LAMBDA)
    store.runs.start(run)
    on_lambda = new_attempt(
        run,
        final=False,
        status=RunStatus.FAILED,
        error_code="LAMBDA_TIMEOUT",
        backend=Backend.LAMBDA,
        lambda_compute_nanousd=compute,
        lambda_request_nanousd=request_fee,
        lambda_request_id="3c2e6c0a",
        lambda_region="us-east-1",
        lambda_architecture="arm64",
        lambda_memory_mb=512,
        lambda_max_memory_mb=131,
        lambda_cold_start=True,
        lambda_duration_us=60_000_000,
        lambda_init_us=431_870,
        lambda_restore_us=None,
        lambda_billed_ms=60_432,
        lambda_price_source="AWS, 2026-11-01",
    )
    local = new_attempt(run, ordinal=2, reason=AttemptReason.FALLBACK)
    assert store.runs.add_attempt(on_lambda)
    finished = store.runs.finish(
        run.id,
        status=RunStatus.SUCCEEDED,
        finished_at=now(),
        attempts=[on_lambda, local],
        response="Hello.",
        fell_back_from=Backend.LAMBDA,
        backend_note="The breaker is open.",
    )
    assert finished
    detail = store.runs.get(PROJECT, run.id)
    assert detail.attempts == (on_lambda, local)
    assert detail.backend_note == "The breaker is open."
    summary = detail.summary
    assert (summary.backend, summary.fell_back_from) == (Backend.LOCAL, Backend.LAMBDA)
    assert summary.cost_nanousd == cost
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now())
    assert (totals.runs, totals.attempts, totals.unpriced_runs) == (1, 2, int(cost is None))
    assert totals.cost_nanousd == 2_468 + (compute or 0) + (request_fee or 0)
    assert store.runs.count(PROJECT, RunFilter(unpriced_only=True)) == int(cost is None)


def test_a_run_ends_once(store: Store) -> None:
    run = stored_run(store)
    before = store.runs.get(PROJECT, run.id)
    assert not finish(
        store, run, status=RunStatus.FAILED, response="Something else.", error_code="INTERNAL_ERROR"
    )
    assert not store.runs.add_attempt(new_attempt(run, ordinal=2, final=False))
    assert store.runs.get(PROJECT, run.id) == before
    assert store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).attempts == 1


def test_a_run_stopped_before_any_attempt_has_one_that_says_so(store: Store) -> None:
    run = new_run()
    store.runs.start(run)
    ended = now()
    assert store.runs.finish(
        run.id,
        status=RunStatus.CANCELLED,
        finished_at=ended,
        attempts=[],
        response=None,
        error_code="CANCELLED",
        error_message="Stopped.",
    )
    detail = store.runs.get(PROJECT, run.id)
    assert [(a.ordinal, a.final, a.status, a.error_code) for a in detail.attempts] == [
        (1, True, RunStatus.CANCELLED, "CANCELLED")
    ]
    assert (detail.summary.cost_nanousd, detail.error_message) == (0, "Stopped.")
    assert detail.attempts[0].started_at == run.created_at
    assert store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).cancelled == 1


@pytest.mark.parametrize("folded", ["nothing", "all", "half of a rebuild", "a rebuild begun"])
@pytest.mark.parametrize("known", ["stored", "given again", "given only then"])
@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.FAILED])
def test_a_run_that_ends_between_two_attempts_has_those_that_were_sent(
    store: Store, folded: str, known: str, status: RunStatus
) -> None:
    at = now().replace(minute=7)
    beside = stored_run(store, at=at)
    run = new_run(at=at)
    store.runs.start(run)
    refused = {"final": False, "status": RunStatus.FAILED, "error_code": "RATE_LIMITED", "finished_at": at}
    first, second = (new_attempt(run, ordinal=number, **refused) for number in (1, 2))
    store.runs.add_attempt(first)
    if known != "given only then":
        store.runs.add_attempt(second)
    if folded != "nothing":
        assert store.usage.fold() == (2 if known == "given only then" else 3)
    if folded in {"half of a rebuild", "a rebuild begun"}:
        batch = {"half of a rebuild": 2, "a rebuild begun": 1}[folded]

        def interrupt(done: int, total: int) -> None:
            raise RuntimeError(f"{done} of {total}")

        with pytest.raises(RuntimeError):
            store.usage.rebuild(interrupt, batch=batch)
    ended = at + timedelta(minutes=1)
    values: dict[str, Any] = {
        "status": status,
        "finished_at": ended,
        "attempts": [] if known == "stored" else [first, second],
        "response": None,
        "error_code": "CANCELLED",
        "error_message": "Stopped while it waited.",
    }
    assert store.runs.finish(run.id, **values)
    assert not store.runs.finish(run.id, **values)
    detail = store.runs.get(PROJECT, run.id)
    last = replace(second, final=True)
    assert detail.attempts == (first, last)
    summary = detail.summary
    assert (summary.status, summary.error_code, summary.attempts) == (status, "CANCELLED", 2)
    assert (summary.cost_nanousd, summary.latency_us, summary.finished_at) == (2_468, 60_000_000, ended)
    other = store.runs.get(PROJECT, beside.id).attempts[0]
    recount = figures_of(
        [(beside, RunStatus.SUCCEEDED, other, False), (run, status, first, False), (run, status, last, False)]
    )
    span = (at - timedelta(hours=1), at + timedelta(hours=2))
    for step in ("at once", "folded", "rebuilt"):
        if step == "folded":
            while store.usage.fold():
                pass
        elif step == "rebuilt":
            store.usage.rebuild()
        totals = store.usage.totals(PROJECT, *span)
        assert {name: getattr(totals, name) for name in recount} == recount, step
        assert [(point.error_code, point.runs) for point in store.usage.errors(PROJECT, *span)] == [
            ("CANCELLED", 1)
        ], step
        counted = sum(point.runs for point in store.usage.latency(PROJECT, *span))
        assert counted == (2 if status is RunStatus.FAILED else 1), step


def test_what_cannot_be_is_refused_and_changes_nothing(store: Store) -> None:
    run = new_run()
    store.runs.start(run)
    with pytest.raises(ValueError, match="does not end as RUNNING"):
        finish(store, run, status=RunStatus.RUNNING)
    with pytest.raises(ValueError, match="another run"):
        finish(store, run, new_attempt(new_run()))
    with pytest.raises(ValueError, match="two attempts are final"):
        finish(store, run, new_attempt(run), new_attempt(run, ordinal=2))
    with pytest.raises(ValueError, match="final attempt is stored by finish"):
        store.runs.add_attempt(new_attempt(run))
    with pytest.raises(NotFound):
        finish(store, new_run())
    with pytest.raises(ValueError, match="carries its time"):
        store.runs.start(new_run(id=uuid4()))
    with pytest.raises(ValueError, match="carries its time"):
        store.runs.start(new_run(created_at=now() - timedelta(days=1)))
    assert store.runs.summary(PROJECT, run.id).status is RunStatus.RUNNING
    assert store.runs.count(PROJECT) == 1
    assert store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).attempts == 0


def test_side_by_side_all_start_or_none(store: Store) -> None:
    group = uuid4()
    runs = [new_run(group_id=group, model=f"model-{number}") for number in range(6)]
    store.runs.start_many(runs)
    assert [run.id for run in store.runs.running(PROJECT)] == [run.id for run in reversed(runs)]
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.runs.start_many([new_run(), runs[0]])
    assert store.runs.count(PROJECT) == 6


def test_another_projects_run_is_not_found(store: Store) -> None:
    run = stored_run(store, project_id="another")
    for read in (store.runs.get, store.runs.summary):
        with pytest.raises(NotFound):
            read(PROJECT, run.id)
    assert store.runs.page(PROJECT).runs == ()
    assert store.runs.count(PROJECT) == 0
    assert store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).runs == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "long " * 100_000,
        "ünï¢ödé 🙂 " * 300,
        "a NUL \0 inside",
        "".join(chr(random.Random(1).randrange(32, 0xD7FF)) for _ in range(3_000)),
    ],
    ids=["empty", "short", "long", "unicode", "nul", "random"],
)
def test_texts_come_back_as_they_were(store: Store, text: str) -> None:
    run = new_run(prompt=text)
    store.runs.start(run)
    finish(store, run, response=text)
    detail = store.runs.get(PROJECT, run.id)
    assert detail.request["prompt"] == detail.response == text
    assert detail.summary.prompt_preview == text[:200].replace("\0", " ")


def test_a_preview_of_a_chat_is_its_last_turn(store: Store) -> None:
    messages = [{"role": "user", "content": "First"}, {"role": "user", "content": "Last \ud800"}]
    run = new_run(request={"messages": messages})
    store.runs.start(run)
    assert store.runs.summary(PROJECT, run.id).prompt_preview == "Last ?"
    store.runs.start(empty := new_run(request={}))
    assert store.runs.summary(PROJECT, empty.id).prompt_preview == ""


def _beat(store: Store, worker_id: object, at: datetime) -> None:
    store.workers.beat(worker_id, kind="dashboard", host="here", pid=1, started_at=at, now=at)  # type: ignore[arg-type]


def test_runs_of_a_dead_process_are_reaped_and_of_a_living_one_not(store: Store) -> None:
    at = now()
    living, stale, retired = ids.uuid7(), ids.uuid7(), ids.uuid7()
    _beat(store, living, at)
    _beat(store, stale, at - timedelta(seconds=16))
    _beat(store, retired, at)
    store.workers.retire(retired)
    store.workers.retire(retired)
    runs = {
        worker: new_run(worker_id=worker, project_id=f"of {n}")
        for n, worker in enumerate((living, stale, retired))
    }
    for run in runs.values():
        store.runs.start(run)
    store.runs.add_attempt(new_attempt(runs[stale], final=False, status=RunStatus.FAILED))
    done = stored_run(store, worker_id=retired)

    assert store.runs.reap(now=at) == 2
    assert store.runs.reap(now=at) == 0
    assert store.runs.summary("of 0", runs[living].id).status is RunStatus.RUNNING
    assert store.runs.summary(PROJECT, done.id).status is RunStatus.SUCCEEDED
    orphan = store.runs.get("of 2", runs[retired].id)
    assert orphan.summary.status is RunStatus.OUTCOME_UNKNOWN
    assert (orphan.summary.error_code, orphan.summary.cost_nanousd) == ("OUTCOME_UNKNOWN", None)
    assert orphan.error_message is not None
    assert "process that worked on it ended" in orphan.error_message
    assert orphan.attempts[-1].error_message == orphan.error_message
    continued = store.runs.get("of 1", runs[stale].id)
    assert [attempt.final for attempt in continued.attempts] == [False, True]
    totals = store.usage.totals("of 1", at - timedelta(hours=1), at + timedelta(hours=1))
    assert (totals.runs, totals.outcome_unknown, totals.attempts, totals.unpriced_runs) == (1, 1, 2, 1)
    # It was not dead after all: what it says goes before what was guessed.
    assert finish(store, runs[stale], new_attempt(runs[stale], ordinal=2))
    assert not finish(store, runs[stale], new_attempt(runs[stale], ordinal=3))
    corrected = store.runs.get("of 1", runs[stale].id)
    assert corrected.summary.status is RunStatus.SUCCEEDED
    assert [attempt.ordinal for attempt in corrected.attempts] == [1, 2]
    _beat(store, stale, at)


@pytest.mark.parametrize("folded", ["nothing", "all", "half of a rebuild", "a rebuild begun"])
def test_what_a_reaped_runs_own_process_says_takes_the_place_of_the_unknown_end(
    store: Store, folded: str
) -> None:
    at = now().replace(minute=7)
    beside = stored_run(store, at=at)
    run = new_run(at=at)
    store.runs.start(run)
    retried = new_attempt(
        run, ordinal=1, final=False, status=RunStatus.FAILED, finished_at=at, tokens_cost_nanousd=7
    )
    store.runs.add_attempt(retried)
    assert store.runs.reap(now=at + timedelta(minutes=20)) == 1
    assert not store.runs.add_attempt(new_attempt(run, ordinal=2, final=False))
    if folded != "nothing":
        assert store.usage.fold() == 3
    if folded in {"half of a rebuild", "a rebuild begun"}:
        batch = {"half of a rebuild": 2, "a rebuild begun": 1}[folded]

        def interrupt(done: int, total: int) -> None:
            raise RuntimeError(f"{done} of {total}")

        with pytest.raises(RuntimeError):
            store.usage.rebuild(interrupt, batch=batch)
    final = new_attempt(
        run, ordinal=2, finished_at=at + timedelta(minutes=40), tokens_cost_nanousd=1_000_000_001
    )
    assert store.runs.finish(
        run.id,
        status=RunStatus.SUCCEEDED,
        finished_at=final.finished_at,
        attempts=[retried, final],
        response="Paid for.",
    )
    detail = store.runs.get(PROJECT, run.id)
    assert (detail.response, detail.error_message) == ("Paid for.", None)
    assert (detail.summary.status, detail.summary.error_code) == (RunStatus.SUCCEEDED, None)
    assert (detail.summary.attempts, detail.summary.cost_nanousd) == (2, 1_000_000_008)
    assert detail.summary.latency_us == timedelta(minutes=40) // timedelta(microseconds=1)
    assert detail.attempts == (retried, final)
    other = store.runs.get(PROJECT, beside.id).attempts[0]
    ended = RunStatus.SUCCEEDED
    recount = figures_of(
        [(beside, ended, other, False), (run, ended, retried, False), (run, ended, final, False)]
    )
    span = (at - timedelta(hours=1), at + timedelta(hours=2))
    for step in ("at once", "folded", "rebuilt"):
        if step == "folded":
            while store.usage.fold():
                pass
        elif step == "rebuilt":
            store.usage.rebuild()
        totals = store.usage.totals(PROJECT, *span)
        assert {name: getattr(totals, name) for name in recount} == recount, step
        points = store.usage.series(PROJECT, *span, grain=timedelta(minutes=15))
        assert sum(point.figures.runs for point in points) == 2, step
        assert len(points) == len({a.finished_at.replace(second=0) for a in (other, final)}), step
        assert store.usage.errors(PROJECT, *span) == [], step


def test_a_reaper_neither_takes_its_own_process_for_dead_nor_another_reapers_word_for_an_end(
    store: Store,
) -> None:
    store.runs.start(own := new_run(worker_id=ids.uuid7()))
    store.runs.start(run := new_run(worker_id=ids.uuid7()))
    later = now() + timedelta(minutes=1)
    assert store.runs.reap(now=later, except_worker=own.worker_id) == 1
    assert store.runs.summary(PROJECT, own.id).status is RunStatus.RUNNING
    before = store.runs.get(PROJECT, run.id)
    said = before.error_message
    # Two reapers find the same orphan: the second one comes too late.
    assert not store.runs.finish(
        run.id,
        status=RunStatus.OUTCOME_UNKNOWN,
        finished_at=later,
        attempts=[],
        response=None,
        error_message=said,
    )
    assert store.runs.get(PROJECT, run.id) == before


def test_beats_and_the_reaper_tell_the_time_by_one_clock(store: Store) -> None:
    worker = ids.uuid7()
    store.workers.beat(worker, kind="cli", host="here", pid=1, started_at=now())
    store.runs.start(run := new_run(worker_id=worker))
    assert store.runs.reap() == 0
    assert store.runs.reap(stale_after_seconds=-60) == 1
    assert store.runs.summary(PROJECT, run.id).status is RunStatus.OUTCOME_UNKNOWN


def test_processes_that_are_silent_for_long_are_forgotten(store: Store) -> None:
    at = now()
    for days in (3, 2, 0):
        _beat(store, ids.uuid7(), at - timedelta(days=days))
    assert store.workers.forget_dead(silent_for=timedelta(days=1)) == 2
    assert store.workers.forget_dead(silent_for=timedelta(days=1)) == 0


def test_a_beat_keeps_a_process_alive(store: Store) -> None:
    at = now()
    _beat(store, WORKER, at - timedelta(minutes=1))
    _beat(store, WORKER, at)
    store.runs.start(new_run())
    assert store.runs.reap(now=at + timedelta(seconds=14)) == 0
    assert store.runs.reap(now=at + timedelta(seconds=16)) == 1


def test_an_export_without_texts_has_none(store: Store) -> None:
    stored_run(store)
    (detail,) = store.runs.iterate(PROJECT, with_texts=False)
    assert (dict(detail.request), detail.response, len(detail.attempts)) == ({}, None, 1)


def test_ids_rise_with_their_time() -> None:
    made = [ids.uuid7() for _ in range(2_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    at = datetime(2026, 11, 1, 12, 30, 15, 123_000, tzinfo=UTC)
    assert ids.lowest_at(at) < ids.uuid7(at) < ids.lowest_at(at + timedelta(milliseconds=1))
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert isinstance(new_run(), NewRun)


def test_of_two_who_end_a_run_at_the_same_moment_only_one_leaves_anything(
    store: Store, database_url: str
) -> None:
    runs = [new_run() for _ in range(40)]
    for run in runs:
        store.runs.start(run)
    other = Store.open(database_url)
    meet = threading.Barrier(2)

    def end_all(through: Store, answer: str) -> list[bool]:
        ended: list[bool] = []
        for run in runs:
            meet.wait()
            ended.append(finish(through, run, new_attempt(run), response=answer))
        return ended

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(end_all, (store, other), ("first", "second"))
    other.close()
    assert all(a is not b for a, b in zip(first, second, strict=True))
    for run, by_first in zip(runs, first, strict=True):
        detail = store.runs.get(PROJECT, run.id)
        assert (detail.response, len(detail.attempts)) == ("first" if by_first else "second", 1)
    assert store.describe()["not_folded"] == len(runs)
    database = Database(database_url)
    with database.read() as connection:
        texts = connection.execute(select(func.count()).select_from(table_of(RunContentRow))).scalar_one()
    database.close()
    assert texts == 2 * len(runs)
