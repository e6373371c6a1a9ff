"""Figures against a recount by hand, while nothing, some and all of it is folded; nothing here writes."""

from collections import defaultdict
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.storage.records import Backend, Dimension, RunFilter, RunStatus, Trigger
from core.storage.store import Store
from tests.store.samples import PROJECT
from tests.store.usage_facts import FOLDED, KEYS, SINCE, UNTIL, Fact, Filled, cost_parts, recount
from tests.support.sqlite_files import put_schema

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes databases with the schema, for this module: filling one takes longer than a look at it."""

    def make() -> str:
        if request.param == "postgresql":
            template = request.getfixturevalue("migrated_template")
            return request.getfixturevalue("postgres").create_database(template=template)
        url = f"sqlite:///{tmp_path_factory.mktemp('usage') / 'store.db'}"
        put_schema(url)
        return url

    return make


@pytest.fixture(scope="module", params=FOLDED.values(), ids=list(FOLDED))
def filled(make_url: Callable[[], str], request: pytest.FixtureRequest) -> Generator[Filled]:
    filled = Filled.make(make_url(), fold=request.param)
    yield filled
    filled.store.close()


@pytest.fixture(scope="module")
def store(filled: Filled) -> Store:
    return filled.store


@pytest.fixture(scope="module")
def facts(filled: Filled) -> list[Fact]:
    return filled.facts


@pytest.fixture(scope="module")
def agents(filled: Filled) -> list[UUID]:
    return filled.agents


def test_every_split_in_every_zone_equals_a_recount(
    store: Store, facts: list[Fact], agents: list[UUID]
) -> None:
    everything = recount(facts, KEYS[None])[""]
    assert store.usage.totals(PROJECT, SINCE, UNTIL + timedelta(days=2)) == everything
    for by, key_of in KEYS.items():
        if by is not None:
            found = {
                p.key: p.figures for p in store.usage.breakdown(PROJECT, SINCE, UNTIL + timedelta(days=2), by)
            }
            assert found == recount(facts, key_of), by
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
            assert found == recount(facts, day), (by, name)
    names = {
        p.label for p in store.usage.breakdown(PROJECT, SINCE, UNTIL + timedelta(days=2), Dimension.AGENT)
    }
    assert names == {"First", "Second", "(no agent)"}


def test_the_runs_own_costs_are_the_sums_of_their_parts_to_the_nano_dollar(
    store: Store, facts: list[Fact]
) -> None:
    by_run: defaultdict[UUID, list[int | None]] = defaultdict(list)
    for fact in facts:
        by_run[fact.run.id] += cost_parts(fact.attempt)
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
    assert found == recount(facts, lambda f: SINCE + (f.attempt.finished_at - SINCE) // grain * grain)


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
            assert found == recount(chosen, key_of), (run_filter, by)
        assert store.usage.totals(PROJECT, SINCE, until, run_filter) == recount(chosen, KEYS[None])[""]


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
