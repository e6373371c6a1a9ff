"""Agents and their immutable versions."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from core import ids
from core.errors import Conflict, NotFound
from core.storage.engine import Database
from core.storage.records import AgentRecord, AgentVersionRecord
from core.storage.tables import AgentRow, AgentVersionRow

SelectOfAgent = Select[AgentRow, AgentVersionRow]


class AgentRepository:
    """See the module. A change is made only if the agent is still at `expected_revision`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        project_id: str,
        *,
        name: str,
        description: str,
        config: Mapping[str, Any],
        note: str,
        by: str,
    ) -> AgentRecord:
        """An agent with its first version. Raises Conflict: the project has one of that name, maybe archived."""
        now = datetime.now(UTC)
        agent = AgentRow(
            id=ids.uuid7(),
            project_id=project_id,
            name=name,
            description=description,
            created_at=now,
            updated_at=now,
            revision=1,
            version_number=1,
        )
        version = _version_row(agent, config=config, note=note, by=by, now=now)
        try:
            with self._database.writing() as session:
                session.add(agent)
                session.flush()
                session.add(version)
        except IntegrityError as exc:
            raise _name_taken(name) from exc
        return _record(agent, version)

    def list(self, project_id: str, *, archived: bool = False) -> Sequence[AgentRecord]:
        """By name: those in use, or the archived ones."""
        with self._database.reading() as session:
            is_archived = col(AgentRow.archived_at).is_not(None)
            found = session.exec(
                _with_version()
                .where(col(AgentRow.project_id) == project_id, is_archived if archived else ~is_archived)
                .order_by(col(AgentRow.name))
            )
            return [_record(agent, version) for agent, version in found]

    def get(self, project_id: str, agent_id: UUID) -> AgentRecord:
        """By id. Raises NotFound."""
        with self._database.reading() as session:
            return _record(*_find(session, project_id, agent_id))

    def get_by_name(self, project_id: str, name: str) -> AgentRecord:
        """By name, exactly as it is written; archived ones too. Raises NotFound."""
        with self._database.reading() as session:
            found = session.exec(
                _with_version().where(col(AgentRow.project_id) == project_id, col(AgentRow.name) == name)
            ).one_or_none()
            if found is None:
                raise NotFound(f"There is no agent named {name!r}.")
            return _record(*found)

    def versions(self, project_id: str, agent_id: UUID) -> Sequence[AgentVersionRecord]:
        """All versions, newest first. Raises NotFound."""
        with self._database.reading() as session:
            _find(session, project_id, agent_id)
            rows = session.exec(
                select(AgentVersionRow)
                .where(col(AgentVersionRow.agent_id) == agent_id)
                .order_by(col(AgentVersionRow.number).desc())
            )
            return [_version_record(row) for row in rows]

    def version(self, project_id: str, version_id: UUID) -> AgentVersionRecord:
        """By its id. Raises NotFound."""
        with self._database.reading() as session:
            row = session.get(AgentVersionRow, version_id)
            if row is not None:
                agent = session.get(AgentRow, row.agent_id)
                if agent is not None and agent.project_id == project_id:
                    return _version_record(row)
        raise NotFound("There is no such version.")

    def add_version(
        self,
        project_id: str,
        agent_id: UUID,
        *,
        config: Mapping[str, Any],
        note: str,
        by: str,
        expected_revision: int,
        name: str | None = None,
        description: str | None = None,
    ) -> AgentRecord:
        """Adds a version, which is the current one from then on, and renames and describes the agent with it.

        Args:
            name: None leaves it as it is.
            description: Likewise.

        Raises:
            Conflict: The agent was changed meanwhile, or the name is taken; nothing was changed.
            NotFound: There is no such agent.
        """
        try:
            with self._database.writing() as session:
                agent, _ = _find_to_change(session, project_id, agent_id, at_revision=expected_revision)
                now = datetime.now(UTC)
                agent.version_number += 1
                agent.name = agent.name if name is None else name
                agent.description = agent.description if description is None else description
                _touch(agent, now)
                version = _version_row(agent, config=config, note=note, by=by, now=now)
                session.add(agent)
                session.add(version)
        except IntegrityError as exc:
            if name is None:
                raise
            raise _name_taken(name) from exc
        return _record(agent, version)

    def update(
        self,
        project_id: str,
        agent_id: UUID,
        *,
        name: str,
        description: str,
        expected_revision: int,
    ) -> AgentRecord:
        """Renames and describes it. Raises Conflict (changed meanwhile, or the name is taken), NotFound."""
        try:
            with self._database.writing() as session:
                agent, version = _find_to_change(session, project_id, agent_id, at_revision=expected_revision)
                agent.name, agent.description = name, description
                _touch(agent, datetime.now(UTC))
                session.add(agent)
        except IntegrityError as exc:
            raise _name_taken(name) from exc
        return _record(agent, version)

    def archive(self, project_id: str, agent_id: UUID) -> AgentRecord:
        """Takes it out of `list`; it keeps its name. Again is free. Raises NotFound."""
        return self._set_archived(project_id, agent_id, archived=True)

    def unarchive(self, project_id: str, agent_id: UUID) -> AgentRecord:
        """Brings it back. Again is free. Raises NotFound."""
        return self._set_archived(project_id, agent_id, archived=False)

    def _set_archived(self, project_id: str, agent_id: UUID, *, archived: bool) -> AgentRecord:
        with self._database.writing() as session:
            agent, version = _find_to_change(session, project_id, agent_id, at_revision=None)
            if (agent.archived_at is not None) is not archived:
                now = datetime.now(UTC)
                agent.archived_at = now if archived else None
                _touch(agent, now)
                session.add(agent)
        return _record(agent, version)


