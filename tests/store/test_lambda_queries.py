"""What is summed up by agent, backend and the function's configuration: from the tail, the roll-up, and a rebuild."""

from datetime import timedelta

import pytest

from core import ids
from core.storage.lambda_queries import ExecutionFigures
from core.storage.records import AttemptReason, Backend, RunStatus
from core.storage.store import Store
from tests.store.samples import PROJECT, finish, new_attempt, new_run, now

AGENT = ids.uuid7()

LAMBDA = {
    "backend": Backend.LAMBDA,
    "model_time_us": 900_000,
    "lambda_request_id": "r",
    "lambda_region": "eu-central-1",
    "lambda_architecture": "arm64",
    "lambda_memory_mb": 512,
    "lambda_max_memory_mb": 140,
    "lambda_cold_start": False,
    "lambda_duration_us": 950_000,
    "lambda_billed_ms": 950,
}


def executions(store: Store, agent_ids: tuple = ()) -> dict[tuple, ExecutionFigures]:
    found = store.lambda_usage.executions(PROJECT, now() - timedelta(hours=2), now(), agent_ids)
    return {(one.agent_id, one.backend, one.memory_mb): one for one in found}


@pytest.fixture
def filled(store: Store) -> Store:
    for change in (
        {},
        {
            "lambda_cold_start": True,
            "lambda_init_us": 300_000,
            "lambda_billed_ms": 1_250,
            "lambda_max_memory_mb": 160,
        },
        {"lambda_memory_mb": 1024},
    ):
        store.runs.start(run := new_run(agent_id=AGENT, backend=Backend.LAMBDA))
        finish(store, run, new_attempt(run, **LAMBDA | change))
    store.runs.start(run := new_run(agent_id=AGENT))
    finish(store, run, new_attempt(run, model_time_us=980_000))
    # Nothing is known of it; then the run falls back.
    store.runs.start(run := new_run(backend=Backend.LAMBDA))
    lost = new_attempt(
        run, backend=Backend.LAMBDA, final=False, status=RunStatus.FAILED, error_code="LAMBDA_UNREACHABLE"
    )
    store.runs.finish(
        run.id,
        status=RunStatus.SUCCEEDED,
        finished_at=now(),
        attempts=[lost, new_attempt(run, ordinal=2, reason=AttemptReason.FALLBACK)],
        response="Hello.",
        fell_back_from=Backend.LAMBDA,
    )
    return store


def test_each_configuration_has_its_sums(filled: Store) -> None:
    found = executions(filled)
    small = found[AGENT, Backend.LAMBDA, 512]
    assert (small.attempts, small.timed, small.client_us, small.model_us) == (2, 2, 2_000_000, 1_800_000)
    assert (small.reported, small.cold_starts, small.init_us) == (2, 1, 300_000)
    assert (small.billed, small.billed_ms, small.measured, small.max_memory_mb) == (2, 2_200, 2, 160)
    assert (small.region, small.architecture) == ("eu-central-1", "arm64")
    assert found[AGENT, Backend.LAMBDA, 1024].attempts == 1
    local = found[AGENT, Backend.LOCAL, None]
    assert (local.timed, local.client_us, local.model_us, local.max_memory_mb) == (
        1,
        1_000_000,
        980_000,
        None,
    )


def test_what_aws_did_not_say_is_unknown_and_a_fall_back_counts_where_it_ended(filled: Store) -> None:
    found = executions(filled)
    lost = found[None, Backend.LAMBDA, None]
    assert (lost.attempts, lost.billed, lost.measured, lost.reported, lost.timed) == (1, 0, 0, 0, 0)
    assert (lost.region, lost.max_memory_mb, lost.fell_back) == (None, None, 0)
    assert found[None, Backend.LOCAL, None].fell_back == 1


def test_folding_and_rebuilding_change_no_figure(filled: Store) -> None:
    before = executions(filled)
    assert len(before) == 5
    assert filled.usage.fold(limit=3) == 3
    assert executions(filled) == before
    while filled.usage.fold():
        pass
    assert executions(filled) == before
    filled.usage.rebuild(batch=2)
    assert executions(filled) == before


def test_only_the_named_agents_are_looked_at(filled: Store) -> None:
    while filled.usage.fold(limit=4):
        assert {key[0] for key in executions(filled, (AGENT,))} == {AGENT}
    assert {key[0] for key in executions(filled, (AGENT,))} == {AGENT}
    assert executions(filled, (ids.uuid7(),)) == {}


def test_a_range_without_time_holds_nothing(filled: Store) -> None:
    moment = now().replace(minute=0, second=0, microsecond=0)
    assert filled.lambda_usage.executions(PROJECT, moment, moment) == []
