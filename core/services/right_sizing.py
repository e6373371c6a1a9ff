"""What another memory size or architecture of the function would cost, from what its executions used.

The duration is held as it was: an execution waits for its model, which more memory (and with it more processor) does
not shorten, nor less of it lengthen. What is left of it, the function's own work, is a few milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from core.pricing import lambda_rates
from core.pricing.rates import NANOUSD_PER_USD
from core.storage.lambda_queries import ExecutionFigures
from core.storage.records import Backend

SIZES_MB: Final = (
    *(128, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 1769, 2048, 3008),
    *(4096, 5120, 6144, 7168, 8192, 9216, 10240),
)
"""Any whole megabyte from 128 to 10,240 can be configured; these are the usual ones (1,769 is one whole processor)."""
ARCHITECTURES: Final = ("arm64", "x86_64")
HEAD_ROOM: Final = Decimal("1.3")
"""The recommended size has at least so many times the most memory that any execution used."""
FEW: Final = 100
"""From fewer executions than this, the most memory that any used says little."""
_DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class Size:
    """A configuration, and what 1,000 executions would cost on it in nano-dollars of compute; None is unknown."""

    memory_mb: int
    architecture: str
    per_thousand_nanousd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RightSizing:
    """What was used of one configuration of the function, and what each other one would cost.

    Attributes:
        executions: Those of which AWS told what is billed.
        now: The configuration as it was.
        max_memory_mb: The most that any execution in this region used, of `measured` executions; None is unknown.
        mean_billed_ms: Of an execution, initialisation included.
        sizes: All sizes on both architectures.
        recommended: The cheapest that has enough memory; None if not known which.
        a_year: Executions in a year, at the rate of the range.
        saving_nanousd: In a year; below 0 the recommended one costs more. None is unknown.
        few: Whether there are too few executions to trust the most that any used.
    """

    region: str | None
    executions: int
    now: Size
    measured: int
    max_memory_mb: int | None
    mean_billed_ms: Decimal
    sizes: Sequence[Size]
    recommended: Size | None
    a_year: int
    saving_nanousd: int | None
    few: bool

    @property
    def enough_mb(self) -> int | None:
        """The least memory with head-room; None if it is not known how much was used."""
        return None if self.max_memory_mb is None else _enough(self.max_memory_mb)


def right_sizings(figures: Sequence[ExecutionFigures], *, days: float) -> list[RightSizing]:
    """One for each configuration that the function had, the most used first.

    Args:
        figures: Of all agents, over some days.
        days: How many.
    """
    known = [one for one in figures if one.backend is Backend.LAMBDA and one.billed and one.memory_mb]
    groups: dict[tuple[str | None, str | None, int], list[ExecutionFigures]] = {}
    for one in known:
        groups.setdefault((one.region, one.architecture, one.memory_mb or 0), []).append(one)
    found = [_sizing(group, known, days=days) for group in groups.values()]
    return sorted(found, key=lambda sizing: -sizing.executions)


def _sizing(
    group: Sequence[ExecutionFigures], known: Sequence[ExecutionFigures], *, days: float
) -> RightSizing:
    region, architecture, memory_mb = group[0].region, group[0].architecture, group[0].memory_mb or 0
    same_code = [one for one in known if one.region == region]
    measured = sum(one.measured for one in same_code)
    used = max((one.max_memory_mb or 0 for one in same_code), default=0) or None
    executions = sum(one.billed for one in group)
    sizes = [_size(group, size, name) for name in ARCHITECTURES for size in SIZES_MB]
    now = _size(group, memory_mb, architecture or "")
    recommended = None if used is None else _cheapest(sizes, _enough(used))
    a_year = round(executions / days * _DAYS_A_YEAR)
    return RightSizing(
        region=region,
        executions=executions,
        now=now,
        measured=measured,
        max_memory_mb=used,
        mean_billed_ms=Decimal(sum(one.billed_ms for one in group)) / executions,
        sizes=sizes,
        recommended=recommended,
        a_year=a_year,
        saving_nanousd=_saving(now, recommended, a_year),
        few=measured < FEW,
    )


def _enough(used_mb: int) -> int:
    return int((used_mb * HEAD_ROOM).to_integral_value(rounding="ROUND_CEILING"))


def _cheapest(sizes: Sequence[Size], least_mb: int) -> Size | None:
    priced = [
        (size.per_thousand_nanousd, size.memory_mb, size.architecture, size)
        for size in sizes
        if size.memory_mb >= least_mb and size.per_thousand_nanousd is not None
    ]
    return min(priced)[-1] if priced else None


def _saving(now: Size, recommended: Size | None, a_year: int) -> int | None:
    if recommended is None or recommended.per_thousand_nanousd is None or now.per_thousand_nanousd is None:
        return None
    return (now.per_thousand_nanousd - recommended.per_thousand_nanousd) * a_year // 1_000


def _size(group: Sequence[ExecutionFigures], memory_mb: int, architecture: str) -> Size:
    total = executions_cost(
        region=group[0].region,
        architecture=architecture,
        memory_mb=memory_mb,
        billed_ms=sum(one.billed_ms for one in group),
        restored=sum(one.restored for one in group),
    )
    if total is None:
        return Size(memory_mb, architecture, None)
    each = Decimal(total) * 1_000 / sum(one.billed for one in group)
    return Size(memory_mb, architecture, int(each.to_integral_value(rounding=ROUND_HALF_EVEN)))


def executions_cost(
    *, region: str | None, architecture: str | None, memory_mb: int, billed_ms: int, restored: int
) -> int | None:
    """What executions cost in nano-dollars, those that restored a snapshot with it; None if a price is unknown."""
    cost = lambda_rates.compute_nanousd(
        billed_ms=billed_ms, memory_mb=memory_mb, region=region, architecture=architecture
    )
    if cost is None or not restored:
        return cost
    price = lambda_rates.RATES[region or ""].per_gb_restored
    if price is None:
        return None
    return cost + int(price * NANOUSD_PER_USD * memory_mb * restored / 1024)
