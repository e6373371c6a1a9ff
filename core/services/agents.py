"""Agents: create, edit in immutable versions, compare, restore, clone, archive, import and export."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import yaml

from core.errors import AgentLauncherError, InvalidInput, NotFound
from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection, ModelInfo
from core.services.agent_config import AgentConfig
from core.services.credentials import CredentialService
from core.services.principal import Principal
from core.storage.records import AgentRecord, AgentVersionRecord
from core.storage.store import Store

EXPORT_FORMAT: Final = "agent-launcher/agents/v1"
_LIST_MODELS_TIMEOUT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did, by name. `unchanged` agents were already exactly so."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]


class AgentService:
    """See the module."""

    def __init__(self, store: Store, credentials: CredentialService) -> None:
        self._store = store
        self._credentials = credentials

    def list(self, principal: Principal, *, archived: bool = False) -> list[AgentRecord]:
        """The project's agents by name; the archived ones instead if asked."""
        return self._store.agents.list(principal.project_id, archived=archived)

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
                names = ", ".join(agent.name for agent in self.list(principal)[:20]) or "none yet"
                raise NotFound(f"No agent is called {name_or_id!r}. There are: {names}.") from None

    def create(
        self, principal: Principal, *, name: str, config: AgentConfig, description: str = "", note: str = ""
    ) -> AgentRecord:
        """A new agent with its first version. Raises InvalidInput, UnknownProvider, Conflict (the name is taken)."""
        registry.get_spec(config.provider)
        return self._store.agents.create(
            principal.project_id,
            name=_valid_name(name),
            description=description.strip(),
            config=config.to_json(),
            note=note.strip() or "First version",
            by=principal.id,
        )

    def edit(
        self, principal: Principal, agent_id: UUID, *, config: AgentConfig, note: str, expected_revision: int
    ) -> AgentRecord:
        """A new version, which becomes the current one. The same configuration again makes none.

        Raises:
            Conflict: Somebody else changed the agent since it was read.
            NotFound, UnknownProvider: As they say.
        """
        registry.get_spec(config.provider)
        current = self.get(principal, agent_id)
        if config_of(current.version) == config and current.revision == expected_revision:
            return current
        return self._store.agents.add_version(
            principal.project_id,
            agent_id,
            config=config.to_json(),
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
            name=_valid_name(name),
            description=description.strip(),
            expected_revision=expected_revision,
        )

    def versions(self, principal: Principal, agent_id: UUID) -> Sequence[AgentVersionRecord]:
        """All versions, newest first."""
        return self._store.agents.versions(principal.project_id, agent_id)

    def restore(self, principal: Principal, agent_id: UUID, *, number: int, expected_revision: int) -> AgentRecord:
        """Makes an earlier configuration current, as a new version; history is never rewritten."""
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
        """Brings it back. Raises NotFound, Conflict (another has its name now)."""
        return self._store.agents.unarchive(principal.project_id, agent_id)

    def list_models(
        self, principal: Principal, *, provider: str, credential_id: UUID | None = None, base_url: str | None = None
    ) -> Sequence[ModelInfo]:
        """The vendor's own list for the key that would serve; also how a connection is tested: it costs nothing.

        Raises:
            InvocationError: What the vendor or the network said.
        """
        config = AgentConfig(provider=provider, model_name="-", credential_id=credential_id, base_url=base_url)
        key = self._credentials.resolve(principal, config=config, given=None)
        connection = Connection(api_key=key.secret, base_url=base_url or key.base_url)
        limits = Limits(timeout_seconds=_LIST_MODELS_TIMEOUT_SECONDS)
        return registry.load(provider).list_models(connection, limits)

    # YAML

    def export_yaml(self, principal: Principal, agent_ids: Sequence[UUID] | None = None) -> str:
        """The agents' current configurations as one YAML document; all if no ids are given. It holds no secret."""
        agents = [a for a in self.list(principal) if agent_ids is None or a.id in agent_ids]
        names = {c.id: c.name for c in self._credentials.list(principal)}
        entries: list[dict[str, Any]] = []
        for agent in agents:
            config = dict(agent.version.config)
            credential_id = config.pop("credential_id", None)
            entry: dict[str, Any] = {"name": agent.name, "description": agent.description, "config": config}
            if credential_id and UUID(str(credential_id)) in names:
                entry["credential"] = names[UUID(str(credential_id))]
            entries.append(entry)
        document = {"format": EXPORT_FORMAT, "agents": entries}
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)

    def import_yaml(self, principal: Principal, text: str) -> ImportReport:
        """Creates the agents that are new, adds a version to those that differ. All entries are checked before the
        first is written.

        Raises:
            InvalidInput: Not YAML, not this format, or an entry that is wrong: which and why; nothing was changed.
        """
        entries = _read_entries(text)
        credentials = {c.name: c.id for c in self._credentials.list(principal)}
        parsed = [_parse_entry(number, entry, credentials) for number, entry in enumerate(entries, start=1)]
        names = [name for name, _, _ in parsed]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInput(f"The file names the same agent twice: {', '.join(twice)}. Nothing was imported.")
        existing = {a.name: a for a in [*self.list(principal), *self.list(principal, archived=True)]}
        created: list[str] = []
        updated: list[str] = []
        unchanged: list[str] = []
        for name, description, config in parsed:
            agent = existing.get(name)
            if agent is None:
                self.create(principal, name=name, description=description, config=config, note="Imported")
                created.append(name)
            elif config_of(agent.version) == config:
                unchanged.append(name)
            else:
                self.edit(principal, agent.id, config=config, note="Imported", expected_revision=agent.revision)
                updated.append(name)
        return ImportReport(created=tuple(created), updated=tuple(updated), unchanged=tuple(unchanged))


