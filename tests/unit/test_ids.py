"""Ids: of their time, never twice, in no thread and no forked process."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from core import ids
from tests.support.forks import in_a_child

MOMENT = datetime(2026, 5, 4, 3, 2, 1, 987_000, tzinfo=UTC)


def random_part(at: datetime = MOMENT) -> int:
    return ids.uuid7(at=at).int & ((1 << 62) - 1)


def test_ids_of_one_moment_differ_whichever_thread_makes_them() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.uuid7(at=MOMENT), range(4_000)))
    assert len(set(made)) == 4_000
    assert {(one.version, one.int >> 80) for one in made} == {(7, int(MOMENT.timestamp() * 1000))}


def test_a_forked_process_makes_others_than_its_parent() -> None:
    random_part()
    reading, writing = os.pipe()

    def tell() -> bool:
        return os.write(writing, "\n".join(str(random_part()) for _ in range(100)).encode()) > 0

    assert in_a_child(tell)
    os.close(writing)
    with os.fdopen(reading) as said:
        of_child = {int(line) for line in said.read().split()}
    assert len(of_child) == 100
    assert not of_child & {random_part() for _ in range(300)}
