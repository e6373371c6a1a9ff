"""A project's defaults, as one JSON object."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.storage.engine import Database
from core.storage.tables import ProjectRow


class PreferenceRepository:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, project_id: str) -> dict[str, Any]:
        """What was put last; {} if nothing was."""
        with self._database.reading() as session:
            row = session.get(ProjectRow, project_id)
            return dict(row.preferences) if row is not None else {}

    def put(self, project_id: str, preferences: Mapping[str, Any]) -> None:
        """Replaces them."""
        with self._database.writing() as session:
            row = session.get(ProjectRow, project_id)
            if row is None:
                row = ProjectRow(id=project_id, name=project_id, created_at=datetime.now(UTC), preferences={})
            row.preferences = dict(preferences)
            session.add(row)
