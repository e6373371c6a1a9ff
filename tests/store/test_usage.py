"""Figures against a recount by hand, while nothing, some and all of it is folded."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.errors import InvalidInput
from core.storage.records import (
    AttemptRecord,
    Backend,
    Dimension,
    NewRun,
    RunFilter,
    RunStatus,
    Trigger,
    UsageFigures,
)
from core.storage.store import Store
from tests.store.samples import PROJECT, figures_of, finish, new_attempt, new_run, stored_run

SINCE = datetime(2026, 10, 20, tzinfo=UTC)
UNTIL = datetime(2026, 11, 3, tzinfo=UTC)  # daylight saving ends in Europe and America in between
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns")


class Fact(NamedTuple):
    run: NewRun
    status: RunStatus
    attempt: AttemptRecord
    unpriced: bool
    latency_us: int
    error_code: str | None


def _fill(store: Store, *, runs: int, agents: Sequence[UUID], seed: int) -> list[Fact]:
    rng = random.Random(seed)
    facts: list[Fact] = []
    for _ in range(runs):
        at = SINCE + (UNTIL - SINCE) * rng.random()
        run = new_run(
            at=at,
            project_id=rng.choice([PROJECT, PROJECT, PROJECT, "another"]),
            principal_id=rng.choice(["local", "anna"]),
            provider=(provider := rng.choice(["OPENAI", "DEMO"])),
            model=f"{provider.lower()}-{rng.choice('ab')}/x",
            agent_id=rng.choice([*agents, None]),
            trigger=rng.choice(list(Trigger)),
        )
        store.runs.start(run)
        status = rng.choices([s for s in RunStatus if s is not RunStatus.RUNNING], [8, 3, 1, 1])[0]
        code = None if status is RunStatus.SUCCEEDED else rng.choice(["RATE_LIMITED", "OUTCOME_UNKNOWN"])
        count = rng.choice([1, 1, 1, 2, 3])
        ends = at + timedelta(microseconds=int(rng.lognormvariate(14, 1.5)))
        attempts = [
            _attempt(rng, run, ordinal, ordinal == count, status, ends) for ordinal in range(1, count + 1)
        ]
        for early in attempts[: rng.randint(0, count - 1)]:
            store.runs.add_attempt(early)
        assert finish(store, run, *attempts, status=status, at=ends, error_code=code)
        unpriced = any(None in _parts(attempt) for attempt in attempts)
        latency_us = (ends - at) // timedelta(microseconds=1)
        facts += [Fact(run, status, attempt, unpriced, latency_us, code) for attempt in attempts]
    return facts


def _parts(attempt: AttemptRecord) -> list[int | None]:
    """What an attempt's cost is the sum of."""
    on_lambda = [attempt.lambda_compute_nanousd, attempt.lambda_request_nanousd]
    return [attempt.tokens_cost_nanousd, *(on_lambda if attempt.backend is Backend.LAMBDA else [])]


def _attempt(
    rng: random.Random, run: NewRun, ordinal: int, final: bool, status: RunStatus, ends: datetime
) -> AttemptRecord:
    # The earlier ones may lie in an earlier quarter hour, day or zone's day than the one that decides.
    finished_at = ends if final else ends - timedelta(minutes=rng.choice([0, 10, 300]))
    priced = rng.random() < 0.8
    backend = rng.choice(list(Backend))
    on_lambda, reported = backend is Backend.LAMBDA, rng.random() < 0.8
    return new_attempt(
        run,
        ordinal=ordinal,
        final=final,
        status=status if final else RunStatus.FAILED,
        finished_at=finished_at,
        backend=backend,
        input_tokens=rng.choice([None, rng.randrange(10_000)]),
        output_tokens=rng.choice([None, rng.randrange(10_000)]),
        cache_write_input_tokens=rng.choice([None, 7]),
        tokens_cost_nanousd=rng.randrange(10**12) if priced else None,
        input_cost_nanousd=rng.randrange(10**6) if priced else None,
        output_cost_nanousd=rng.randrange(10**6) if priced else None,
        lambda_compute_nanousd=rng.randrange(10**6) if on_lambda and reported else None,
        lambda_request_nanousd=rng.choice([None, 200, 200, 200]) if on_lambda else None,
    )


