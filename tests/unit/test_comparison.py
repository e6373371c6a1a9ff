from uuid import UUID

from core.services.comparison import compare
from core.services.run_view import RunView
from core.storage.records import RunStatus


def run(number: int, *, ms: int | None, cost: int | None, status: RunStatus = RunStatus.SUCCEEDED) -> RunView:
    return RunView(
        run_id=UUID(int=number),
        status=status,
        provider="OPENAI",
        model="m",
        elapsed_us=None if ms is None else ms * 1000,
        cost_nanousd=cost,
    )


def test_the_fastest_and_the_cheapest_stand_out() -> None:
    found = compare([run(1, ms=300, cost=5), run(2, ms=100, cost=9), run(3, ms=200, cost=2)])
    assert (found.fastest, found.cheapest) == ((UUID(int=2),), (UUID(int=3),))
    assert (found.finished, found.cost_nanousd, found.unpriced) == (3, 16, 0)


def test_nothing_stands_out_while_one_is_under_way() -> None:
    found = compare(
        [run(1, ms=300, cost=5), run(2, ms=100, cost=9, status=RunStatus.RUNNING), run(3, ms=1, cost=1)]
    )
    assert (found.fastest, found.cheapest, found.finished) == ((), (), 2)


def test_a_failure_is_neither_fast_nor_cheap_but_its_cost_counts() -> None:
    found = compare(
        [
            run(1, ms=300, cost=5),
            run(2, ms=400, cost=4),
            run(3, ms=1, cost=1, status=RunStatus.FAILED),
            run(4, ms=2, cost=0, status=RunStatus.CANCELLED),
        ]
    )
    assert (found.fastest, found.cheapest, found.cost_nanousd) == ((UUID(int=1),), (UUID(int=2),), 10)


def test_an_unknown_cost_is_not_the_cheapest_and_is_said() -> None:
    found = compare([run(1, ms=1, cost=None), run(2, ms=2, cost=7), run(3, ms=3, cost=8)])
    assert (found.cheapest, found.cost_nanousd, found.unpriced) == ((UUID(int=2),), 15, 1)


def test_one_answer_alone_does_not_stand_out() -> None:
    alone = compare([run(1, ms=1, cost=1), run(2, ms=2, cost=2, status=RunStatus.FAILED)])
    assert (alone.fastest, alone.cheapest) == ((), ())


def test_those_that_share_the_first_place_stand_out_together() -> None:
    shared = compare([run(1, ms=5, cost=0), run(2, ms=5, cost=0), run(3, ms=9, cost=1)])
    assert shared.fastest == shared.cheapest == (UUID(int=1), UUID(int=2))


def test_where_all_are_equal_nothing_stands_out() -> None:
    equal = compare([run(1, ms=5, cost=0), run(2, ms=5, cost=0)])
    assert (equal.fastest, equal.cheapest) == ((), ())


def test_of_nothing_nothing_is_said() -> None:
    found = compare([])
    assert (found.finished, found.fastest, found.cheapest, found.cost_nanousd, found.unpriced) == (
        0,
        (),
        (),
        0,
        0,
    )
