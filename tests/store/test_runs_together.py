"""Runs that start or end at the same moment: on SQLite in one transaction, and in fewer statements than one by one."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from core.storage.records import Backend, NewRun, RunStatus
from core.storage.statements import MOST_ROWS, RowsStatement
from core.storage.store import Store
from core.storage.tables import RunContentRow, table_of
from tests.store.samples import PROJECT, finish, new_attempt, new_run, now

MANY = MOST_ROWS + 13
"""One statement for so many is not enough, and the rest is no power of two."""


def together(store: Store, work: Sequence[Callable[[], Any]]) -> list[Any]:
    """Does it in as many threads; on SQLite, all but the first at once, when those that write before have ended."""
    group = store._database._group
    with ThreadPoolExecutor(len(work)) as pool, ExitStack() as stack:
        if group is not None:
            stack.enter_context(store._database.write())
        futures = [pool.submit(work[0])]
        until(lambda: group is None or group._led)
        futures += [pool.submit(one) for one in work[1:]]
        until(lambda: group is None or len(group._waiting) == len(work) - 1)
        stack.close()
        return [future.result() for future in futures]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def row_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each statement was for."""
    counts: list[int] = []
    run, lock = RowsStatement.run, threading.Lock()

    def counted(self: RowsStatement, connection: Any, rows: Sequence[Any]) -> Any:
        for size, cursor in run(self, connection, rows):
            with lock:
                counts.append(size)
            yield size, cursor

    monkeypatch.setattr(RowsStatement, "run", counted)
    return counts


def started(store: Store, count: int) -> list[NewRun]:
    runs = [new_run(prompt=f"Question {number}") for number in range(count)]
    together(store, [lambda run=run: store.runs.start(run) for run in runs])
    return runs


def test_each_run_gets_its_own_texts_tokens_and_price(store: Store, row_counts: list[int]) -> None:
    runs = started(store, MANY)
    attempts = [
        new_attempt(run, output_tokens=number, tokens_cost_nanousd=None if number % 7 == 3 else number)
        for number, run in enumerate(runs)
    ]
    answers = [None if number % 5 == 1 else f"Answer {number} " * number for number in range(MANY)]
    ended = together(
        store,
        [
            lambda run=run, attempt=attempt, answer=answer: finish(store, run, attempt, response=answer)
            for run, attempt, answer in zip(runs, attempts, answers, strict=True)
        ],
    )
    assert all(ended)
    if store._database.dialect == "sqlite":
        assert max(row_counts) == MOST_ROWS
        assert len(row_counts) < MANY
    for run, attempt, answer in zip(runs, attempts, answers, strict=True):
        stored = store.runs.get(PROJECT, run.id)
        assert stored.request["prompt"] == run.request["prompt"]
        assert stored.response == answer
        assert list(stored.attempts) == [attempt]
        assert stored.summary.status is RunStatus.SUCCEEDED
        assert stored.summary.output_tokens == attempt.output_tokens
        assert stored.summary.cost_nanousd == attempt.tokens_cost_nanousd
        ended_at = stored.summary.finished_at
        assert ended_at is not None
        assert stored.summary.latency_us == (ended_at - run.created_at) // timedelta(microseconds=1)
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now() + timedelta(hours=1))
    assert totals.runs == totals.attempts == MANY
    assert totals.output_tokens == sum(range(MANY))
    assert totals.tokens_cost_nanousd == sum(attempt.tokens_cost_nanousd or 0 for attempt in attempts)
    assert totals.unpriced_runs == sum(attempt.tokens_cost_nanousd is None for attempt in attempts)


def test_one_that_has_ended_before_keeps_its_end_and_the_others_get_theirs(store: Store) -> None:
    runs = started(store, 9)
    assert finish(store, runs[4], response="The first end.")
    ended = together(store, [lambda run=run: finish(store, run, response="The second.") for run in runs])
    assert ended == [run is not runs[4] for run in runs]
    answers = [store.runs.get(PROJECT, run.id).response for run in runs]
    assert answers == ["The first end." if run is runs[4] else "The second." for run in runs]
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now() + timedelta(hours=1))
    assert totals.runs == totals.attempts == 9
    with store._database.read() as connection:
        texts = connection.execute(select(func.count()).select_from(table_of(RunContentRow))).scalar_one()
    assert texts == 18, "nothing is kept of the ends that were refused"


def test_runs_of_every_kind_end_together(store: Store) -> None:
    plain, retried, on_lambda, stopped, failed = runs = started(store, 5)
    first = new_attempt(retried, final=False, status=RunStatus.FAILED, tokens_cost_nanousd=7)
    assert store.runs.add_attempt(first)
    ends: list[Callable[[], bool]] = [
        lambda: finish(store, plain),
        lambda: finish(store, retried, first, new_attempt(retried, ordinal=2, tokens_cost_nanousd=9)),
        lambda: finish(
            store,
            on_lambda,
            new_attempt(on_lambda, backend=Backend.LAMBDA, lambda_memory_mb=512, lambda_compute_nanousd=5),
        ),
        lambda: store.runs.finish(
            stopped.id, status=RunStatus.CANCELLED, finished_at=now(), attempts=[], response=None
        ),
        lambda: finish(store, failed, status=RunStatus.FAILED, response=None, error_code="RATE_LIMITED"),
    ]
    assert together(store, ends) == [True] * 5
    details = [store.runs.get(PROJECT, run.id) for run in runs]
    assert [len(detail.attempts) for detail in details] == [1, 2, 1, 1, 1]
    assert details[1].summary.cost_nanousd == 16
    assert details[2].attempts[0].lambda_memory_mb == 512
    assert [detail.summary.status for detail in details] == [
        RunStatus.SUCCEEDED,
        RunStatus.SUCCEEDED,
        RunStatus.SUCCEEDED,
        RunStatus.CANCELLED,
        RunStatus.FAILED,
    ]
    assert details[4].summary.error_code == "RATE_LIMITED"
    totals = store.usage.totals(PROJECT, now() - timedelta(hours=1), now() + timedelta(hours=1))
    assert (totals.runs, totals.attempts, totals.failed, totals.cancelled) == (5, 6, 1, 1)


def test_a_run_that_cannot_be_started_takes_no_other_with_it(store: Store) -> None:
    twice = new_run()
    runs = [new_run() for _ in range(6)]
    store.runs.start(twice)

    def start(run: NewRun) -> str:
        try:
            store.runs.start(run)
        except Exception as exc:
            return type(exc).__name__
        return "started"

    said = together(store, [lambda run=run: start(run) for run in [*runs[:3], twice, *runs[3:]]])
    assert said[3] != "started"
    assert said[:3] + said[4:] == ["started"] * 6
    assert {run.id for run in store.runs.running(PROJECT)} == {run.id for run in [twice, *runs]}
