"""Folding: what attempts add to the figures, moved in batches from the tail into the roll-ups.

Counting inside each run's own transaction would make all writers wait for the few rows that they all change. So a run
only leaves its part in `usage_tail`, and whoever holds the lease adds many of them at once. Adding to the roll-ups and
deleting from the tail is one transaction: killed at any point, all of it or nothing has happened. A row in the tail is
itself the mark "not folded", so attempts that commit in another order than they were made are not missed, which a
high-water mark would do.

A rebuild counts all attempts again under the next generation's number while everybody reads the current one. Nothing is
folded meanwhile: what is not in the tail when it begins is what it counts. If it is interrupted, the next fold, in
whatever process, goes on with it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Connection, any_, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import UUID as POSTGRES_UUID

from core import ids
from core.storage import leases
from core.storage.engine import Database
from core.storage.executions import EXECUTIONS
from core.storage.facts import facts
from core.storage.rollup_batch import ERRORS, HISTOGRAMS, ROLLUPS, Batch, add, collect, levels
from core.storage.tables import AttemptRow, RollupStateRow, UsageTailRow, table_of

LEASE: Final = "fold"

_tail = table_of(UsageTailRow)
_attempt = table_of(AttemptRow)
_state = table_of(RollupStateRow)


class Folder:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = ids.uuid7()

    def fold(self, *, limit: int = 5000, now: datetime | None = None) -> int:
        """Moves up to `limit` attempts into the roll-ups, oldest first, or goes on with a rebuild that was interrupted.

        Returns:
            How many attempts were counted; 0 if there are none, or if another process does it at present.
        """
        if self._nothing_to_do():
            return 0
        with self._database.write() as connection:
            if not leases.take(connection, LEASE, holder=self._holder, now=now or datetime.now(UTC)):
                return 0
            if _building(connection) is not None:
                return self._rebuild_step(connection, limit)
            return self._fold_batch(connection, limit)

    def rebuild(self, progress: Callable[[int, int], None] | None = None, *, batch: int = 5000) -> None:
        """Counts all attempts again and puts the result in the place of the roll-ups, in one step at the end.

        Figures stay exact throughout. Interrupted, it is continued by the next call, or by the next fold.

        Args:
            progress: Told (attempts counted so far by this call, attempts to count in all) after each batch.
        """
        total = self._begin_rebuild()
        done = 0
        while True:
            with self._database.write() as connection:
                leases.take_over(connection, LEASE, holder=self._holder, now=datetime.now(UTC))
                if _building(connection) is None:
                    return
                done += self._rebuild_step(connection, batch)
            if progress is not None:
                progress(min(done, total), total)

    def waits_to_be_folded(self, least: int) -> bool:
        """Whether at least so many attempts are not folded yet; reads no more of them than that."""
        with self._database.read() as connection:
            return (
                connection.execute(select(_tail.c.attempt_id).limit(1).offset(least - 1)).first() is not None
            )

    def _nothing_to_do(self) -> bool:
        with self._database.read() as connection:
            waiting = connection.execute(select(_tail.c.attempt_id).limit(1)).first()
            return waiting is None and _building(connection) is None

    def _fold_batch(self, connection: Connection, limit: int) -> int:
        found = list(
            connection.execute(select(_tail.c.attempt_id).order_by(_tail.c.attempt_id).limit(limit)).scalars()
        )
        if not found:
            return 0
        # On SQLite nobody else writes during this transaction. On Postgres attempts with lower ids may appear.
        if self._database.dialect == "sqlite":
            chosen = _tail.c.attempt_id <= found[-1]
        else:
            array = bindparam("chosen", found, type_=ARRAY(POSTGRES_UUID(as_uuid=True)))
            chosen = _tail.c.attempt_id == any_(array)
        add(connection, _generation(connection), collect(connection, select(_tail).where(chosen)))
        connection.execute(delete(_tail).where(chosen))
        return len(found)

    def _begin_rebuild(self) -> int:
        with self._database.write() as connection:
            leases.take_over(connection, LEASE, holder=self._holder, now=datetime.now(UTC))
            if _building(connection) is None:
                generation = _generation(connection)
                _forget_all_but(connection, generation)
                connection.execute(update(_state).values(building=generation + 1, built_to=None))
            return int(connection.execute(select(func.count()).select_from(_attempt)).scalar_one())

    def _rebuild_step(self, connection: Connection, limit: int) -> int:
        state = connection.execute(select(_state)).one()
        after = state.built_to or UUID(int=0)
        runs = (
            select(_attempt.c.run_id)
            .where(_attempt.c.run_id > after)
            .order_by(_attempt.c.run_id)
            .limit(limit)
        )
        last = connection.execute(runs).scalars().all()[-1:]
        if not last:
            connection.execute(update(_state).values(generation=state.building, building=None, built_to=None))
            _forget_all_but(connection, state.building)
            return 0
        in_range = (_attempt.c.run_id > after, _attempt.c.run_id <= last[0])
        in_tail = exists().where(_tail.c.attempt_id == _attempt.c.id)
        add(connection, state.building, collect(connection, facts().where(*in_range, ~in_tail)))
        connection.execute(update(_state).values(built_to=last[0]))
        return int(
            connection.execute(select(func.count()).select_from(_attempt).where(*in_range)).scalar_one()
        )


def forget(connection: Connection, attempt_id: UUID) -> None:
    """Takes out of the figures what an attempt added, folded or not, in the transaction that deletes the attempt.

    For an attempt of a run without a latency (`facts`): what is in a histogram is not taken out again.
    """
    leases.keep_out(connection, LEASE)
    if connection.execute(delete(_tail).where(_tail.c.attempt_id == attempt_id)).rowcount:
        return
    added = collect(connection, facts().where(_attempt.c.id == attempt_id))
    assert not added.latencies, "an attempt with a latency cannot be forgotten"
    batch = Batch(
        figures={key: [-value for value in values] for key, values in added.figures.items()},
        errors={key: -runs for key, runs in added.errors.items()},
        latencies={},
        slices={},
        executions={key: [-value for value in values] for key, values in added.executions.items()},
    )
    state = connection.execute(select(_state)).one()
    generations = [state.generation]
    run_id = connection.execute(select(_attempt.c.run_id).where(_attempt.c.id == attempt_id)).scalar_one()
    if state.building is not None and run_id <= (state.built_to or UUID(int=0)):
        generations.append(state.building)
    for generation in generations:
        add(connection, generation, batch)
        for project_id, quarter, *_ in batch.figures:
            _remove_empty(connection, generation, project_id, quarter)


def _remove_empty(connection: Connection, generation: int, project_id: str, quarter: int) -> None:
    for level, start in levels(quarter):
        for table in (*ROLLUPS, ERRORS, EXECUTIONS):
            counted = table.c.runs if table is ERRORS else table.c.attempts
            connection.execute(
                delete(table).where(
                    table.c.generation == generation,
                    table.c.project_id == project_id,
                    table.c.level == level,
                    table.c.start == start,
                    counted == 0,
                )
            )


def _forget_all_but(connection: Connection, generation: int) -> None:
    for table in (*ROLLUPS, ERRORS, HISTOGRAMS, EXECUTIONS):
        connection.execute(delete(table).where(table.c.generation != generation))


def current_generation() -> Any:
    """The generation to read, as a part of a query: so a rebuild's end never falls between two reads."""
    return select(_state.c.generation).scalar_subquery()


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(_state.c.generation)).scalar_one())


def _building(connection: Connection) -> int | None:
    return connection.execute(select(_state.c.building)).scalar_one()
