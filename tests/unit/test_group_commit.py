"""Threads that share a commit, and one of them that is interrupted."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.storage.group_commit import GroupCommit

PATIENCE = 20.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Transactions:
    """Stands for the database: the work is stored when it returns; the first transaction waits until it may go on."""

    def __init__(self) -> None:
        self.stored: list[Any] = []
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.sizes: list[int] = []

    def run(self, work: Callable[[Any], Any]) -> Any:
        written: list[Any] = []
        if not self.begun.is_set():
            self.begun.set()
            assert self.may_go_on.wait(PATIENCE)
        result = work(written)
        self.stored += written
        self.sizes.append(len(written))
        return result


def write(name: str) -> Callable[[Any], str]:
    def work(written: list[str]) -> str:
        written.append(name)
        return name

    return work


class Writer(threading.Thread):
    """A thread that writes once."""

    def __init__(self, group: GroupCommit, work: Callable[[Any], Any]) -> None:
        super().__init__(daemon=True)
        self.group, self.work = group, work
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.group.run(self.work)
        except BaseException as exc:
            self.error = exc


def queue_of(group: GroupCommit) -> list[Any]:
    return group._waiting


def interrupt_main() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


@pytest.fixture
def transactions() -> Transactions:
    return Transactions()


def test_those_that_wait_share_one_commit(transactions: Transactions) -> None:
    group = GroupCommit(transactions.run)
    first = Writer(group, write("first"))
    assert transactions.begun.wait(PATIENCE)
    others = [Writer(group, write(str(number))) for number in range(10)]
    until(lambda: len(queue_of(group)) == 10)
    transactions.may_go_on.set()
    for writer in (first, *others):
        writer.join(PATIENCE)
    assert [writer.result for writer in others] == [str(number) for number in range(10)]
    assert transactions.sizes == [1, 10]


@pytest.mark.parametrize("behind", [0, 3])
def test_who_is_interrupted_in_the_queue_leaves_it_to_the_others(
    transactions: Transactions, behind: int
) -> None:
    group = GroupCommit(transactions.run)
    first = Writer(group, write("first"))
    assert transactions.begun.wait(PATIENCE)
    others: list[Writer] = []

    def interrupt() -> None:
        until(lambda: len(queue_of(group)) == 1)
        others.extend(Writer(group, write(str(number))) for number in range(behind))
        until(lambda: len(queue_of(group)) == 1 + behind)
        interrupt_main()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        group.run(write("interrupted"))
    interrupter.join()
    transactions.may_go_on.set()
    late = Writer(group, write("late"))
    for writer in (first, *others, late):
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert writer.error is None
    assert sorted(transactions.stored) == sorted(["first", "late", *map(str, range(behind))])


def test_a_leader_that_is_interrupted_does_the_others_work_and_then_stops(transactions: Transactions) -> None:
    group = GroupCommit(transactions.run)
    transactions.may_go_on.clear()
    first = Writer(group, write("first"))
    assert transactions.begun.wait(PATIENCE)
    interruptions = 0

    def interrupted_once(written: Any) -> str:
        nonlocal interruptions
        if interruptions == 0:
            interruptions += 1
            signal.raise_signal(signal.SIGINT)
        written.append("main")
        return "main"

    others: list[Writer] = []

    def queue_up() -> None:
        until(lambda: len(queue_of(group)) == 1)
        others.extend(Writer(group, write(str(number))) for number in range(4))
        until(lambda: len(queue_of(group)) == 5)
        transactions.may_go_on.set()

    helper = threading.Thread(target=queue_up)
    helper.start()
    # The main thread is the heir: it leads the four others, and Ctrl+C comes in the middle of their common commit.
    with pytest.raises(KeyboardInterrupt):
        group.run(interrupted_once)
    helper.join()
    for writer in (first, *others):
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert writer.error is None
    assert sorted(transactions.stored) == ["0", "1", "2", "3", "first", "main"]
    assert group.run(write("after")) == "after"


def test_ones_own_failure_is_ones_own(transactions: Transactions) -> None:
    group = GroupCommit(transactions.run)
    first = Writer(group, write("first"))
    assert transactions.begun.wait(PATIENCE)

    def fail(written: list[str]) -> None:
        written.append("never stored")
        raise ValueError("no")

    others = [Writer(group, work) for work in (write("a"), fail, write("b"))]
    until(lambda: len(queue_of(group)) == 3)
    transactions.may_go_on.set()
    for writer in (first, *others):
        writer.join(PATIENCE)
    assert [type(writer.error) for writer in others] == [type(None), ValueError, type(None)]
    assert sorted(transactions.stored) == ["a", "b", "first"]


@pytest.mark.parametrize("place", [1, 4, 9])
def test_one_that_is_interrupted_while_its_work_is_done_keeps_nobody_asleep(
    transactions: Transactions, place: int
) -> None:
    group = GroupCommit(transactions.run)
    first = Writer(group, write("first"))
    assert transactions.begun.wait(PATIENCE)
    others: list[Writer] = []
    under_way, may_end = threading.Event(), threading.Event()

    def slow(written: list[str]) -> None:
        written.append("slow")
        under_way.set()
        assert may_end.wait(PATIENCE)

    def interrupt() -> None:
        until(lambda: len(queue_of(group)) == place + 1)
        others.extend(Writer(group, write(f"behind {number}")) for number in range(9 - place))
        until(lambda: len(queue_of(group)) == 10)
        transactions.may_go_on.set()
        assert under_way.wait(PATIENCE)
        assert not queue_of(group)
        interrupt_main()
        until(lambda: interrupted.is_set())
        may_end.set()

    interrupted = threading.Event()
    for number in range(place):
        others.append(Writer(group, slow if number == 0 else write(f"before {number}")))
        until(lambda count=number: len(queue_of(group)) == count + 1)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        group.run(write("interrupted"))
    interrupted.set()
    interrupter.join()
    for writer in (first, *others, Writer(group, write("late"))):
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert writer.error is None
    assert "late" in transactions.stored
