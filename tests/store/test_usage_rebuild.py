"""Figures while they are counted anew, and where a range ends."""

from collections.abc import Generator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import InvalidInput
from core.storage.records import Dimension, RunFilter, RunStatus, UsageFigures
from core.storage.store import Store
from tests.store.samples import PROJECT, figures_of, new_attempt, stored_run
from tests.store.usage_facts import FOLDED, KEYS, SINCE, UNTIL, Filled


@pytest.fixture(params=FOLDED.values(), ids=list(FOLDED))
def filled(database_url: str, request: pytest.FixtureRequest) -> Generator[Store]:
    """A store with runs in it, of which nothing, some or all is folded."""
    store = Filled.make(database_url, fold=request.param).store
    yield store
    store.close()


def test_a_rebuild_gives_the_same_figures(filled: Store) -> None:
    def everything() -> list[Any]:
        until = UNTIL + timedelta(days=2)
        series = [filled.usage.series(PROJECT, SINCE, until, grain="day", by=by) for by in KEYS]
        return [
            *series,
            filled.usage.errors(PROJECT, SINCE, until),
            filled.usage.latency(PROJECT, SINCE, until, grain="day"),
            filled.usage.latency(
                PROJECT, SINCE, until, by=Dimension.AGENT, filter=RunFilter(providers=("DEMO",))
            ),
        ]

    before, progress = everything(), []
    filled.usage.rebuild(lambda done, total: progress.append((done, total)), batch=40)
    assert everything() == before
    assert progress[-1][0] == progress[-1][1] > 0
    while filled.usage.fold():
        pass
    assert everything() == before


def test_an_interrupted_rebuild_is_continued_by_folding(filled: Store) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        raise Killed

    before = filled.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2))
    with pytest.raises(Killed):
        filled.usage.rebuild(kill, batch=40)
    assert filled.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2)) == before
    late = stored_run(filled, at=SINCE)  # its id is below what the rebuild has counted already
    for _ in range(30):
        filled.usage.fold(limit=40)
    after = filled.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2))
    assert asdict(after) == asdict(before) | {
        name: value + getattr(before, name)
        for name, value in figures_of([(late, RunStatus.SUCCEEDED, new_attempt(late), False)]).items()
    }
    assert filled.describe()["not_folded"] == 0


def test_what_is_beyond_the_range_is_not_in_it(store: Store) -> None:
    at = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    for minutes in (-1, 0, 14, 15):
        stored_run(store, at=at + timedelta(minutes=minutes), ends_after=timedelta(0))
    assert store.usage.totals(PROJECT, at, at + timedelta(minutes=15)).runs == 2
    # Both ends are widened to quarter hours.
    assert store.usage.totals(PROJECT, at + timedelta(minutes=3), at + timedelta(minutes=16)).runs == 3
    assert store.usage.totals(PROJECT, at, at) == UsageFigures()
    assert store.usage.series(PROJECT, at, at, grain="day") == []


def test_a_grain_that_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="multiple of 15 minutes"):
        store.usage.series(PROJECT, SINCE, UNTIL, grain=timedelta(minutes=20))
    with pytest.raises(InvalidInput, match="too many points"):
        store.usage.series(PROJECT, SINCE - timedelta(days=9999), UNTIL, grain=timedelta(minutes=15))


def test_folding_is_with_one_store_at_a_time(store: Store, database_url: str) -> None:
    other = Store.open(database_url)
    stored_run(store)
    assert store.usage.fold() == 1
    stored_run(store)
    assert other.usage.fold() == 0  # the first one's lease has not run out
    assert other.usage.fold(now=datetime.now(UTC) + timedelta(seconds=16)) == 1
    other.close()