def config_of(version: AgentVersionRecord) -> AgentConfig:
    """A version's configuration, typed."""
    return AgentConfig.parse(version.config)


def diff_versions(old: AgentVersionRecord, new: AgentVersionRecord) -> str:
    """A unified diff of two versions' YAML; "" when they are the same."""
    lines = difflib.unified_diff(
        _as_yaml(old.config).splitlines(),
        _as_yaml(new.config).splitlines(),
        fromfile=f"version {old.number}",
        tofile=f"version {new.number}",
        lineterm="",
        n=3,
    )
    return "\n".join(lines)


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a diff shows the line that changed."""


def _block_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockDumper.add_representer(str, _block_text)


def _as_yaml(config: Mapping[str, Any]) -> str:
    return yaml.dump(dict(config), Dumper=_BlockDumper, sort_keys=True, allow_unicode=True, width=100)


def _valid_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise InvalidInput("Give the agent a name.")
    if len(name) > 100:
        raise InvalidInput("An agent's name has at most 100 characters.")
    return name


def _read_entries(text: str) -> list[Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise InvalidInput(f"This is not YAML: {exc}. Nothing was imported.") from exc
    if not isinstance(document, dict) or document.get("format") != EXPORT_FORMAT:
        raise InvalidInput(
            f"The file must start with 'format: {EXPORT_FORMAT}' and a list 'agents'. Nothing was imported. "
            "Export an agent to see the form."
        )
    entries = document.get("agents")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput("The file has no agents. Nothing was imported.")
    return entries


def _parse_entry(number: int, entry: object, credentials: Mapping[str, UUID]) -> tuple[str, str, AgentConfig]:
    where = f"Agent {number}"
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise InvalidInput(f"{where} needs a 'name' and a 'config'. Nothing was imported.")
    try:
        name = _valid_name(str(entry.get("name") or ""))
        where = f"Agent {number} ({name})"
        config = dict(entry["config"])
        credential = entry.get("credential")
        if credential is not None:
            if credential not in credentials:
                raise InvalidInput(f"it names the credential {credential!r}, which does not exist here: add it first")
            config["credential_id"] = credentials[credential]
        parsed = AgentConfig.parse(config)
        registry.get_spec(parsed.provider)
    except AgentLauncherError as exc:
        raise InvalidInput(f"{where}: {exc} Nothing was imported.") from exc
    return name, str(entry.get("description") or ""), parsed
