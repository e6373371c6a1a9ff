"""Runs whose figures are counted by hand, for the tests of the figures."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from core.storage.records import (
    AttemptRecord,
    Backend,
    Dimension,
    NewRun,
    RunStatus,
    Trigger,
    UsageFigures,
)
from core.storage.store import Store
from tests.store.samples import PROJECT, figures_of, finish, new_attempt, new_run

SINCE = datetime(2026, 10, 20, tzinfo=UTC)
UNTIL = datetime(2026, 11, 3, tzinfo=UTC)  # daylight saving ends in Europe and America in between


class Fact(NamedTuple):
    """An attempt, and what is known of its run."""

    run: NewRun
    status: RunStatus
    attempt: AttemptRecord
    unpriced: bool
    latency_us: int
    error_code: str | None


def fill(store: Store, *, runs: int, agents: Sequence[UUID], seed: int) -> list[Fact]:
    """Stores runs of every kind between `SINCE` and `UNTIL`, of two projects; gives all their attempts."""
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
        unpriced = any(None in cost_parts(attempt) for attempt in attempts)
        latency_us = (ends - at) // timedelta(microseconds=1)
        facts += [Fact(run, status, attempt, unpriced, latency_us, code) for attempt in attempts]
    return facts


def cost_parts(attempt: AttemptRecord) -> list[int | None]:
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


def recount(facts: Sequence[Fact], key: Callable[[Fact], Any]) -> dict[Any, UsageFigures]:
    """The figures of these attempts by whatever `key` gives, counted by hand."""
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


class Filled(NamedTuple):
    """A store with runs in it, of which nothing, some or all is folded, and what is known of its own project's."""

    store: Store
    agents: list[UUID]
    facts: list[Fact]

    @classmethod
    def make(cls, url: str, *, fold: int) -> Self:
        """Fills the store at the URL.

        Args:
            fold: How many attempts are folded, at most; 0 folds none.
        """
        store = Store.open(url)
        agents = [
            store.agents.create(PROJECT, name=name, description="", config={}, note="", by="local").id
            for name in ("First", "Second")
        ]
        found = fill(store, runs=150, agents=agents, seed=7)
        left = fold
        while left and (done := store.usage.fold(limit=left)):
            left -= done
        assert store.describe()["not_folded"] == max(len(found) - fold, 0)
        return cls(store, agents, [fact for fact in found if fact.run.project_id == PROJECT])


FOLDED = {"nothing folded": 0, "some folded": 60, "all folded": 10_000}
