"""Processes that work on runs, and their heart-beats."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel import col, delete, select

from core.storage.dialects import clock
from core.storage.engine import Database
from core.storage.records import WorkerRecord
from core.storage.tables import WorkerRow

STALE_AFTER_SECONDS: Final = 15.0
"""How long after its last beat a process is taken for dead.

Three missed beats: with the reaper's own period, an orphaned run is settled well within 30 s.
"""


class WorkerRepository:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(
        self,
        worker_id: UUID,
        *,
        kind: str,
        host: str,
        pid: int,
        started_at: datetime,
        now: datetime | None = None,
    ) -> None:
        """Says that the process lives; the first time registers it.

        Args:
            worker_id: Its own, from this start on.
            kind: What it is ("up", "dashboard", "cli", "python").
            host: The machine it is on.
            pid: Its number there.
            started_at: By its own clock.
            now: None is the clock that the reaper tells the time by, on Postgres the database's.
        """
        with self._database.writing() as session:
            now = now or clock(session.connection())
            row = session.get(WorkerRow, worker_id)
            if row is None:
                row = WorkerRow(
                    id=worker_id, kind=kind, host=host, pid=pid, started_at=started_at, beat_at=now
                )
            row.beat_at = now
            session.add(row)

    def live(self, *, now: datetime | None = None) -> Sequence[WorkerRecord]:
        """Those that gave a sign of life within `STALE_AFTER_SECONDS`, the one that started first at the beginning.

        Args:
            now: None is the clock that heart-beats are told by, on Postgres the database's.
        """
        with self._database.reading() as session:
            since = (now or clock(session.connection())) - timedelta(seconds=STALE_AFTER_SECONDS)
            rows = session.exec(
                select(WorkerRow).where(col(WorkerRow.beat_at) >= since).order_by(col(WorkerRow.id))
            )
            return [WorkerRecord(kind=row.kind, host=row.host, pid=row.pid) for row in rows]

    def forget_dead(self, *, silent_for: timedelta, now: datetime | None = None) -> int:
        """Removes those that gave no sign of life for so long; returns how many. The reaper has no need of them."""
        with self._database.read() as connection:
            before = (now or clock(connection)) - silent_for
            if (
                connection.execute(select(col(WorkerRow.id)).where(col(WorkerRow.beat_at) < before)).first()
                is None
            ):
                return 0
        with self._database.writing() as session:
            return session.exec(delete(WorkerRow).where(col(WorkerRow.beat_at) < before)).rowcount

    def retire(self, worker_id: UUID) -> None:
        """Removes it; runs that it left RUNNING are orphans from now on. Again is free."""
        with self._database.writing() as session:
            session.exec(delete(WorkerRow).where(col(WorkerRow.id) == worker_id))
