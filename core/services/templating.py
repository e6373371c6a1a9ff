"""`{{variables}}` in prompts: sandboxed Jinja, where an undefined variable is an error.

What a template may do, and how much of it, is in `core.services.template_sandbox`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes

from core.errors import InvalidRequest
from core.services.template_sandbox import MAX_CHARS, Sandbox, budget

_SANDBOX: Final = Sandbox()

_NESTED_TOO_DEEP: Final = (
    "The prompt's template is nested too deep. Keep a part of it with {% set %}, or make two prompts of it."
)


class MissingValues(InvalidRequest):
    """Variables of a request's templates have no value.

    Attributes:
        names: They, by the template that asks for them; none twice within one.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = names
        places: dict[tuple[str, ...], list[str]] = {}
        for place, asked in names.items():
            places.setdefault(tuple(f"{{{{{name}}}}}" for name in asked), []).append(f"in the {place}")
        listed = " and ".join(f"{', '.join(asked)} {' and '.join(where)}" for asked, where in places.items())
        one = len({name for asked in names.values() for name in asked}) == 1
        super().__init__(
            f"A variable has no value. Give a value for {listed}."
            if one
            else f"Variables have no value. Give values for {listed}."
        )


def variables_of(*templates: str | None) -> tuple[str, ...]:
    """The names that the templates ask for, each once, in order of appearance.

    Raises:
        InvalidRequest: A template's syntax is wrong, or it has something in it that no prompt may have; says where.
    """
    names: dict[str, None] = {}
    for template in templates:
        if not template or "{" not in template:
            continue
        try:
            tree = _SANDBOX.bounded(template)
            asked = meta.find_undeclared_variables(tree)
        except TemplateSyntaxError as exc:
            raise InvalidRequest(_syntax_message(exc)) from exc
        except (SyntaxError, RecursionError) as exc:
            raise InvalidRequest(_NESTED_TOO_DEEP) from exc
        names.update(dict.fromkeys(node.name for node in tree.find_all(nodes.Name) if node.name in asked))
    return tuple(names)


def render_all(templates: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The texts with their variables filled in, each under the name of its template.

    Raises:
        MissingValues: Naming all variables without a value, in whichever template.
        InvalidRequest: As `render`.
    """
    texts: dict[str, str] = {}
    missing: dict[str, Sequence[str]] = {}
    for what, template in templates.items():
        try:
            texts[what] = render(template, variables, what=what)
        except MissingValues as exc:
            missing |= exc.names
    if missing:
        raise MissingValues(missing)
    return texts


def render(template: str, variables: Mapping[str, str], *, what: str = "prompt") -> str:
    """The text with its variables filled in.

    Where there is a brace in the template, the ends of its lines become line feeds; those in values stay.

    Args:
        template: As it was typed.
        variables: Their values, by name.
        what: What the template is of, for a message.

    Raises:
        MissingValues: Variables without a value; all are named.
        InvalidRequest: Wrong syntax, or a template that does what it may not, or more than it may.
    """
    if "{" not in template:
        return template
    try:
        with budget():
            text = _SANDBOX.from_string(_SANDBOX.bounded(template)).render(**variables)
    except TemplateSyntaxError as exc:
        raise InvalidRequest(_syntax_message(exc)) from exc
    except UndefinedError as exc:
        raise _undefined(template, variables, exc, what=what) from exc
    except (SyntaxError, RecursionError) as exc:  # out of Python's compiler, whatever Jinja made for it
        raise InvalidRequest(_NESTED_TOO_DEEP) from exc
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        MemoryError,
    ) as exc:
        raise InvalidRequest(f"The prompt's template cannot be rendered: {exc}.") from exc
    if len(text) > MAX_CHARS:
        raise InvalidRequest(
            f"The prompt's template makes a text of {len(text):,} characters; the limit is {MAX_CHARS:,}."
        )
    return text


def literal(text: str) -> str:
    """A template that renders to exactly `text`, whose braces are just braces and whose lines end as they do."""
    # Jinja makes a line feed of each carriage return that is not written as an escape.
    returns = "{" in text and "\r" in text
    if not returns and not re.search(r"\{[{%#]", text):
        return text
    if not returns and "endraw" not in text:
        return f"{{% raw %}}{text}{{% endraw %}}"
    return re.sub(r"\{[{%#\r]|\r", lambda match: f"{{{{ '{match[0]}' }}}}".replace("\r", r"\r"), text)


def _undefined(
    template: str, variables: Mapping[str, str], exc: UndefinedError, *, what: str
) -> InvalidRequest:
    missing = [name for name in variables_of(template) if name not in variables]
    if not missing:
        return InvalidRequest(f"The {what}'s template asks for something that is not there: {exc.message}.")
    return MissingValues({what: missing})


def _syntax_message(exc: TemplateSyntaxError) -> str:
    return (
        f"The prompt's template is wrong in line {exc.lineno}: {(exc.message or '').rstrip('.')}. "
        "Write {{name}} for a variable, or {% raw %}{{ ... }}{% endraw %} for braces that should stay."
    )
