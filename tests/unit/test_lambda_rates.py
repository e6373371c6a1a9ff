"""What an execution on AWS Lambda costs."""

from decimal import Decimal, localcontext

import pytest

from core.execution.report_line import LambdaReport
from core.pricing.lambda_rates import NOTHING_BILLED, RATES, LambdaCost, compute_nanousd, lambda_cost


def report(**fields: object) -> LambdaReport:
    known = {"billed_ms": 1_000, "memory_mb": 1_024, "region": "us-east-1", "architecture": "arm64"}
    return LambdaReport(**{**known, **fields})  # type: ignore[arg-type]


def test_a_gigabyte_second_and_a_request() -> None:
    assert lambda_cost(report()) == LambdaCost(13_333, 200)
    assert lambda_cost(report(architecture="x86_64")) == LambdaCost(16_667, 200)


def test_aws_own_example_adds_up() -> None:
    # aws.amazon.com/lambda/pricing, example 1: 3 million requests of 120 ms with 1,536 MB on x86 are 540,000
    # GB-seconds, $9.00, and $0.60 of requests, free tier aside.
    cost = lambda_cost(report(billed_ms=120, memory_mb=1_536, architecture="x86_64"))
    assert cost.compute_nanousd is not None
    assert abs(cost.compute_nanousd * 3_000_000 / 10**9 - 540_000 * 0.0000166667) < 0.01
    assert cost.request_nanousd is not None
    assert cost.request_nanousd * 3_000_000 == 600_000_000


def test_initialisation_is_in_the_billed_time_already() -> None:
    assert lambda_cost(report(init_ms=Decimal("463.5"))) == lambda_cost(report())


def test_restoring_a_snapshot_has_its_price_where_it_is_known() -> None:
    restored = lambda_cost(report(restore_ms=Decimal("700"), billed_restore_ms=100))
    assert restored == LambdaCost(13_333 + 139_800, 200)
    assert lambda_cost(report(restore_ms=Decimal("700"), region="eu-west-1")) == LambdaCost(None, 200)


@pytest.mark.parametrize(
    "fields", [{"billed_ms": None}, {"memory_mb": None}, {"architecture": None}, {"architecture": "riscv"}]
)
def test_an_unknown_figure_is_an_unknown_price_and_not_zero(fields: dict[str, object]) -> None:
    assert lambda_cost(report(**fields)) == LambdaCost(None, 200)


def test_an_unknown_region_has_no_price() -> None:
    for region in (None, "", "xx-nowhere-1", "cn-north-1"):
        assert lambda_cost(report(region=region)) == LambdaCost(None, None)
    assert lambda_cost(None) == LambdaCost(None, None)
    assert lambda_cost(report(region="me-south-1")).request_nanousd is None


def test_nothing_that_ran_is_a_known_zero() -> None:
    assert LambdaCost(0, 0) == NOTHING_BILLED
    assert lambda_cost(report(billed_ms=0)).compute_nanousd == 0


def test_the_longest_and_largest_execution_is_exact_and_fits_a_column() -> None:
    with localcontext() as context:
        context.prec = 3  # of a program that uses the thread's own context otherwise
        cost = compute_nanousd(billed_ms=900_000, memory_mb=10_240, region="ap-east-1", architecture="x86_64")
    assert cost == 206_280_000
    largest = compute_nanousd(billed_ms=10**7, memory_mb=10**7, region="ap-east-1", architecture="x86_64")
    assert largest is not None
    assert largest < 2**63


def test_arm_is_cheaper_in_every_region() -> None:
    assert all(rate.arm64 < rate.x86_64 for rate in RATES.values())
