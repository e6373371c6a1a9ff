"""Lists of runs: every filter, forwards and backwards, beside a sort of everything by hand."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from core.errors import InvalidInput
from core.ids import range_of_prefix, uuid7
from core.storage import run_lanes
from core.storage.records import Backend, NewRun, RunDetail, RunFilter, RunStatus, RunSummary, Trigger
from core.storage.store import Store
from tests.store.samples import PROJECT, finish, new_attempt, new_run, stored_run

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
AGENTS = [uuid4(), uuid4()]
GROUP = uuid4()


def _fill(store: Store, count: int = 70) -> list[RunSummary]:
    rng = random.Random(3)
    runs: list[NewRun] = []
    for number in range(count):
        run = new_run(
            at=BEGIN + timedelta(minutes=number),
            project_id=PROJECT if number % 5 else "another",
            provider=(provider := rng.choice(["OPENAI", "DEMO"])),
            model=f"{provider.lower()}-{rng.choice('abc')}",
            agent_id=rng.choice([*AGENTS, None]),
            group_id=rng.choice([GROUP, None]),
            trigger=rng.choice(list(Trigger)),
            prompt=f"Prompt {number}",
        )
        runs.append(run)
    rng.shuffle(runs)  # written in another order than made
    for run in runs:
        store.runs.start(run)
        status = rng.choice(list(RunStatus))
        if status is RunStatus.RUNNING:
            continue
        attempt = new_attempt(
            run,
            status=status,
            backend=rng.choice(list(Backend)),
            tokens_cost_nanousd=rng.choice([None, 100, 2_000]),
        )
        code = None if status is RunStatus.SUCCEEDED else rng.choice(["RATE_LIMITED", "CANCELLED"])
        finish(store, run, attempt, status=status, error_code=code)
    everything = [store.runs.summary(PROJECT, run.id) for run in runs if run.project_id == PROJECT]
    return sorted(everything, key=lambda run: run.id, reverse=True)


FILTERS: list[tuple[RunFilter, Callable[[RunSummary], bool]]] = [
    (RunFilter(), lambda run: True),
    (RunFilter(agent_ids=(AGENTS[0],)), lambda run: run.agent_id == AGENTS[0]),
    (RunFilter(agent_ids=tuple(AGENTS)), lambda run: run.agent_id in AGENTS),
    (RunFilter(providers=("DEMO",)), lambda run: run.provider == "DEMO"),
    (RunFilter(models=("openai-a", "demo-b")), lambda run: run.model in ("openai-a", "demo-b")),
    (RunFilter(providers=("DEMO",), models=("openai-a",)), lambda run: False),
    (RunFilter(statuses=(RunStatus.RUNNING,)), lambda run: run.status is RunStatus.RUNNING),
    (
        RunFilter(statuses=(RunStatus.FAILED, RunStatus.CANCELLED), providers=("OPENAI",)),
        lambda run: run.status in (RunStatus.FAILED, RunStatus.CANCELLED) and run.provider == "OPENAI",
    ),
    (RunFilter(triggers=(Trigger.CLI,)), lambda run: run.trigger is Trigger.CLI),
    (RunFilter(backends=(Backend.LAMBDA,)), lambda run: run.backend is Backend.LAMBDA),
    (
        RunFilter(backends=(Backend.LOCAL,), triggers=(Trigger.CLI, Trigger.API), agent_ids=(AGENTS[1],)),
        lambda run: (
            run.backend is Backend.LOCAL
            and run.trigger in (Trigger.CLI, Trigger.API)
            and run.agent_id == AGENTS[1]
        ),
    ),
    (RunFilter(error_codes=("RATE_LIMITED",)), lambda run: run.error_code == "RATE_LIMITED"),
    (RunFilter(group_id=GROUP), lambda run: run.group_id == GROUP),
    (
        RunFilter(unpriced_only=True),
        lambda run: run.cost_nanousd is None and run.status is not RunStatus.RUNNING,
    ),
    (RunFilter(cost_at_least_nanousd=2_000), lambda run: (run.cost_nanousd or 0) >= 2_000),
    (
        RunFilter(cost_at_least_nanousd=1, cost_at_most_nanousd=100),
        lambda run: run.cost_nanousd is not None and 1 <= run.cost_nanousd <= 100,
    ),
    (
        RunFilter(since=BEGIN + timedelta(minutes=20), until=BEGIN + timedelta(minutes=51)),
        lambda run: BEGIN + timedelta(minutes=20) <= run.created_at < BEGIN + timedelta(minutes=51),
    ),
]


def _walk(store: Store, run_filter: RunFilter, *, limit: int) -> Sequence[RunSummary]:
    """All pages to the end and back; both ways must give the same pages."""
    pages = [store.runs.page(PROJECT, run_filter, limit=limit)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(store.runs.page(PROJECT, run_filter, limit=limit, cursor=cursor))
    assert pages[0].previous_cursor is None
    for page, newer in zip(pages[:0:-1], pages[-2::-1], strict=True):
        assert page.previous_cursor is not None
        assert (
            store.runs.page(PROJECT, run_filter, limit=limit, cursor=page.previous_cursor).runs == newer.runs
        )
    return [run for page in pages for run in page.runs]


def test_each_filter_finds_what_a_look_at_every_run_finds(store: Store) -> None:
    everything = _fill(store)
    exported: list[RunDetail] = []
    for run_filter, wanted in FILTERS:
        expected = [run for run in everything if wanted(run)]
        for limit in (1, 7, 50) if run_filter == RunFilter() else (7,):
            assert _walk(store, run_filter, limit=limit) == expected, run_filter
        assert store.runs.count(PROJECT, run_filter) == len(expected), run_filter
        exported = list(store.runs.iterate(PROJECT, run_filter, batch=7))
        assert [detail.summary for detail in exported] == expected, run_filter
    assert all(detail.request["prompt"] == detail.summary.prompt_preview for detail in exported)
    assert [run.id for run in store.runs.running(PROJECT)] == [
        run.id for run in everything if run.status is RunStatus.RUNNING
    ]


def test_a_range_of_ids_finds_what_begins_so(store: Store) -> None:
    everything = _fill(store)
    one = everything[20]
    for length in (7, 8, 13, 32):
        beginning = one.id.hex[:length]
        expected = [run for run in everything if run.id.hex.startswith(beginning)]
        assert _walk(store, RunFilter(ids=range_of_prefix(beginning)), limit=7) == expected
    assert range_of_prefix(str(one.id).upper()) == (one.id, one.id)
    assert [range_of_prefix(text) for text in ("", "xyz", "0" * 33, "-")] == [None] * 4


def test_more_lanes_than_fit_one_query(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lanes, "_LANES_AT_ONCE", 4)
    everything = _fill(store, count=40)
    assert _walk(store, RunFilter(), limit=6) == everything


def test_runs_that_arrive_meanwhile_shift_nothing(store: Store) -> None:
    old = [stored_run(store, at=BEGIN + timedelta(seconds=number)) for number in range(6)]
    first = store.runs.page(PROJECT, limit=3)
    new = stored_run(store, at=BEGIN + timedelta(seconds=60))
    second = store.runs.page(PROJECT, limit=3, cursor=first.next_cursor)
    assert [run.id for run in (*first.runs, *second.runs)] == [run.id for run in reversed(old)]
    assert second.next_cursor is None
    newer = store.runs.page(PROJECT, limit=3, cursor=first.previous_cursor)
    assert newer.runs == first.runs or first.previous_cursor is None
    assert store.runs.page(PROJECT, limit=1).runs[0].id == new.id


@pytest.mark.parametrize("cursor", ["", "o", "x" * 33, "oxyz", "n" + "g" * 32])
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="start from the first page"):
        store.runs.page(PROJECT, cursor=cursor)


def test_an_empty_store_has_one_empty_page(store: Store) -> None:
    page = store.runs.page(PROJECT)
    assert (page.runs, page.next_cursor, page.previous_cursor) == ((), None, None)
    assert list(store.runs.iterate(PROJECT)) == []
    assert store.runs.count(PROJECT) == 0


def test_runs_are_counted_exactly_at_the_edges_of_a_range(store: Store) -> None:
    since, until = BEGIN, BEGIN + timedelta(hours=1)
    made: list[datetime] = []
    for edge in (since, until):
        for distance in (-3600, -120, -61, -30, -1e-6, 0, 1e-6, 30, 61, 120):
            for skew in (-59, 0, 59):  # an id may have been made a little before or after the run
                at = edge + timedelta(seconds=distance)
                run = new_run(at=at, id=uuid7(at=at + timedelta(seconds=skew)))
                store.runs.start(run)
                made.append(at)
    for run_filter, expected in (
        (RunFilter(since=since, until=until), sum(since <= at < until for at in made)),
        (RunFilter(since=since), sum(since <= at for at in made)),
        (RunFilter(until=until, providers=("OPENAI",)), sum(at < until for at in made)),
        (
            RunFilter(since=since, until=since + timedelta(seconds=40)),
            sum(since <= at < since + timedelta(seconds=40) for at in made),
        ),
    ):
        assert store.runs.count(PROJECT, run_filter) == expected, run_filter
        assert len(list(store.runs.iterate(PROJECT, run_filter, with_texts=False))) == expected
