"""What AWS Lambda bills for one execution: compute by the GB-second, and the request.

On-demand prices of the first tier (up to 6 billion GB-seconds a month on x86, 7.5 billion on Arm), without the free
tier, savings plans and an account's own discounts: as much as AWS bills at most. Initialisation is a part of the
billed duration since 2025-08-01, and the billed part of restoring a snapshot likewise, so that neither is added here.

Not in it: log storage, ephemeral storage above 512 MB, provisioned concurrency, and the price of keeping a snapshot,
none of which an execution is billed for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Protocol

from core.pricing.rates import NANOUSD_PER_USD

SOURCE: Final = "aws.amazon.com/lambda/pricing"
CHECKED: Final = date(2026, 11, 22)
"""When the table was last compared with published copies of AWS's price list."""

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MB_MS_PER_GB_S: Final = Decimal(1024 * 1000)
_PER_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaRate:
    """A region's prices, in US dollars. None is a price that is not known here.

    Attributes:
        x86_64, arm64: Per GB-second.
        per_million_requests: Likewise for both architectures.
        per_gb_restored: For restoring a snapshot (SnapStart for Python), by the function's memory size.
    """

    x86_64: Decimal
    arm64: Decimal
    per_million_requests: Decimal | None
    per_gb_restored: Decimal | None = None

    def usd_per_gb_second(self, architecture: str | None) -> Decimal | None:
        """The price of a GB-second; None for an architecture that is not known."""
        match architecture:
            case "x86_64":
                return self.x86_64
            case "arm64":
                return self.arm64
            case _:
                return None


_MOST: Final = LambdaRate(
    x86_64=Decimal("0.0000166667"), arm64=Decimal("0.0000133334"), per_million_requests=Decimal("0.20")
)
_MIDDLE_EAST: Final = LambdaRate(
    x86_64=Decimal("0.0000206667"), arm64=Decimal("0.0000165334"), per_million_requests=None
)

RATES: Final[Mapping[str, LambdaRate]] = {
    **dict.fromkeys(
        (
            *("us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
            *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1"),
            *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
            *("ap-southeast-1", "ap-southeast-2", "ap-south-1"),
        ),
        _MOST,
    ),
    "us-east-1": LambdaRate(
        x86_64=_MOST.x86_64,
        arm64=_MOST.arm64,
        per_million_requests=_MOST.per_million_requests,
        per_gb_restored=Decimal("0.0001397998"),
    ),
    "af-south-1": LambdaRate(
        x86_64=Decimal("0.0000221"), arm64=Decimal("0.00001768"), per_million_requests=None
    ),
    "ap-east-1": LambdaRate(
        x86_64=Decimal("0.00002292"), arm64=Decimal("0.0000183"), per_million_requests=None
    ),
    "eu-south-1": LambdaRate(
        x86_64=Decimal("0.0000195172"),
        arm64=Decimal("0.0000156138"),
        per_million_requests=Decimal("0.23"),
    ),
    "me-south-1": _MIDDLE_EAST,
    "me-central-1": _MIDDLE_EAST,
}
"""By region. One that is not here has no known price: newer regions differ, and a guess would be a wrong bill."""


class Execution(Protocol):
    """What is billed of an execution; `core.execution.report_line.LambdaReport` is one."""

    @property
    def billed_ms(self) -> int | None:
        """See `LambdaReport`."""
        ...

    @property
    def memory_mb(self) -> int | None:
        """See `LambdaReport`."""
        ...

    @property
    def restore_ms(self) -> Decimal | None:
        """See `LambdaReport`."""
        ...

    @property
    def region(self) -> str | None:
        """See `LambdaReport`."""
        ...

    @property
    def architecture(self) -> str | None:
        """See `LambdaReport`."""
        ...


@dataclass(frozen=True, slots=True)
class LambdaCost:
    """What AWS Lambda bills for an execution, in integer nano-dollars (10^-9 USD), without the model's tokens.

    Attributes:
        compute_nanousd: GB-seconds, and the restoring of a snapshot; None if a figure or a price is unknown.
        request_nanousd: None if the price is unknown.
    """

    compute_nanousd: int | None
    request_nanousd: int | None


NOTHING_BILLED: Final = LambdaCost(0, 0)
"""Of an invocation that AWS refused, or that never reached it."""


def lambda_cost(execution: Execution | None) -> LambdaCost:
    """What this execution cost on Lambda; unknown where AWS said nothing of it. Never raises.

    Args:
        execution: The report of a function that ran, whether it answered, failed or was killed: AWS bills all
            three. Where it is certain that nothing ran, use `NOTHING_BILLED` instead.
    """
    rate = None if execution is None else RATES.get(execution.region or "")
    if execution is None or rate is None:
        return LambdaCost(None, None)
    price = rate.per_million_requests
    return LambdaCost(
        _compute(execution, rate),
        None if price is None else _nanousd(_EXACT.divide(price, _PER_MILLION)),
    )


def compute_nanousd(
    *, billed_ms: int, memory_mb: int, region: str | None, architecture: str | None
) -> int | None:
    """What so much compute costs; None if the price is unknown. For what-if questions, too."""
    rate = RATES.get(region or "")
    price = None if rate is None else rate.usd_per_gb_second(architecture)
    if price is None:
        return None
    gb_seconds = _EXACT.divide(Decimal(billed_ms * memory_mb), _MB_MS_PER_GB_S)
    return _nanousd(_EXACT.multiply(price, gb_seconds))


def _compute(execution: Execution, rate: LambdaRate) -> int | None:
    if execution.billed_ms is None or execution.memory_mb is None:
        return None
    compute = compute_nanousd(
        billed_ms=execution.billed_ms,
        memory_mb=execution.memory_mb,
        region=execution.region,
        architecture=execution.architecture,
    )
    if compute is None or execution.restore_ms is None:
        return compute
    if rate.per_gb_restored is None:
        return None
    restored_gb = _EXACT.divide(Decimal(execution.memory_mb), Decimal(1024))
    return compute + _nanousd(_EXACT.multiply(rate.per_gb_restored, restored_gb))


def _nanousd(usd: Decimal) -> int:
    return int(_EXACT.to_integral_value(_EXACT.multiply(usd, NANOUSD_PER_USD)))
