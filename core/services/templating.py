"""`{{variables}}` in prompts: sandboxed Jinja, where an undefined variable is an error and not an empty string."""

from collections.abc import Mapping
from typing import Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import InvalidRequest

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)


def variables_of(*templates: str | None) -> tuple[str, ...]:
    """The names that the templates ask for, in order of appearance.

    Raises:
        InvalidRequest: A template's syntax is wrong; says where.
    """
    names: dict[str, int] = {}
    for template in templates:
        if not template or "{" not in template:
            continue
        try:
            found = meta.find_undeclared_variables(_ENVIRONMENT.parse(template))
        except TemplateSyntaxError as exc:
            raise InvalidRequest(_syntax_message(exc)) from exc
        for name in sorted(found, key=template.find):
            names.setdefault(name, 0)
    return tuple(names)


def render(template: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in.

    Raises:
        InvalidRequest: Wrong syntax, a variable without a value, or a template that does what it may not.
    """
    if "{" not in template:
        return template
    try:
        return _ENVIRONMENT.from_string(template).render(**variables)
    except TemplateSyntaxError as exc:
        raise InvalidRequest(_syntax_message(exc)) from exc
    except UndefinedError as exc:
        raise InvalidRequest(f"The prompt has a variable without a value: {exc.message}.") from exc
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as exc:
        raise InvalidRequest(f"The prompt's template cannot be rendered: {exc}") from exc


def _syntax_message(exc: TemplateSyntaxError) -> str:
    return (
        f"The prompt's template is wrong in line {exc.lineno}: {exc.message}. "
        "Write {{name}} for a variable, or {% raw %}{{ ... }}{% endraw %} for braces that should stay."
    )
