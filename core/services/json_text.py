"""JSON that a person types: an object or nothing, and an error that says where the fault is."""

import json
from typing import Any, NoReturn, cast

from core.errors import InvalidInput


def parse_object(text: str, *, what: str) -> dict[str, Any] | None:
    """Reads a JSON object.

    Args:
        text: As typed; blank is no object.
        what: What it is, for the error: "The context".

    Returns:
        The object; None for blank text or an empty object.

    Raises:
        InvalidInput: Not a JSON object: which line and column, and what was expected; or a name given twice.
    """
    if not text.strip():
        return None
    try:
        value = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise InvalidInput(
            f"{what} is not JSON. Line {exc.lineno}, column {exc.colno}: {_lower(exc.msg)}{_hint(text, exc)}."
        ) from exc
    except RecursionError as exc:
        raise InvalidInput(f"{what} is nested too deep.") from exc
    except _Refused as exc:
        raise InvalidInput(f"{what} {exc}") from exc
    except ValueError as exc:
        raise InvalidInput(f"{what} holds a number with too many digits.") from exc
    if not isinstance(value, dict):
        raise InvalidInput(f'{what} must be a JSON object, such as {{"customer": 7}}, not {_kind(value)}.')
    return cast("dict[str, Any]", value) or None


class _Refused(ValueError):
    """Valid for Python's reader, but not what the author meant."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"has the name {twice!r} twice in one object: all but one would be lost.")
    return seen


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"has {name}, which is no JSON number.")


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a text"
        case bool() | None:
            return json.dumps(value)
        case _:
            return "a number"


def _hint(text: str, exc: json.JSONDecodeError) -> str:
    at = text[exc.pos : exc.pos + 1]
    if at and at in "}]" and text[: exc.pos].rstrip().endswith(","):
        return " (there is a comma too many before it)"
    if at == "'":
        return " (JSON uses double quotes)"
    return ""
