"""AWS Lambda beside this machine, agent by agent; and what another size of the function would cost."""

from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from core.contract import utc_now
from core.errors import ErrorCode
from core.pricing.lambda_rates import compute_nanousd
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.lambda_usage import LambdaUsage
from core.services.principal import LOCAL
from core.services.right_sizing import FEW, SIZES_MB, right_sizings
from core.services.usage import Period, span_of
from core.storage.lambda_queries import ExecutionFigures
from core.storage.records import Backend, RunFilter, RunStatus
from tests.support.stored_runs import executed_on_lambda, opened_application, store_run

EXECUTED = ExecutionFigures(
    agent_id=None,
    backend=Backend.LAMBDA,
    region="eu-central-1",
    architecture="x86_64",
    memory_mb=1024,
    attempts=1_000,
    fell_back=0,
    timed=1_000,
    client_us=0,
    model_us=0,
    reported=1_000,
    cold_starts=0,
    init_us=0,
    restored=0,
    restore_us=0,
    billed=1_000,
    billed_ms=1_000_000,
    billed_restore_ms=0,
    measured=1_000,
    max_memory_mb=150,
)


@pytest.fixture
def application() -> Generator[Application]:
    with opened_application() as application:
        yield application


def report(application: Application, run_filter: RunFilter | None = None) -> LambdaUsage:
    span = span_of(Period.DAYS_7, zone=ZoneInfo("UTC"))
    return application.lambda_usage.report(LOCAL, span, run_filter)


def test_an_agent_has_both_sides_and_one_that_never_ran_there_is_left_out(application: Application) -> None:
    config = AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
    triage = application.agents.create(LOCAL, name="Triage", config=config)
    other = application.agents.create(LOCAL, name="Other", config=config)
    at = utc_now()
    for cold in (True, False, False):
        store_run(application, at=at, agent=triage, seconds=1.1, **executed_on_lambda(cold=cold))
    lost = {"status": RunStatus.FAILED, "error": ErrorCode.PROVIDER_TIMEOUT, "cost_nanousd": 0}
    store_run(application, at=at, agent=triage, **lost, **executed_on_lambda())
    store_run(application, at=at, agent=triage, seconds=1.0, model_time_us=990_000)
    store_run(application, at=at, agent=other)
    for _ in range(2):  # from the tail, and folded
        found = report(application)
        (compared,) = found.agents
        assert compared.name == "Triage"
        there, here = compared.on_lambda, compared.local
        assert here is not None
        assert there.latency is not None
        assert (there.figures.runs, there.failed, there.timed, here.figures.runs) == (4, 1, 3, 1)
        assert there.latency.p50_us == pytest.approx(1_100_000, rel=0.01)
        assert (there.model_us, there.overhead_us) == (960_000, pytest.approx(140_000))
        assert here.overhead_us == pytest.approx(10_000)
        assert here.cold_starts is None
        cold = there.cold_starts
        assert cold is not None
        assert (cold.reported, cold.cold, cold.mean_us) == (4, 1, 640_000)
        assert cold.cost_nanousd == compute_nanousd(
            billed_ms=640, memory_mb=1024, region="eu-central-1", architecture="x86_64"
        )
        assert there.figures.lambda_request_nanousd == 4 * 200
        assert there.cost_per_run_nanousd == there.figures.cost_nanousd / 4
        while application.store.usage.fold():
            pass
    assert report(application, RunFilter(agent_ids=(other.id,))).agents == ()


def test_an_agent_that_never_ran_here_has_no_side_here(application: Application) -> None:
    run = store_run(application, at=utc_now(), **executed_on_lambda())
    assert report(application).agents[0].local is None
    assert application.runs.get(LOCAL, run).attempts[0].backend is Backend.LAMBDA


def test_each_size_costs_its_share_of_memory_and_the_cheapest_that_is_enough_is_recommended() -> None:
    (sizing,) = right_sizings([EXECUTED], days=10)
    assert sizing.mean_billed_ms == 1_000
    assert sizing.now.per_thousand_nanousd == 16_666_700
    by_size = {(size.architecture, size.memory_mb): size.per_thousand_nanousd for size in sizing.sizes}
    assert len(by_size) == 2 * len(SIZES_MB)
    assert by_size["x86_64", 512] == 8_333_350
    assert by_size["arm64", 1024] == 13_333_400
    # 150 MB and nearly a third more is 195 MB: 192 would be too little.
    assert sizing.enough_mb == 195
    assert sizing.recommended is not None
    assert (sizing.recommended.architecture, sizing.recommended.memory_mb) == ("arm64", 256)
    assert sizing.a_year == 36_500
    assert sizing.saving_nanousd == (16_666_700 - 3_333_350) * 365 // 10
    assert not sizing.few


def test_it_is_never_below_what_any_configuration_used() -> None:
    killed = replace(EXECUTED, memory_mb=128, max_memory_mb=128, billed=5, billed_ms=5_000, measured=5)
    heavy = replace(EXECUTED, memory_mb=2048, max_memory_mb=900, billed=5, billed_ms=5_000, measured=5)
    for sizing in right_sizings([killed, EXECUTED, heavy], days=1):
        assert sizing.recommended is not None
        assert sizing.recommended.memory_mb == 1280
    (sizing,) = right_sizings([killed], days=1)
    assert sizing.recommended is not None
    assert sizing.recommended.memory_mb == 192
    assert sizing.saving_nanousd is not None
    assert sizing.saving_nanousd < 0
    assert sizing.few
    assert sizing.measured < FEW


def test_unknown_is_unknown() -> None:
    (no_memory,) = right_sizings([replace(EXECUTED, measured=0, max_memory_mb=None)], days=1)
    assert (no_memory.recommended, no_memory.saving_nanousd, no_memory.enough_mb) == (None, None, None)
    (no_price,) = right_sizings([replace(EXECUTED, region="mars-north-1")], days=1)
    assert {size.per_thousand_nanousd for size in no_price.sizes} == {None}
    assert (no_price.recommended, no_price.saving_nanousd) == (None, None)
    (restored,) = right_sizings([replace(EXECUTED, restored=10)], days=1)
    assert restored.now.per_thousand_nanousd is None, "the price of a restore is known in one region only"
    (there,) = right_sizings([replace(EXECUTED, region="us-east-1", restored=10)], days=1)
    assert there.now.per_thousand_nanousd == 16_666_700 + Decimal("0.0001397998") * 10**9 * 10
    assert right_sizings([replace(EXECUTED, billed=0, billed_ms=0)], days=1) == []
