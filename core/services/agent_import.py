"""What a file of agents would change here, and the change itself, agent by agent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, assert_never
from uuid import UUID

from core.errors import Conflict, NotFound
from core.services.agent_config import AgentConfig
from core.services.agent_yaml import AgentEntry
from core.services.principal import Principal
from core.storage.records import AgentRecord


class ImportAction(StrEnum):
    """What an import does with an agent."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImport:
    """What an import will do with one agent.

    Attributes:
        current: The agent of that name; None if it will be created.
        unarchives: It is archived, and comes back.
    """

    entry: AgentEntry
    action: ImportAction
    current: AgentRecord | None
    unarchives: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did, by name.

    Attributes:
        unchanged: Were already exactly so.
        failed: (name, reason): somebody else changed them in the meantime; importing again takes them up.
    """

    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


class Agents(Protocol):
    """What an import needs of `AgentService`; see there."""

    def create(
        self, principal: Principal, *, name: str, config: AgentConfig, description: str = "", note: str = ""
    ) -> AgentRecord:
        """See `AgentService.create`."""
        ...

    def save(
        self,
        principal: Principal,
        agent_id: UUID,
        *,
        name: str,
        description: str,
        config: AgentConfig,
        note: str,
        expected_revision: int,
    ) -> AgentRecord:
        """See `AgentService.save`."""
        ...

    def unarchive(self, principal: Principal, agent_id: UUID) -> AgentRecord:
        """See `AgentService.unarchive`."""
        ...


def plan(entries: Iterable[AgentEntry], existing: Mapping[str, AgentRecord]) -> tuple[PlannedImport, ...]:
    """What would be done with each entry, in the file's order.

    Args:
        entries: From the file.
        existing: The project's agents by name, archived ones too.
    """
    return tuple(_planned(entry, existing.get(entry.name)) for entry in entries)


def carry_out(
    agents: Agents, principal: Principal, planned: Sequence[PlannedImport], *, note: str
) -> ImportReport:
    """Does what was planned, each agent by itself; one that changed in the meantime is reported."""
    done: dict[ImportAction, list[str]] = {action: [] for action in ImportAction}
    failed: list[tuple[str, str]] = []
    for item in planned:
        try:
            _carry_out_one(agents, principal, item, note=note)
        except (Conflict, NotFound) as exc:
            failed.append((item.entry.name, str(exc)))
        else:
            done[item.action].append(item.entry.name)
    return ImportReport(
        created=tuple(done[ImportAction.CREATE]),
        updated=tuple(done[ImportAction.UPDATE]),
        unchanged=tuple(done[ImportAction.UNCHANGED]),
        failed=tuple(failed),
    )


def _carry_out_one(agents: Agents, principal: Principal, planned: PlannedImport, *, note: str) -> None:
    entry, current = planned.entry, planned.current
    match planned.action:
        case ImportAction.UNCHANGED:
            return
        case ImportAction.CREATE:
            agents.create(
                principal, name=entry.name, description=entry.description, config=entry.config, note=note
            )
        case ImportAction.UPDATE:
            if current is None:
                raise NotFound(f"The agent {entry.name!r} is gone.")
            if planned.unarchives:
                current = agents.unarchive(principal, current.id)
            agents.save(
                principal,
                current.id,
                name=entry.name,
                description=entry.description,
                config=entry.config,
                note=note,
                expected_revision=current.revision,
            )
        case _:
            assert_never(planned.action)


def _planned(entry: AgentEntry, current: AgentRecord | None) -> PlannedImport:
    if current is None:
        return PlannedImport(entry=entry, action=ImportAction.CREATE, current=None)
    archived = current.archived_at is not None
    same = current.version.config == entry.config.to_json() and current.description == entry.description
    action = ImportAction.UNCHANGED if same and not archived else ImportAction.UPDATE
    return PlannedImport(entry=entry, action=action, current=current, unarchives=archived)