def _with_version() -> SelectOfAgent:
    return select(AgentRow, AgentVersionRow).where(
        col(AgentVersionRow.agent_id) == AgentRow.id,
        col(AgentVersionRow.number) == AgentRow.version_number,
    )


def _find(session: Session, project_id: str, agent_id: UUID) -> tuple[AgentRow, AgentVersionRow]:
    found = session.exec(
        _with_version().where(col(AgentRow.project_id) == project_id, col(AgentRow.id) == agent_id)
    ).one_or_none()
    if found is None:
        raise NotFound("This agent does not exist.")
    return found


def _find_to_change(
    session: Session, project_id: str, agent_id: UUID, *, at_revision: int | None
) -> tuple[AgentRow, AgentVersionRow]:
    # The lock comes first, by itself: the statement that waits for it on Postgres would not see a version that the one
    # it waited for has added.
    session.exec(select(AgentRow.id).where(col(AgentRow.id) == agent_id).with_for_update())
    agent, version = _find(session, project_id, agent_id)
    if at_revision is not None and agent.revision != at_revision:
        raise Conflict(
            f"{agent.name!r} was changed by somebody else meanwhile: load it again, and make your change to what it is "
            "now."
        )
    return agent, version


def _touch(agent: AgentRow, now: datetime) -> None:
    agent.revision += 1
    agent.updated_at = now


def _version_row(
    agent: AgentRow, *, config: Mapping[str, Any], note: str, by: str, now: datetime
) -> AgentVersionRow:
    return AgentVersionRow(
        id=ids.uuid7(),
        agent_id=agent.id,
        number=agent.version_number,
        note=note,
        created_at=now,
        created_by=by,
        config=dict(config),
    )


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"There is an agent named {name!r} already (look among the archived ones too): choose another name."
    )


def _record(agent: AgentRow, version: AgentVersionRow) -> AgentRecord:
    own = {field.name: getattr(agent, field.name) for field in fields(AgentRecord) if field.name != "version"}
    return AgentRecord(**own, version=_version_record(version))


def _version_record(row: AgentVersionRow) -> AgentVersionRecord:
    return AgentVersionRecord(
        **{field.name: getattr(row, field.name) for field in fields(AgentVersionRecord)}
    )
