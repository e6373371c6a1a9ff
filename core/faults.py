"""What a validation found wrong, in plain words: pydantic's own speak of inputs, items and regular expressions."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError

_MAX_FAULTS: Final = 10
_MAX_SHOWN_CHARS: Final = 100

# By pydantic's name of a fault (docs.pydantic.dev/latest/errors/validation_errors), with what it says of it.
_WORDS: Final[Mapping[str, str]] = {
    "value_error": "{error}",
    "missing": "is missing",
    "literal_error": "is none of the possible values; use {expected}",
    "greater_than_equal": "is too small; the least is {ge}",
    "greater_than": "is too small; it must be more than {gt}",
    "less_than_equal": "is too large; the most is {le}",
    "less_than": "is too large; it must be less than {lt}",
    "string_type": "is not text",
    "string_unicode": "is not text",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number that can be used here",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "dict_type": "is not a JSON object",
    "model_type": "is not a JSON object",
    "list_type": "is not a list",
    "invalid-json-value": "is not JSON",
    "uuid_type": "is not an id",
    "uuid_parsing": "is not an id",
}
_OTHERWISE: Final = "has a value that cannot be used here"
_FORMS: Final[Mapping[str, str]] = {
    "base_url": "is not an address like https://host/v1",
    "api_key_ref": "is neither env:NAME nor the ARN of an AWS Secrets Manager secret",
    "contract_version": "is not a version like 1.0",
}
"""What a field has to look like whose fault is that its text does not match."""


def faults_in(
    exc: ValidationError, *, whole: str = "", unknown_field: str = "", fields: Iterable[str] = ()
) -> str:
    """The first faults, each with its field, on one line. No value is repeated, for it may be a key.

    Args:
        exc: Pydantic's. What our own validators raised is given in their words.
        whole: What a fault of no single field is said of, if anything.
        unknown_field: Added where a field is not known.
        fields: Those that there are, of which the nearest is named then.
    """
    lines: list[str] = []
    for fault in exc.errors(include_url=False, include_input=False)[:_MAX_FAULTS]:
        where = _shown(".".join(str(part) for part in fault["loc"])) or whole
        if fault["type"] == "extra_forbidden":
            near = get_close_matches(where, list(fields), n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            lines.append(f"unknown field {where!r}{meant}{unknown_field}")
            continue
        said = _in_plain_words(fault["type"], fault.get("ctx") or {}, field=where)
        lines.append(f"{where}: {said}" if where else said)
    return "; ".join(lines)


def _in_plain_words(kind: str, context: Mapping[str, Any], *, field: str) -> str:
    if kind == "string_pattern_mismatch":
        return _FORMS.get(field, _OTHERWISE)
    if kind.endswith(("too_short", "too_long")):
        return _length(context)
    return _WORDS.get(kind, _OTHERWISE).format_map(context)


def _length(context: Mapping[str, Any]) -> str:
    # Pydantic counts a text's characters as items of a "Value" where a validator of ours looked at it first.
    unit = "entries" if context.get("field_type") in {"List", "Dictionary"} else "characters"
    least, most = context.get("min_length"), context.get("max_length")
    if least == 1:
        return "is empty"
    if least is not None:
        return f"is too short; it needs {least} {unit} or more"
    actual = context.get("actual_length")
    return f"{'is too long' if actual is None else f'has {actual} {unit}'}; the limit is {most} {unit}"


def _shown(name: str) -> str:
    # A field's name is the caller's text too: it may be endless, or hold what no log can take.
    if len(name) > _MAX_SHOWN_CHARS:
        name = f"{name[:_MAX_SHOWN_CHARS]}..."
    return name if name.isprintable() else ascii(name)[1:-1]
