"""Many processes at once, and processes that are killed."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest

from core.storage.records import RunFilter, RunStatus, UsageFigures
from core.storage.store import Store
from tests.store.programs import result_of, start_program
from tests.store.samples import PROJECT, now


def _recount(url: str) -> dict[str, int]:
    """What the attempts say, in SQL of its own that shares nothing with the program's."""
    query = """
        SELECT count(*), sum(CASE WHEN attempt.final THEN 1 ELSE 0 END), sum(attempt.output_tokens),
               sum(attempt.tokens_cost_nanousd), sum(attempt.input_cost_nanousd), count(DISTINCT attempt.run_id)
        FROM attempt JOIN run ON run.id = attempt.run_id
    """
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            row = connection.execute(query).fetchone()
    else:
        with psycopg.connect(unquote(url)) as connection:
            row = connection.execute(query).fetchone() or ()
    names = ("attempts", "runs", "output_tokens", "tokens_cost_nanousd", "input_cost_nanousd", "distinct")
    return {name: int(value) for name, value in zip(names, row, strict=True)}


def _check(figures: UsageFigures, recount: dict[str, int]) -> None:
    assert recount["distinct"] == recount["runs"]
    for name in ("attempts", "runs", "output_tokens", "tokens_cost_nanousd", "input_cost_nanousd"):
        assert getattr(figures, name) == recount[name], name


def _totals(store: Store) -> UsageFigures:
    return store.usage.totals(PROJECT, now() - timedelta(hours=2), now() + timedelta(hours=1))


def test_nothing_acknowledged_is_lost_when_a_process_is_killed_fifty_times(
    store: Store, database_url: str
) -> None:
    said = result_of(start_program("crash", database_url, 50))["said"]
    started = {line.split()[1] for line in said if line.startswith("started ")}
    finished = {line.split()[1] for line in said if line.startswith("finished ")}
    assert not [line for line in said if line.split()[0] not in ("started", "finished")]
    assert len(started) >= 50

    stored = {str(detail.summary.id): detail for detail in store.runs.iterate(PROJECT)}
    assert started <= stored.keys()
    for run_id in finished:
        assert stored[run_id].summary.status is RunStatus.SUCCEEDED
        assert stored[run_id].response == f"Answer {run_id}"
        assert len(stored[run_id].attempts) == 2
    orphans = {run.id for run in store.runs.running(PROJECT)}
    assert orphans

    assert store.runs.reap(now=now() + timedelta(seconds=16)) == len(orphans)
    assert store.runs.running(PROJECT) == []
    unknown = store.runs.iterate(PROJECT, RunFilter(statuses=(RunStatus.OUTCOME_UNKNOWN,)))
    assert {detail.summary.id for detail in unknown} == orphans
    while store.usage.fold():
        pass
    figures = _totals(store)
    _check(figures, _recount(database_url))
    assert figures.runs == len(stored)
    assert figures.outcome_unknown == figures.unpriced_runs == len(orphans)


def test_figures_are_exact_under_32_writers_while_folders_are_killed(store: Store, database_url: str) -> None:
    program = start_program("pressure", database_url, 4, 8, 12)
    seen = 0
    while program.poll() is None:
        before = store.runs.count(PROJECT, RunFilter(statuses=(RunStatus.SUCCEEDED,)))
        figures = _totals(store)
        after = store.runs.count(PROJECT, RunFilter(statuses=(RunStatus.SUCCEEDED,)))
        assert before <= figures.runs <= after
        assert figures.attempts == 2 * figures.runs
        assert figures.tokens_cost_nanousd == 1_007 * figures.runs
        seen += 0 < figures.runs < 4 * 8 * 12
    result = result_of(program)
    assert result["errors"] == []
    assert result["kills"] >= 8
    assert 0 < result["folded"] <= 2 * 4 * 8 * 12
    assert seen >= 1

    recount = _recount(database_url)
    assert recount["runs"] == 4 * 8 * 12
    _check(_totals(store), recount)
    while store.usage.fold(limit=100, now=now() + timedelta(days=1_000)):
        _check(_totals(store), recount)
    assert store.describe()["not_folded"] == 0
    store.usage.rebuild()
    _check(_totals(store), recount)


def test_eight_processes_lose_no_update_and_none_is_locked_out(store: Store, database_url: str) -> None:
    result = result_of(start_program("counters", database_url, 8, 10))
    assert result["errors"] == []
    assert result["codes"] == [0] * 8
    agent = store.agents.get_by_name(PROJECT, "Counter")
    assert agent.version.config == {"n": 80}
    assert (agent.revision, agent.version.number) == (81, 81)
    assert [version.config["n"] for version in store.agents.versions(PROJECT, agent.id)] == list(
        range(80, -1, -1)
    )
    assert store.runs.count(PROJECT, RunFilter(statuses=(RunStatus.SUCCEEDED,))) == 80
    _check(_totals(store), _recount(database_url))


@pytest.mark.parametrize("processes", [8])
def test_processes_that_start_together_migrate_once(tmp_path: Path, processes: int) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'store.db'}"
    result = result_of(start_program("open_together", url, processes))
    assert result["codes"] == [0] * processes, result["said"]
    assert len(set(result["said"])) == 1
    assert len(result["said"]) == processes
