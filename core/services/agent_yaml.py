"""Agents as YAML: the file that is exported, kept in a repository, edited and imported elsewhere.

It holds no secret: a credential is named, not contained, and must exist where the file is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import AgentLauncherError, InvalidInput
from core.faults import faults_in
from core.services.agent_config import AgentConfig
from core.storage.records import AgentRecord

EXPORT_FORMAT: Final = "agent-launcher/agents/v1"
MAX_NAME_CHARS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An agent as a file describes it; its credential is already looked up."""

    name: str
    description: str
    config: AgentConfig


def dump_agents(agents: Sequence[AgentRecord], credential_names: Mapping[UUID, str]) -> str:
    """The agents' current configurations as one document. A credential that is gone is left out."""
    entries: list[dict[str, Any]] = []
    for agent in agents:
        config = dict(agent.version.config)
        credential_id = config.pop("credential_id", None)
        entry: dict[str, Any] = {"name": agent.name, "description": agent.description}
        if credential_id and (name := credential_names.get(UUID(str(credential_id)))):
            entry["credential"] = name
        entries.append({**entry, "config": config})
    return to_yaml({"format": EXPORT_FORMAT, "agents": entries})


def load_agents(
    text: str, *, credential_ids: Mapping[str, UUID], check: Callable[[AgentConfig], AgentConfig]
) -> list[AgentEntry]:
    """Reads a document.

    Args:
        text: YAML, as `dump_agents` writes it.
        credential_ids: The credentials that exist here, by name.
        check: Returns a configuration that can be saved, or raises.

    Raises:
        InvalidInput: Not YAML, not this format, or an entry that is wrong: which and why.
    """
    entries = [
        _parse_entry(number, entry, credential_ids, check)
        for number, entry in enumerate(_read(text), start=1)
    ]
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"The file names the same agent twice: {', '.join(twice)}. Nothing was imported.")
    return entries


def valid_name(name: str) -> str:
    """The name without blanks around it. Raises InvalidInput."""
    name = name.strip()
    if not name:
        raise InvalidInput("Give the agent a name.")
    if len(name) > MAX_NAME_CHARS:
        raise InvalidInput(
            f"An agent's name has at most {MAX_NAME_CHARS} characters; this one has {len(name)}."
        )
    if not name.isprintable():
        raise InvalidInput("An agent's name is one line of text without control characters.")
    return name


def to_yaml(document: Mapping[str, Any]) -> str:
    """YAML for people: keys in the given order, texts of several lines as blocks, Unicode as it is."""
    return yaml.dump(
        dict(document),
        Dumper=_BlockDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, where YAML can."""


def _block_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    # PyYAML's stubs leave the node's value open.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType]


_BlockDumper.add_representer(str, _block_text)


class _File(BaseModel):
    """The outer form; each entry is read by itself, so that its fault is said with its name."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["agent-launcher/agents/v1"]
    agents: Annotated[list[Any], Field(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""
    credential: str | None = None
    config: dict[str, Any]


def _read(text: str) -> list[Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise InvalidInput(f"This is not YAML: {_where(exc)}. Nothing was imported.") from exc
    except RecursionError:
        raise InvalidInput("This YAML is nested too deep. Nothing was imported.") from None
    try:
        return _File.model_validate(document).agents
    except ValidationError:
        raise InvalidInput(
            f"The file must have 'format: {EXPORT_FORMAT}' and a list 'agents' with at least one, and nothing "
            "else. Nothing was imported. Export an agent to see the form."
        ) from None


def _where(exc: yaml.YAMLError) -> str:
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return str(exc).split("\n", maxsplit=1)[0]


def _parse_entry(
    number: int,
    data: object,
    credential_ids: Mapping[str, UUID],
    check: Callable[[AgentConfig], AgentConfig],
) -> AgentEntry:
    where = f"Agent {number}"
    try:
        entry = _Entry.model_validate(data)
        name = valid_name(entry.name)
        where = f"Agent {number} ({name})"
        config = dict(entry.config)
        if entry.credential is not None:
            config["credential_id"] = _credential_id(entry.credential, credential_ids)
        parsed = check(AgentConfig.parse(config))
    except ValidationError as exc:
        raise InvalidInput(
            f"{where}: {faults_in(exc, whole='entry', fields=_Entry.model_fields)}. Nothing was imported."
        ) from None
    except AgentLauncherError as exc:
        raise InvalidInput(f"{where}: {exc} Nothing was imported.") from exc
    return AgentEntry(name=name, description=entry.description.strip(), config=parsed)


def _credential_id(name: str, credential_ids: Mapping[str, UUID]) -> UUID:
    try:
        return credential_ids[name]
    except KeyError:
        raise InvalidInput(
            f"it names the credential {name!r}, which does not exist here: add it under Settings > "
            "Credentials first, or take the line out."
        ) from None
