"""Agents: create, edit in immutable versions, compare, restore, clone, archive, import and export."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from core.contract import AgentRequest, parse_request, utc_now
from core.errors import InvalidInput, InvocationError, NotFound
from core.providers import registry
from core.providers.base import ModelInfo
from core.providers.features import require_features
from core.services.agent_config import AgentConfig
from core.services.agent_import import ImportReport, PlannedImport, carry_out, plan
from core.services.agent_yaml import dump_agents, load_agents, valid_name
from core.services.connections import Connections, ConnectionTest
from core.services.credentials import CredentialService
from core.services.principal import Principal
from core.services.request_diff import RequestDiff, diff_requests
from core.services.templating import variables_of
from core.storage.records import (
    AgentRecord,
    AgentVersionRecord,
    Dimension,
    RunFilter,
    RunSummary,
    UsageFigures,
)
from core.storage.store import Store

_ANY_PROMPT: Final = "-"
"""Stands for the prompt where a configuration is checked before anything is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentActivity:
    """What an agent did lately.

    Attributes:
        figures: Over the days that were asked for.
        last_run: Of all time; None if it never ran.
    """

    figures: UsageFigures
    last_run: RunSummary | None


class AgentService:
    """See the module."""

    def __init__(self, store: Store, credentials: CredentialService) -> None:
        self._store = store
        self._credentials = credentials
        self._connections = Connections(credentials)

    # Reading

    def list(self, principal: Principal, *, archived: bool = False) -> list[AgentRecord]:
        """The project's agents by name; the archived ones instead if asked."""
        return list(self._store.agents.list(principal.project_id, archived=archived))

    def get(self, principal: Principal, agent_id: UUID) -> AgentRecord:
        """Raises NotFound."""
        return self._store.agents.get(principal.project_id, agent_id)

    def find(self, principal: Principal, name_or_id: str) -> AgentRecord:
        """By name, else by id. Raises NotFound, naming what exists."""
        try:
            return self._store.agents.get_by_name(principal.project_id, name_or_id)
        except NotFound:
            try:
                return self.get(principal, UUID(name_or_id))
            except (ValueError, NotFound):
                raise NotFound(
                    f"No agent is called {name_or_id!r}. {self._which_there_are(principal)}"
                ) from None

    def _which_there_are(self, principal: Principal) -> str:
        names = ", ".join(agent.name for agent in self.list(principal)[:20])
        if names:
            return f"There are: {names}."
        if self.list(principal, archived=True):
            return "All agents are archived."
        return (
            "There are none yet: the demo agents come with the first start of the dashboard (`agent-launcher up`), "
            "others from the Agents page or `agent-launcher agents import`."
        )

    def versions(self, principal: Principal, agent_id: UUID) -> Sequence[AgentVersionRecord]:
        """All versions, newest first."""
        return self._store.agents.versions(principal.project_id, agent_id)

    def version(self, principal: Principal, version_id: UUID) -> AgentVersionRecord:
        """One version by its id. Raises NotFound."""
        return self._store.agents.version(principal.project_id, version_id)

    def diff(self, principal: Principal, old: AgentVersionRecord, new: AgentVersionRecord) -> RequestDiff:
        """What differs between two versions, of one agent or of two."""
        names = {str(c.id): c.name for c in self._credentials.list(principal)}

        def named(version: AgentVersionRecord) -> dict[str, Any]:
            config = dict(version.config)
            credential_id = config.pop("credential_id", None)
            return (
                config
                if credential_id is None
                else {**config, "credential": names.get(credential_id, "(deleted)")}
            )

        return diff_requests(named(old), named(new))

    def activity(
        self,
        principal: Principal,
        agent_ids: Sequence[UUID],
        *,
        days: int = 7,
        now: datetime | None = None,
    ) -> dict[UUID, AgentActivity]:
        """What each of the agents did in the last `days` times 24 hours, and when it last ran."""
        until = now or utc_now()
        points = self._store.usage.breakdown(
            principal.project_id, until - timedelta(days=days), until, Dimension.AGENT
        )
        figures = {point.key: point.figures for point in points}
        return {
            agent_id: AgentActivity(
                figures=figures.get(str(agent_id), UsageFigures()),
                last_run=self._last_run(principal, agent_id),
            )
            for agent_id in agent_ids
        }

    def _last_run(self, principal: Principal, agent_id: UUID) -> RunSummary | None:
        page = self._store.runs.page(principal.project_id, RunFilter(agent_ids=(agent_id,)), limit=1)
        return page.runs[0] if page.runs else None

    # Changing

    def create(
        self, principal: Principal, *, name: str, config: AgentConfig, description: str = "", note: str = ""
    ) -> AgentRecord:
        """A new agent with its first version.

        Raises:
            InvalidInput, UnknownProvider: As they say; nothing was changed.
            Conflict: The name is taken, by an archived agent perhaps.
        """
        return self._store.agents.create(
            principal.project_id,
            name=valid_name(name),
            description=description.strip(),
            config=self._checked(principal, config).to_json(),
            note=note.strip() or "First version",
            by=principal.id,
        )

    def edit(
        self, principal: Principal, agent_id: UUID, *, config: AgentConfig, note: str, expected_revision: int
    ) -> AgentRecord:
        """A new version, which becomes the current one. The same configuration again makes none.

        Raises:
            Conflict: Somebody else changed the agent since it was read.
            InvalidInput, NotFound, UnknownProvider: As they say.
        """
        current = self.get(principal, agent_id)
        if current.revision == expected_revision and current.version.config == config.to_json():
            return current
        return self._store.agents.add_version(
            principal.project_id,
            agent_id,
            config=self._checked(principal, config).to_json(),
            note=note.strip(),
            by=principal.id,
            expected_revision=expected_revision,
        )

    def describe(
        self, principal: Principal, agent_id: UUID, *, name: str, description: str, expected_revision: int
    ) -> AgentRecord:
        """Renames and describes it; no new version. Raises Conflict, InvalidInput, NotFound."""
        return self._store.agents.update(
            principal.project_id,
            agent_id,
            name=valid_name(name),
            description=description.strip(),
            expected_revision=expected_revision,
        )

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
        """What a form does: `describe` if name or description changed, `edit` if the configuration did, in one step.

        Raises:
            Conflict: The name is taken, or somebody else changed the agent since it was read (then its
                revision is no longer the expected one); nothing was changed.
            InvalidInput, NotFound, UnknownProvider: As they say; nothing was changed.
        """
        wire = self._checked(principal, config).to_json()
        name, description = valid_name(name), description.strip()
        current = self.get(principal, agent_id)
        if current.version.config != wire:
            return self._store.agents.add_version(
                principal.project_id,
                agent_id,
                config=wire,
                note=note.strip(),
                by=principal.id,
                expected_revision=expected_revision,
                name=name,
                description=description,
            )
        if (current.name, current.description) != (name, description):
            return self.describe(
                principal, agent_id, name=name, description=description, expected_revision=expected_revision
            )
        return self.edit(principal, agent_id, config=config, note=note, expected_revision=expected_revision)

    def restore(
        self, principal: Principal, agent_id: UUID, *, number: int, expected_revision: int
    ) -> AgentRecord:
        """Makes an earlier configuration current, as a new version; history is never rewritten.

        Raises:
            Conflict, InvalidInput, NotFound, UnknownProvider: As in `edit`.
        """
        version = next((v for v in self.versions(principal, agent_id) if v.number == number), None)
        if version is None:
            raise NotFound(f"This agent has no version {number}.")
        return self.edit(
            principal,
            agent_id,
            config=config_of(version),
            note=f"Restored version {number}",
            expected_revision=expected_revision,
        )

    def clone(self, principal: Principal, agent_id: UUID, *, name: str) -> AgentRecord:
        """A new agent with the current configuration of this one. Errors as in `create`."""
        source = self.get(principal, agent_id)
        return self.create(
            principal,
            name=name,
            config=config_of(source.version),
            description=source.description,
            note=f"Cloned from {source.name}, version {source.version.number}",
        )

    def archive(self, principal: Principal, agent_id: UUID) -> AgentRecord:
        """Takes it out of lists and pickers; its runs stay. Raises NotFound."""
        return self._store.agents.archive(principal.project_id, agent_id)

    def unarchive(self, principal: Principal, agent_id: UUID) -> AgentRecord:
        """Brings it back. Raises NotFound."""
        return self._store.agents.unarchive(principal.project_id, agent_id)

    # The vendor

    def test_connection(
        self,
        principal: Principal,
        *,
        provider: str,
        credential_id: UUID | None = None,
        base_url: str | None = None,
    ) -> ConnectionTest:
        """Asks the vendor for its models with the key that would serve; costs nothing.

        Raises:
            InvocationError: What the vendor or the network said, or that there is no key.
            InvalidInput, SecretUnreadable, UnknownProvider: As they say.
        """
        return self._connections.test(
            principal, provider=provider, credential_id=credential_id, base_url=base_url
        )

    def list_models(
        self,
        principal: Principal,
        *,
        provider: str,
        credential_id: UUID | None = None,
        base_url: str | None = None,
    ) -> Sequence[ModelInfo]:
        """The vendor's own list for the key that would serve. Errors as in `test_connection`."""
        return self.test_connection(
            principal, provider=provider, credential_id=credential_id, base_url=base_url
        ).models

    # YAML

    def export_yaml(self, principal: Principal, agent_ids: Sequence[UUID] | None = None) -> str:
        """The agents' current configurations as one YAML document; it holds no secret.

        Args:
            principal: Who asks.
            agent_ids: Those, archived ones too; None for all that are not archived.

        Raises:
            NotFound: One of the ids.
        """
        agents = self.list(principal) if agent_ids is None else [self.get(principal, i) for i in agent_ids]
        return dump_agents(agents, {c.id: c.name for c in self._credentials.list(principal)})

    def plan_import(self, principal: Principal, text: str) -> tuple[PlannedImport, ...]:
        """What `import_yaml` would do, in the file's order; changes nothing.

        Raises:
            InvalidInput: Not YAML, not this format, or an entry that is wrong: which and why.
        """
        credential_ids = {c.name: c.id for c in self._credentials.list(principal)}
        entries = load_agents(
            text, credential_ids=credential_ids, check=lambda config: self._checked(principal, config)
        )
        existing = {a.name: a for a in [*self.list(principal), *self.list(principal, archived=True)]}
        return plan(entries, existing)

    def import_yaml(self, principal: Principal, text: str, *, note: str = "Imported") -> ImportReport:
        """Creates the agents that are new, adds a version to those that differ, brings archived ones back.

        All entries are checked before the first is written; each agent is then written by itself.

        Raises:
            InvalidInput: As in `plan_import`; nothing was changed.
        """
        return carry_out(self, principal, self.plan_import(principal, text), note=note)

    def _checked(self, principal: Principal, config: AgentConfig) -> AgentConfig:
        return checked(config, base_url=self._credentials.server_of(principal, config))


def checked(config: AgentConfig, *, base_url: str | None = None) -> AgentConfig:
    """The configuration, if a run could be made of it.

    Args:
        config: To be saved.
        base_url: The server that its credential brings, if it has none of its own.

    Raises:
        UnknownProvider: No such provider here.
        InvalidInput: A value that the contract does not take, a parameter that the model does not take, or a
            template with wrong syntax; the text names it.
    """
    spec = registry.get_spec(config.provider)
    wire = {
        name: value
        for name, value in config.to_json().items()
        if name in AgentRequest.model_fields and value not in ("", [], {})
    }
    wire.setdefault("prompt", _ANY_PROMPT)
    if base_url is not None:
        wire.setdefault("base_url", base_url)
    try:
        require_features(spec, parse_request(wire, providers=registry.specs()))
        variables_of(config.system_prompt, config.prompt)
    except InvocationError as exc:
        raise InvalidInput(exc.message) from exc
    return config


def config_of(version: AgentVersionRecord) -> AgentConfig:
    """A version's configuration, typed. Raises InvalidInput if it holds what is no longer known."""
    return AgentConfig.parse(version.config)