def _recount(facts: Sequence[Fact], key: Callable[[Fact], Any]) -> dict[Any, UsageFigures]:
    groups: defaultdict[Any, list[tuple[NewRun, RunStatus, AttemptRecord, bool]]] = defaultdict(list)
    for fact in facts:
        groups[key(fact)].append(fact[:4])
    return {name: UsageFigures(**figures_of(group)) for name, group in groups.items()}


KEYS: dict[Dimension | None, Callable[[Fact], str]] = {
    None: lambda fact: "",
    Dimension.MODEL: lambda fact: f"{fact.run.provider}/{fact.run.model}",
    Dimension.PROVIDER: lambda fact: fact.run.provider,
    Dimension.AGENT: lambda fact: str(fact.run.agent_id or ""),
    Dimension.BACKEND: lambda fact: fact.attempt.backend.value,
    Dimension.PRINCIPAL: lambda fact: fact.run.principal_id,
}


@pytest.fixture
def agents(store: Store) -> list[UUID]:
    return [
        store.agents.create(PROJECT, name=name, description="", config={}, note="", by="local").id
        for name in ("First", "Second")
    ]


@pytest.fixture(params=[0, 60, 10_000], ids=["nothing folded", "some folded", "all folded"])
def facts(store: Store, agents: list[UUID], request: pytest.FixtureRequest) -> list[Fact]:
    found = _fill(store, runs=150, agents=agents, seed=7)
    while request.param and store.usage.fold(limit=request.param):
        if request.param == 60:
            break
    waiting = store.describe()["not_folded"]
    assert waiting == max(len(found) - request.param, 0)
    return [fact for fact in found if fact.run.project_id == PROJECT]


def test_every_split_in_every_zone_equals_a_recount(
    store: Store, facts: list[Fact], agents: list[UUID]
) -> None:
    everything = _recount(facts, KEYS[None])[""]
    assert store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2)) == everything
    for by, key_of in KEYS.items():
        if by is not None:
            found = {
                p.key: p.figures for p in store.usage.breakdown(PROJECT, SINCE, UNTIL + timedelta(days=2), by)
            }
            assert found == _recount(facts, key_of), by
        for name in ZONES:
            zone = ZoneInfo(name)

            def day(
                fact: Fact, key_of: Callable[[Fact], str] = key_of, zone: ZoneInfo = zone
            ) -> tuple[Any, str]:
                return fact.attempt.finished_at.astimezone(zone).date(), key_of(fact)

            points = store.usage.series(
                PROJECT, SINCE - timedelta(days=1), UNTIL + timedelta(days=2), grain="day", zone=zone, by=by
            )
            starts = [point.start.astimezone(zone) for point in points]
            assert all((start.hour, start.minute) == (0, 0) for start in starts)
            found = {(start.date(), p.key): p.figures for start, p in zip(starts, points, strict=True)}
            assert found == _recount(facts, day), (by, name)
    names = {
        p.label for p in store.usage.breakdown(PROJECT, SINCE, UNTIL + timedelta(days=2), Dimension.AGENT)
    }
    assert names == {"First", "Second", "(no agent)"}


def test_the_runs_own_costs_are_the_sums_of_their_parts_to_the_nano_dollar(
    store: Store, facts: list[Fact]
) -> None:
    by_run: defaultdict[UUID, list[int | None]] = defaultdict(list)
    for fact in facts:
        by_run[fact.run.id] += _parts(fact.attempt)
    expected = {
        run_id: None if None in parts else sum(part or 0 for part in parts)
        for run_id, parts in by_run.items()
    }
    details = list(store.runs.iterate(PROJECT, with_texts=False))
    assert {detail.summary.id: detail.summary.cost_nanousd for detail in details} == expected
    assert None in expected.values()
    on_lambda_only = {
        fact.run.id
        for fact in facts
        if fact.unpriced
        and not any(f.attempt.tokens_cost_nanousd is None for f in facts if f.run.id == fact.run.id)
    }
    assert on_lambda_only, "some are unpriced for what Lambda costs alone"
    figures = store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2))
    assert figures.unpriced_runs == sum(cost is None for cost in expected.values())
    known = sum(part or 0 for parts in by_run.values() for part in parts)
    assert figures.cost_nanousd == known


