"""Two runs side by side: what was asked, what came back, what it took."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.services.attempt_records import sum_if_known
from core.services.request_diff import RequestDiff, TextField, diff_requests, text_field
from core.storage.records import RunDetail


class Quantity(StrEnum):
    """What kind of figure it is, and so how it is written."""

    MONEY_NANOUSD = "money"
    DURATION_US = "duration"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureDiff:
    """A figure of both runs; None is unknown."""

    label: str
    quantity: Quantity
    old: int | None
    new: int | None

    @property
    def change(self) -> int | None:
        """New less old; None if either is unknown."""
        return None if self.old is None or self.new is None else self.new - self.old


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """See the module."""

    old: RunDetail
    new: RunDetail
    request: RequestDiff
    answer: TextField
    figures: tuple[FigureDiff, ...]


def diff_runs(old: RunDetail, new: RunDetail) -> RunDiff:
    """Compares two runs of any kind."""
    return RunDiff(
        old=old,
        new=new,
        request=diff_requests(old.request, new.request),
        answer=text_field("Answer", old.response or "", new.response or ""),
        figures=_figures(old, new),
    )


def _figures(old: RunDetail, new: RunDetail) -> tuple[FigureDiff, ...]:
    a, b = old.summary, new.summary

    def figure(label: str, quantity: Quantity, before: int | None, after: int | None) -> FigureDiff:
        return FigureDiff(label=label, quantity=quantity, old=before, new=after)

    def parts(label: str, before: Iterable[int | None], after: Iterable[int | None]) -> FigureDiff:
        return figure(label, Quantity.COUNT, _sum(before), _sum(after))

    return (
        figure("Cost", Quantity.MONEY_NANOUSD, a.cost_nanousd, b.cost_nanousd),
        figure("Latency", Quantity.DURATION_US, a.latency_us, b.latency_us),
        figure("First token", Quantity.DURATION_US, a.first_token_us, b.first_token_us),
        figure("Input tokens", Quantity.COUNT, a.input_tokens, b.input_tokens),
        parts(
            "Cached input tokens",
            (attempt.cached_input_tokens for attempt in old.attempts),
            (attempt.cached_input_tokens for attempt in new.attempts),
        ),
        figure("Output tokens", Quantity.COUNT, a.output_tokens, b.output_tokens),
        parts(
            "Reasoning tokens",
            (attempt.reasoning_tokens for attempt in old.attempts),
            (attempt.reasoning_tokens for attempt in new.attempts),
        ),
        figure("Attempts", Quantity.COUNT, a.attempts, b.attempts),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return sum_if_known(known) if known else None
