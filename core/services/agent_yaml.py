"""Agents as YAML: the file that is exported, kept in a repository, edited and imported elsewhere.

It holds no secret: a credential is named, not contained, and must exist where the file is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import yaml

from core.errors import AgentLauncherError, InvalidInput
from core.services.agent_config import AgentConfig
from core.storage.records import AgentRecord

EXPORT_FORMAT: Final = "agent-launcher/agents/v1"
_ENTRY_FIELDS: Final = frozenset({"name", "description", "credential", "config"})
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
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockDumper.add_representer(str, _block_text)


def _read(text: str) -> list[Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise InvalidInput(f"This is not YAML: {_where(exc)}. Nothing was imported.") from exc
    except RecursionError:
        raise InvalidInput("This YAML is nested too deep. Nothing was imported.") from None
    if not isinstance(document, dict) or document.get("format") != EXPORT_FORMAT:
        raise InvalidInput(
            f"The file must start with 'format: {EXPORT_FORMAT}' and a list 'agents'. Nothing was imported. "
            "Export an agent to see the form."
        )
    entries = document.get("agents")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput("The file has no agents. Nothing was imported.")
    return entries


def _where(exc: yaml.YAMLError) -> str:
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return str(exc).split("\n", maxsplit=1)[0]


def _parse_entry(
    number: int,
    entry: object,
    credential_ids: Mapping[str, UUID],
    check: Callable[[AgentConfig], AgentConfig],
) -> AgentEntry:
    where = f"Agent {number}"
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise InvalidInput(f"{where} needs a 'name' and a 'config'. Nothing was imported.")
    if unknown := sorted(str(key) for key in entry.keys() - _ENTRY_FIELDS):
        raise InvalidInput(
            f"{where} has a field that is not known here: {', '.join(unknown)}. Nothing was imported."
        )
    try:
        name = valid_name(str(entry.get("name") or ""))
        where = f"Agent {number} ({name})"
        config = {str(key): value for key, value in entry["config"].items()}
        credential = entry.get("credential")
        if credential is not None:
            if credential not in credential_ids:
                raise InvalidInput(
                    f"it names the credential {str(credential)!r}, which does not exist here: add it under "
                    "Settings > Credentials first, or take the line out."
                )
            config["credential_id"] = credential_ids[credential]
        parsed = check(AgentConfig.parse(config))
    except AgentLauncherError as exc:
        raise InvalidInput(f"{where}: {exc} Nothing was imported.") from exc
    return AgentEntry(name=name, description=str(entry.get("description") or "").strip(), config=parsed)
