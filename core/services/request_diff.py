"""What differs between two requests, or two configurations: their fields have the same names."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from core.services.text_diff import TextDiff, diff_texts

TEXT_LABELS: Final = {"system_prompt": "System prompt", "prompt": "Prompt"}
JSON_LABELS: Final = {
    "variables": "Variables",
    "context": "Context (JSON)",
    "response_schema": "JSON schema of the answer",
    "messages": "Earlier messages",
}
FIELD_LABELS: Final = {
    "provider": "Provider",
    "model_name": "Model",
    "agent_type": "Kind",
    "agent_name": "Agent",
    "credential": "Credential",
    "temperature": "Temperature",
    "top_p": "Top P",
    "max_tokens": "Max tokens",
    "stop": "Stop sequences",
    "seed": "Seed",
    "reasoning_effort": "Reasoning effort",
    "timeout_seconds": "Time-out (seconds)",
    "base_url": "Base URL",
    "api_key_ref": "Key reference",
    "attachments": "Attachments",
    "backend": "Backend",
    "retry_on_unknown": "Again if the outcome is unknown",
}
KIND_LABELS: Final[Mapping[str, str]] = {"one-shot": "One question", "chat": "Chat"}
"""Each `agent_type` as a person reads it."""

_NOT_SHOWN: Final = frozenset(
    {*TEXT_LABELS, *JSON_LABELS, *FIELD_LABELS, "contract_version", "credential_id"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """A short field; None where it is not set."""

    label: str
    old: str | None
    new: str | None

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return self.old != self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """A long field; "" where it is not set."""

    label: str
    old: str
    new: str
    diff: TextDiff


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDiff:
    """All that either side set, unchanged fields included."""

    fields: tuple[FieldDiff, ...]
    texts: tuple[TextField, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(f.changed for f in self.fields) and all(text.diff.same for text in self.texts)


def diff_requests(old: Mapping[str, Any], new: Mapping[str, Any]) -> RequestDiff:
    """Compares two requests (`AgentRequest.to_public`) or two configurations (`AgentConfig.to_json`)."""
    return RequestDiff(fields=tuple(_fields(old, new)), texts=tuple(_texts(old, new)))


def text_field(label: str, old: str, new: str) -> TextField:
    """A long field with its difference."""
    return TextField(label=label, old=old, new=new, diff=diff_texts(old, new))


def short_value(name: str, value: object) -> str | None:
    """A field's value in one line; None if it is not set."""
    match value:
        case None | "":
            return None
        case str() if name == "agent_type":
            return KIND_LABELS.get(value, value)
        case str():
            return value
        case float():
            return f"{value:g}"
        case list() if name == "attachments":
            return ", ".join(_attachment(item) for item in cast("list[object]", value))
        case _:
            return json.dumps(value, ensure_ascii=False)


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldDiff]:
    names = [name for name in FIELD_LABELS if name in old or name in new]
    names += sorted((old.keys() | new.keys()) - _NOT_SHOWN)
    for name in names:
        before, after = short_value(name, old.get(name)), short_value(name, new.get(name))
        if before is not None or after is not None:
            yield FieldDiff(label=FIELD_LABELS.get(name, name), old=before, new=after)


def _texts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[TextField]:
    for name, label in TEXT_LABELS.items():
        if old.get(name) or new.get(name):
            yield text_field(label, str(old.get(name) or ""), str(new.get(name) or ""))
    for name, label in JSON_LABELS.items():
        if old.get(name) or new.get(name):
            yield text_field(label, _pretty(old.get(name)), _pretty(new.get(name)))


def _attachment(item: object) -> str:
    if not isinstance(item, dict):
        return "?"
    file = cast("dict[str, object]", item)
    # Files are the same by their bytes, not by their names: the beginning of a digest says so briefly.
    digest = hashlib.sha256(str(file.get("data", "")).encode()).hexdigest()[:8]
    return f"{file.get('name') or 'unnamed'} ({file.get('media_type')}, sha256 {digest})"


def _pretty(value: object) -> str:
    return "" if not value else json.dumps(value, ensure_ascii=False, indent=2)
