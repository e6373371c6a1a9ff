"""JSON schemas as some vendors want them."""

from collections.abc import Mapping
from typing import Any, Final

from core.providers.wire import as_list, as_object


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with `additionalProperties: false` in each object that says nothing of it.

    Some vendors take no other objects. What fits the closed schema fits the open one too.
    """
    return {name: _closed_part(name, value) for name, value in _with_closed_object(schema).items()}


_SCHEMAS_BY_NAME: Final = frozenset({"properties", "$defs", "definitions"})
_SCHEMAS_IN_LIST: Final = frozenset({"anyOf", "allOf", "oneOf"})


def _with_closed_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = as_list(schema.get("type")) or [schema.get("type")]
    if ("object" in kinds or "properties" in schema) and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return dict(schema)


def _closed_part(name: str, value: Any) -> Any:
    by_name, listed = as_object(value), as_list(value)
    if name in _SCHEMAS_BY_NAME and by_name is not None:
        return {key: _closed_or_as_is(part) for key, part in by_name.items()}
    if name in _SCHEMAS_IN_LIST and listed is not None:
        return [_closed_or_as_is(part) for part in listed]
    return _closed_or_as_is(value) if name == "items" else value


def _closed_or_as_is(value: object) -> object:
    schema = as_object(value)
    return value if schema is None else closed(schema)
