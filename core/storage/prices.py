"""The operators' price overrides."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Unpack
from uuid import UUID

from sqlmodel import col, select

from core import ids
from core.errors import NotFound
from core.storage.engine import Database
from core.storage.records import PriceColumns, PriceOverrideRecord
from core.storage.tables import PriceOverrideRow


class PriceOverrideRepository:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, project_id: str, *, by: str, **columns: Unpack[PriceColumns]) -> PriceOverrideRecord:
        """Adds one; the newest that matches a model holds."""
        row = PriceOverrideRow(
            id=ids.uuid7(),
            project_id=project_id,
            created_at=datetime.now(UTC),
            created_by=by,
            **columns,
        )
        with self._database.writing() as session:
            session.add(row)
        return _record(row)

    def list(self, project_id: str) -> Sequence[PriceOverrideRecord]:
        """All of the project, newest first."""
        with self._database.reading() as session:
            rows = session.exec(
                select(PriceOverrideRow)
                .where(col(PriceOverrideRow.project_id) == project_id)
                .order_by(col(PriceOverrideRow.id).desc())
            )
            return [_record(row) for row in rows]

    def update(
        self, project_id: str, override_id: UUID, **columns: Unpack[PriceColumns]
    ) -> PriceOverrideRecord:
        """Changes it, in its place among the others; what was priced by it keeps its price. Raises NotFound."""
        with self._database.writing() as session:
            row = _found(session.get(PriceOverrideRow, override_id), project_id)
            row.sqlmodel_update(dict(columns))
            session.add(row)
        return _record(row)

    def delete(self, project_id: str, override_id: UUID) -> None:
        """Removes it; what was priced by it keeps its price. Raises NotFound."""
        with self._database.writing() as session:
            session.delete(_found(session.get(PriceOverrideRow, override_id), project_id))


def _found(row: PriceOverrideRow | None, project_id: str) -> PriceOverrideRow:
    if row is None or row.project_id != project_id:
        raise NotFound("This price does not exist any more.")
    return row


def _record(row: PriceOverrideRow) -> PriceOverrideRecord:
    return PriceOverrideRecord(
        **{field.name: getattr(row, field.name) for field in fields(PriceOverrideRecord)}
    )
