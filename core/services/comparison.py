"""Runs that stand side by side: which was fastest, which cheapest, and what they cost together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.services.run_view import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What stands out among several runs.

    Attributes:
        finished: How many have ended, well or not.
        fastest: The run that answered soonest, or all that did equally soon; none if fewer than two answered, or all
            were equally fast: then nothing stands out.
        cheapest: Likewise by cost; only among those whose cost is known.
        cost_nanousd: The known costs together.
        unpriced: Finished runs whose cost is unknown; they are in no sum.
    """

    finished: int
    fastest: tuple[UUID, ...]
    cheapest: tuple[UUID, ...]
    cost_nanousd: int
    unpriced: int


def compare(runs: Sequence[RunView]) -> Comparison:
    """Compares them as they are now; nothing is marked while one of them is under way.

    A mark is for whole answers: a run that failed soon was not fast, and one that was stopped was not cheap.
    """
    finished = [run for run in runs if not run.under_way]
    answered = [run for run in finished if run.succeeded] if len(finished) == len(runs) else []
    known = [run.cost_nanousd for run in finished if run.cost_nanousd is not None]
    return Comparison(
        finished=len(finished),
        fastest=_least(answered, lambda run: run.elapsed_us),
        cheapest=_least(answered, lambda run: run.cost_nanousd),
        cost_nanousd=sum(known),
        unpriced=len(finished) - len(known),
    )


def _least(runs: Sequence[RunView], measure: Callable[[RunView], int | None]) -> tuple[UUID, ...]:
    measured = [(run.run_id, value) for run in runs if (value := measure(run)) is not None]
    least = min((value for _, value in measured), default=0)
    marked = tuple(run_id for run_id, value in measured if value == least)
    return marked if len(marked) < len(measured) else ()
