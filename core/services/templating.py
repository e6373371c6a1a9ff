"""`{{variables}}` in prompts: sandboxed Jinja, where an undefined variable is an error."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import InvalidRequest

MAX_PRODUCT: Final = 2_000_000
"""The largest text or number that multiplying may make in a template: a prompt's own limit."""


class _Environment(ImmutableSandboxedEnvironment):
    # The sandbox guards attributes and ranges; without this `{{ 'a' * 10**10 }}` takes the process's memory.
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) if hasattr(side, "__len__") else abs(side) for side in (left, right)]
        size = sizes[0] ** min(sizes[1], 100) if operator == "**" else sizes[0] * sizes[1]
        if size > MAX_PRODUCT:
            raise SecurityError(f"a product in it is larger than {MAX_PRODUCT:,}")
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT: Final = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def variables_of(*templates: str | None) -> tuple[str, ...]:
    """The names that the templates ask for, each once, in order of appearance.

    Raises:
        InvalidRequest: A template's syntax is wrong; says where.
    """
    names: dict[str, None] = {}
    for template in templates:
        if not template or "{" not in template:
            continue
        try:
            tree = _ENVIRONMENT.parse(template)
            asked = meta.find_undeclared_variables(tree)
        except TemplateSyntaxError as exc:
            raise InvalidRequest(_syntax_message(exc)) from exc
        except RecursionError as exc:
            raise InvalidRequest("The prompt's template is nested too deep.") from exc
        names.update(dict.fromkeys(node.name for node in tree.find_all(nodes.Name) if node.name in asked))
    return tuple(names)


def render(template: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in.

    Raises:
        InvalidRequest: Wrong syntax, variables without a value (all are named), or a template that does what
            it may not.
    """
    if "{" not in template:
        return template
    try:
        return _ENVIRONMENT.from_string(template).render(**variables)
    except TemplateSyntaxError as exc:
        raise InvalidRequest(_syntax_message(exc)) from exc
    except UndefinedError as exc:
        raise InvalidRequest(_undefined_message(template, variables, exc)) from exc
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
        MemoryError,
    ) as exc:
        raise InvalidRequest(f"The prompt's template cannot be rendered: {exc}") from exc


def literal(text: str) -> str:
    """A template that renders to exactly `text`, whose braces are just braces."""
    if not re.search(r"\{[{%#]", text):
        return text
    if "endraw" not in text:
        return f"{{% raw %}}{text}{{% endraw %}}"
    return re.sub(r"\{[{%#]", lambda match: f"{{{{ '{match[0]}' }}}}", text)


def _undefined_message(template: str, variables: Mapping[str, str], exc: UndefinedError) -> str:
    missing = [name for name in variables_of(template) if name not in variables]
    if not missing:
        return f"The prompt's template asks for something that is not there: {exc.message}."
    names = ", ".join(f"{{{{{name}}}}}" for name in missing)
    return f"The prompt has a variable without a value. Give a value for {names}."


def _syntax_message(exc: TemplateSyntaxError) -> str:
    return (
        f"The prompt's template is wrong in line {exc.lineno}: {(exc.message or '').rstrip('.')}. "
        "Write {{name}} for a variable, or {% raw %}{{ ... }}{% endraw %} for braces that should stay."
    )
