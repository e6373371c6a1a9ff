"""Processes that work on runs, and their heart-beats."""

from datetime import datetime
from uuid import UUID

from sqlmodel import col, delete

from core.storage.engine import Database
from core.storage.tables import WorkerRow


class WorkerRepository:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(
        self, worker_id: UUID, *, kind: str, host: str, pid: int, started_at: datetime, now: datetime
    ) -> None:
        """Says that the process lives; the first time registers it."""
        with self._database.writing() as session:
            row = session.get(WorkerRow, worker_id)
            if row is None:
                row = WorkerRow(
                    id=worker_id, kind=kind, host=host, pid=pid, started_at=started_at, beat_at=now
                )
            row.beat_at = now
            session.add(row)

    def retire(self, worker_id: UUID) -> None:
        """Removes it; runs that it left RUNNING are orphans from now on. Again is free."""
        with self._database.writing() as session:
            session.exec(delete(WorkerRow).where(col(WorkerRow.id) == worker_id))