@pytest.mark.parametrize("minutes", [15, 60, 360])
def test_finer_grains_equal_a_recount(store: Store, facts: list[Fact], minutes: int) -> None:
    grain = timedelta(minutes=minutes)
    points = store.usage.series(PROJECT, SINCE, UNTIL + timedelta(days=2), grain=grain, zone=ZoneInfo("UTC"))
    found = {point.start: point.figures for point in points}
    assert found == _recount(facts, lambda f: SINCE + (f.attempt.finished_at - SINCE) // grain * grain)


def _filters(agents: list[UUID]) -> list[tuple[RunFilter, Callable[[Fact], bool]]]:
    return [
        (RunFilter(providers=("DEMO",)), lambda f: f.run.provider == "DEMO"),
        (RunFilter(models=("openai-a/x",)), lambda f: f.run.model == "openai-a/x"),
        (RunFilter(agent_ids=(agents[0],)), lambda f: f.run.agent_id == agents[0]),
        (RunFilter(backends=(Backend.LAMBDA,)), lambda f: f.attempt.backend is Backend.LAMBDA),
        (
            RunFilter(triggers=(Trigger.CLI, Trigger.API)),
            lambda f: f.run.trigger in (Trigger.CLI, Trigger.API),
        ),
        (
            RunFilter(providers=("OPENAI",), agent_ids=(agents[1],), backends=(Backend.LOCAL,)),
            lambda f: (
                f.run.provider == "OPENAI"
                and f.run.agent_id == agents[1]
                and f.attempt.backend is Backend.LOCAL
            ),
        ),
        (RunFilter(statuses=(RunStatus.FAILED,)), lambda f: f.status is RunStatus.FAILED),
        (
            RunFilter(error_codes=("RATE_LIMITED",), providers=("DEMO",)),
            lambda f: f.error_code == "RATE_LIMITED" and f.run.provider == "DEMO",
        ),
        (RunFilter(unpriced_only=True), lambda f: f.unpriced),
    ]


def test_filters_equal_a_recount(store: Store, facts: list[Fact], agents: list[UUID]) -> None:
    until = UNTIL + timedelta(days=2)
    for run_filter, wanted in _filters(agents):
        chosen = [fact for fact in facts if wanted(fact)]
        for by, key_of in KEYS.items():
            found = {
                point.key: point.figures
                for point in store.usage.series(
                    PROJECT, SINCE, until, grain=timedelta(days=30), by=by, filter=run_filter
                )
            }
            assert found == _recount(chosen, key_of), (run_filter, by)
        assert store.usage.totals(PROJECT, SINCE, until, run_filter) == _recount(chosen, KEYS[None])[""]


def test_percentiles_are_within_one_per_cent(store: Store, facts: list[Fact]) -> None:
    until = UNTIL + timedelta(days=2)
    counted = [
        fact
        for fact in facts
        if fact.attempt.final and fact.status in (RunStatus.SUCCEEDED, RunStatus.FAILED)
    ]
    for by, key_of in KEYS.items():
        exact: defaultdict[str, list[int]] = defaultdict(list)
        for fact in counted:
            exact[key_of(fact)].append(fact.latency_us)
        points = store.usage.latency(PROJECT, SINCE, until, by=by)
        assert {point.key: point.runs for point in points} == {
            key: len(values) for key, values in exact.items()
        }
        for point in points:
            expected = np.percentile(exact[point.key], [50, 95, 99], method="inverted_cdf")
            assert [point.p50_us, point.p95_us, point.p99_us] == pytest.approx(expected, rel=0.01)
    zone = ZoneInfo("Asia/Kolkata")
    daily = store.usage.latency(PROJECT, SINCE, until, grain="day", zone=zone, by=Dimension.MODEL)
    assert sum(point.runs for point in daily) == len(counted)
    demo = store.usage.latency(PROJECT, SINCE, until, filter=RunFilter(providers=("DEMO",)))
    assert [point.runs for point in demo] == [sum(fact.run.provider == "DEMO" for fact in counted)]


def test_percentiles_and_errors_with_a_filter_equal_a_recount(
    store: Store, facts: list[Fact], agents: list[UUID]
) -> None:
    until = UNTIL + timedelta(days=2)
    for run_filter, wanted in _filters(agents):
        decided = [fact for fact in facts if fact.attempt.final and wanted(fact)]
        errors: defaultdict[str, int] = defaultdict(int)
        for fact in decided:
            if fact.error_code:
                errors[fact.error_code] += 1
        found = store.usage.errors(PROJECT, SINCE, until, filter=run_filter)
        assert {code: runs for _, code, runs in found} == errors, run_filter
        for by, key_of in KEYS.items():
            exact: defaultdict[str, list[int]] = defaultdict(list)
            for fact in decided:
                if fact.status in (RunStatus.SUCCEEDED, RunStatus.FAILED):
                    exact[key_of(fact)].append(fact.latency_us)
            points = store.usage.latency(PROJECT, SINCE, until, by=by, filter=run_filter)
            assert {point.key: point.runs for point in points} == {
                key: len(values) for key, values in exact.items()
            }, (run_filter, by)
            for point in points:
                expected = np.percentile(exact[point.key], [50, 95, 99], method="inverted_cdf")
                assert [point.p50_us, point.p95_us, point.p99_us] == pytest.approx(expected, rel=0.01)


def test_errors_are_counted_by_run(store: Store, facts: list[Fact]) -> None:
    expected: defaultdict[str, int] = defaultdict(int)
    for fact in facts:
        if fact.attempt.final and fact.error_code:
            expected[fact.error_code] += 1
    until = UNTIL + timedelta(days=2)
    assert {code: runs for _, code, runs in store.usage.errors(PROJECT, SINCE, until)} == expected
    daily = store.usage.errors(PROJECT, SINCE, until, grain="day", zone=ZoneInfo("Europe/Berlin"))
    assert sum(point.runs for point in daily) == sum(expected.values())


def test_a_rebuild_gives_the_same_figures(store: Store, facts: list[Fact]) -> None:
    def everything() -> list[Any]:
        until = UNTIL + timedelta(days=2)
        series = [store.usage.series(PROJECT, SINCE, until, grain="day", by=by) for by in KEYS]
        return [
            *series,
            store.usage.errors(PROJECT, SINCE, until),
            store.usage.latency(PROJECT, SINCE, until, grain="day"),
            store.usage.latency(
                PROJECT, SINCE, until, by=Dimension.AGENT, filter=RunFilter(providers=("DEMO",))
            ),
        ]

    before, progress = everything(), []
    store.usage.rebuild(lambda done, total: progress.append((done, total)), batch=40)
    assert everything() == before
    assert progress[-1][0] == progress[-1][1] > 0
    while store.usage.fold():
        pass
    assert everything() == before


def test_an_interrupted_rebuild_is_continued_by_folding(store: Store, facts: list[Fact]) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        raise Killed

    before = store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2))
    with pytest.raises(Killed):
        store.usage.rebuild(kill, batch=40)
    assert store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2)) == before
    late = stored_run(store, at=SINCE)  # its id is below what the rebuild has counted already
    for _ in range(30):
        store.usage.fold(limit=40)
    after = store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2))
    assert asdict(after) == asdict(before) | {
        name: value + getattr(before, name)
        for name, value in figures_of([(late, RunStatus.SUCCEEDED, new_attempt(late), False)]).items()
    }
    assert store.describe()["not_folded"] == 0


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
