"""What a model would have to do: tokens a run and runs a month, as somebody says it or as it can be estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt
from typing import Final

from core.contract import TokenUsage
from core.errors import InvalidInput
from core.pricing.estimate import input_tokens_of
from core.storage.records import UsageFigures

DAYS_PER_MONTH: Final = 30
"""Also the number of days over which an agent's runs are looked at."""

MAX_TOKENS_PER_RUN: Final = 10_000_000
MAX_RUNS: Final = 10_000_000

ASSUMED_INPUT_TOKENS: Final = 1_000
ASSUMED_OUTPUT_TOKENS: Final = 500
ASSUMED_RUNS_PER_DAY: Final = 100


class Basis(StrEnum):
    """Where a figure comes from."""

    GIVEN = "given"
    RUNS = "runs"
    """The mean of the agent's own successful runs."""
    TEXT = "text"
    """The length of the prompt."""
    ASSUMED = "assumed"


class Per(StrEnum):
    """What a number of runs is counted by."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is priced.

    Attributes:
        input_tokens: Of one run, cached ones included.
        input_band: At least and at most, where the length of a text is all that is known.
        output_tokens: Of one run, reasoning included.
        cached_input_percent: How much of the input the vendor reads from its prompt cache.
        runs_per_month: A month has 30 days.
        measured_runs: The successful runs of the last 30 days behind what says `Basis.RUNS`.
    """

    input_tokens: int
    output_tokens: int
    cached_input_percent: int
    runs_per_month: int
    input_basis: Basis = Basis.GIVEN
    output_basis: Basis = Basis.GIVEN
    cached_basis: Basis = Basis.GIVEN
    runs_basis: Basis = Basis.GIVEN
    input_band: tuple[int, int] | None = None
    measured_runs: int = 0

    @property
    def usage(self) -> TokenUsage:
        """One run's, as a vendor would report it."""
        return TokenUsage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            total_tokens=self.input_tokens + self.output_tokens,
            cached_input_tokens=self.input_tokens * self.cached_input_percent // 100,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadAsked:
    """What somebody says of a workload; None where it is to be found out.

    Raises:
        InvalidInput: A figure that cannot be.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_percent: int | None = None
    runs: int | None = None
    per: Per = Per.DAY

    def __post_init__(self) -> None:
        _check("input tokens of a run", self.input_tokens, MAX_TOKENS_PER_RUN)
        _check("output tokens of a run", self.output_tokens, MAX_TOKENS_PER_RUN)
        _check("share of cached input, in percent,", self.cached_input_percent, 100)
        _check("number of runs", self.runs, MAX_RUNS)


def resolve(
    asked: WorkloadAsked, *, texts: Sequence[str] = (), measured: UsageFigures | None = None
) -> Workload:
    """Fills in what was not said: from the agent's own runs, else from the texts, else by assumption.

    Args:
        asked: What was said; it always holds.
        texts: Everything that one request would send.
        measured: What the agent's successful runs of the last 30 days used.
    """
    figures = measured if measured is not None and measured.runs and measured.input_tokens else None
    band = input_tokens_of(texts) if any(texts) else None
    found_input, found_output, found_cached, found_runs = (
        _per_run(figures) if figures else (None, None, None, None)
    )
    tokens, input_basis = _first(
        (asked.input_tokens, Basis.GIVEN),
        (found_input, Basis.RUNS),
        # The geometric middle of the band, since it is as likely to be double as to be half.
        (isqrt(band[0] * band[1]) if band else None, Basis.TEXT),
        otherwise=ASSUMED_INPUT_TOKENS,
    )
    output, output_basis = _first(
        (asked.output_tokens, Basis.GIVEN), (found_output, Basis.RUNS), otherwise=ASSUMED_OUTPUT_TOKENS
    )
    cached, cached_basis = _first(
        (asked.cached_input_percent, Basis.GIVEN), (found_cached, Basis.RUNS), otherwise=0
    )
    given = asked.runs if asked.runs is None or asked.per is Per.MONTH else asked.runs * DAYS_PER_MONTH
    runs, runs_basis = _first(
        (given, Basis.GIVEN), (found_runs, Basis.RUNS), otherwise=ASSUMED_RUNS_PER_DAY * DAYS_PER_MONTH
    )
    return Workload(
        input_tokens=tokens,
        output_tokens=output,
        cached_input_percent=cached,
        runs_per_month=runs,
        input_basis=input_basis,
        output_basis=output_basis,
        cached_basis=cached_basis,
        runs_basis=runs_basis,
        input_band=band if input_basis is Basis.TEXT else None,
        measured_runs=figures.runs if figures else 0,
    )


def _per_run(figures: UsageFigures) -> tuple[int, int, int, int]:
    # Those whose tokens nobody told would count as runs that used none.
    told = max(1, figures.runs - figures.untold_attempts)
    return (
        round(figures.input_tokens / told),
        round(figures.output_tokens / told),
        round(100 * figures.cached_input_tokens / figures.input_tokens),
        figures.runs,
    )


def _first(*found: tuple[int | None, Basis], otherwise: int) -> tuple[int, Basis]:
    return next(((value, basis) for value, basis in found if value is not None), (otherwise, Basis.ASSUMED))


def _check(what: str, value: int | None, highest: int) -> None:
    if value is not None and not 0 <= value <= highest:
        raise InvalidInput(f"The {what} must be from 0 to {highest:,}.")
