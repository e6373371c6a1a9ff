"""The sandbox that prompts are rendered in: Jinja, cut down to what ends soon and stays small.

Jinja's own sandbox guards attributes, not time and memory: loops within loops, a macro that calls itself twice, `x ~ x`
on forty lines or `'a'|center(10**9)` would keep the caller's thread for ever, or take the process's memory. So here

- what can call itself (macros, blocks, recursive loops) and what reads files is refused when the template is read;
- only the filters and methods that are named below may be used;
- what is nested deeper than Python takes it is refused then too (`MAX_BLOCKS`, `MAX_EXPRESSIONS`);
- loops, filters, methods, operators and output pay for what they go through, from one budget for each rendering
  (`MAX_STEPS`), and what would make much of little is refused before it is made (`MAX_CHARS`).
"""

from collections.abc import Callable, Generator, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, cast

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner
from jinja2.visitor import NodeTransformer

from core.contract import MAX_PROMPT_CHARS

MAX_CHARS: Final = MAX_PROMPT_CHARS
"""Of any one text that a template makes, and of the numbers that multiplying makes."""

MAX_STEPS: Final = 2_000_000
"""Of one rendering, some seconds at most. A step is a part of a loop's body, an item of a list or 16 characters."""

MAX_BLOCKS: Final = 10
"""Of loops, conditions and other blocks, within one another. Python takes 20 loops, and 100 levels of indentation."""

MAX_EXPRESSIONS: Final = 40
"""Of operators, filters, calls and brackets, within one another. Python takes 200 brackets, a filter makes up to 4."""

MAX_JSON_INDENT: Final = 8

_CHARS_PER_STEP: Final = 16

FILTERS_ALLOWED: Final = frozenset(
    {"abs", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
     "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "replace",
     "reverse", "round", "sort", "string", "title", "tojson", "trim", "truncate", "unique", "upper",
     "urlencode", "wordcount"}
)  # fmt: skip

_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset(
        {"capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdecimal",
         "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip",
         "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit",
         "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper"}
    ),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
}  # fmt: skip

_STATEMENTS: Final = (
    nodes.Output,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.FilterBlock,
    nodes.With,
)
_BLOCKS: Final = (nodes.For, nodes.If, nodes.AssignBlock, nodes.FilterBlock, nodes.With)
_UNASKED: Final = frozenset({"defined", "undefined"})
"""Tests that may be put to a variable without a value."""


class _Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise SecurityError(
                f"it takes more than {MAX_STEPS:,} steps. Shorten its loops, or the texts that it goes through"
            )


_budget: Final[ContextVar[_Budget | None]] = ContextVar("template_budget", default=None)


@contextmanager
def budget() -> Generator[None]:
    """A fresh budget for what is rendered in this block, in this thread."""
    token = _budget.set(_Budget())
    try:
        yield
    finally:
        _budget.reset(token)


def _spend(steps: int) -> None:
    running = _budget.get()
    if running is None:
        raise RuntimeError("a template is rendered within budget()")
    running.spend(steps)


def _make(chars: int) -> None:
    """Pays for a text, or a list, that is about to be made."""
    if chars > MAX_CHARS:
        raise SecurityError(f"a text in it would be longer than {MAX_CHARS:,} characters")
    _spend(chars // _CHARS_PER_STEP)


def _pay(*values: object) -> int:
    """Pays for going through the values once, and returns how many characters they are as text, roughly.

    What is in a list twice counts twice: so it is written.
    """
    items = chars = 0
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        items += 1
        if isinstance(value, str):
            chars += len(value)
        elif isinstance(value, bool | float) or value is None or isinstance(value, Undefined):
            chars += 8
        elif isinstance(value, int):
            chars += 1 + value.bit_length() // 3
        elif isinstance(value, range):
            items += len(value)
        elif isinstance(value, list | tuple):
            waiting += cast("Sequence[object]", value)
        elif isinstance(value, dict):
            mapping = cast("dict[object, object]", value)
            waiting += [*mapping.keys(), *mapping.values()]
        else:
            raise SecurityError(f"a {type(value).__name__} cannot be used like this")
        if chars > MAX_CHARS or items + len(waiting) > MAX_STEPS:
            _make(MAX_CHARS + 1)
    _spend(items + chars // _CHARS_PER_STEP)
    return chars


def _plain(result: Any) -> Any:
    """A list for what would be gone through later, so that it can be paid for."""
    lazy = isinstance(result, Iterator | KeysView | ValuesView | ItemsView)
    return list(cast("Iterator[Any]", result)) if lazy else result


# How long the results are of what makes more of less.


def _joined(value: Any, d: Any = "", attribute: Any = None) -> int:
    del attribute
    return len(value) * len(str(d))


def _replaced(s: Any, old: Any, new: Any, count: Any = None) -> int:
    del count
    return len(str(s)) + str(s).count(str(old)) * (len(str(new)) - len(str(old)))


def _indented(s: Any, width: Any = 4, first: Any = False, blank: Any = False) -> int:
    del first, blank
    return len(str(s)) + (str(s).count("\n") + len(str(s).splitlines()) + 1) * (
        width if isinstance(width, int) else len(str(width))
    )


def _rounded(value: Any, precision: Any = 0, method: Any = "common") -> int:
    del value, method
    return 0 if abs(precision) <= 100 else MAX_CHARS + 1


def _centered(value: Any, width: Any = 80) -> int:
    return max(len(str(value)), width)


def _as_json(value: Any, indent: Any = None) -> int:
    if indent is None:
        return 0
    if not isinstance(indent, int) or not 0 <= indent <= MAX_JSON_INDENT:
        raise SecurityError(f"tojson indents by 0 to {MAX_JSON_INDENT} spaces. Write a number of these")
    return _pay(value) + indent * _depths(value)


def _depths(value: object) -> int:
    """How deep all that is in the value lies, added up: each is a line of its own."""
    total = depth = 0
    level = [value]
    while level and total <= MAX_CHARS:
        total += depth * len(level)
        depth += 1
        within: list[object] = []
        for item in level:
            if isinstance(item, dict):
                within += cast("dict[object, object]", item).values()
            elif isinstance(item, list | tuple):
                within += cast("Sequence[object]", item)
        level = within
    return total


def _joined_by(text: Any, items: Any) -> int:
    return _joined(_plain(items), text)


_RESULT_CHARS: Final[Mapping[str, Callable[..., int]]] = {
    "center": _centered,
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "round": _rounded,
    "tojson": _as_json,
    "str.join": _joined_by,
    "str.replace": _replaced,
}


def _bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    # What Jinja itself puts before the value: a context, or the environment.
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0
    result_chars = _RESULT_CHARS.get(name)

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        given = args[skipped:]
        _pay(*given, *kwargs.values())
        if result_chars is not None:
            _make(result_chars(*given, **kwargs))
        return _plain(function(*args, **kwargs))

    return bounded


# What the template's own nodes are replaced by; no template can write these names.

_PAID: Final = "%paid"
_CONCATENATED: Final = "%concatenated"
_ITEMS: Final = "%items"


def _paid(value: Any) -> Any:
    _pay(value)
    return value


def _pay_product(operator: str, left: Any, right: Any) -> None:
    sides = (left, right)
    sizes = [max(_pay(side), len(side)) if hasattr(side, "__len__") else abs(side) for side in sides]
    size = sizes[0] ** min(sizes[1], 100) if operator == "**" else sizes[0] * sizes[1]
    if size > MAX_CHARS:
        raise SecurityError(f"a product in it is larger than {MAX_CHARS:,}")
    if any(isinstance(side, list | tuple) for side in sides):
        _spend(int(size))
    elif any(isinstance(side, str) for side in sides):
        _make(int(size))


def _concatenated(values: list[Any]) -> str:
    _make(_pay(*values))
    return "".join(map(str, values))


def _items(value: Any, steps: int) -> list[Any]:
    value = _plain(value)
    if not isinstance(value, Undefined):
        _spend(len(value) * steps)
    return list(value)


class _Bounds(NodeTransformer):
    """Refuses what has no place in a prompt, and lets the rest pay."""

    def __init__(self) -> None:
        self._blocks = self._expressions = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if isinstance(node, nodes.Stmt) and not isinstance(node, _STATEMENTS):
            raise TemplateSyntaxError(
                f"{{% {type(node).__name__.lower()} %}} cannot be used in a prompt", node.lineno
            )
        if isinstance(node, nodes.Filter) and node.name not in FILTERS_ALLOWED:
            raise TemplateSyntaxError(
                f"the filter {node.name!r} cannot be used in a prompt. There are {', '.join(sorted(FILTERS_ALLOWED))}",
                node.lineno,
            )
        blocks, expressions = self._blocks, self._expressions
        self._blocks += isinstance(node, _BLOCKS)
        self._expressions += isinstance(node, nodes.Expr)
        if self._blocks > MAX_BLOCKS:
            raise TemplateSyntaxError(
                f"more than {MAX_BLOCKS} loops, conditions or other blocks are within one another",
                node.lineno,
            )
        if self._expressions > MAX_EXPRESSIONS:
            raise TemplateSyntaxError(
                f"more than {MAX_EXPRESSIONS} operators, filters, calls or brackets are within one another. "
                "Keep a part of it with {% set %}",
                node.lineno,
            )
        try:
            return super().visit(node, *args, **kwargs)
        finally:
            self._blocks, self._expressions = blocks, expressions

    def visit_If(self, node: nodes.If) -> nodes.Node:
        # Conditions after the first are beside it, not within it.
        others, node.elif_ = node.elif_, []
        self.generic_visit(node)
        self._blocks -= 1
        node.elif_ = [cast("nodes.If", self.visit(other)) for other in others]
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise TemplateSyntaxError("a loop in a prompt cannot be recursive", node.lineno)
        steps = 1 + sum(1 + _written_chars(inner) // _CHARS_PER_STEP for inner in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _call(_ITEMS, cast("nodes.Expr", node.iter), nodes.Const(steps, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call(_CONCATENATED, nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _call(_PAID, node.expr)
        for operand in node.ops:
            operand.expr = _call(_PAID, operand.expr)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        self.generic_visit(node)
        if node.name not in _UNASKED:
            node.node = _call(_PAID, node.node)
            node.args = [_call(_PAID, argument) for argument in node.args]
            # jinja2 declares these as lists of pairs, and makes them lists of `Keyword`.
            for keyword in cast("list[nodes.Keyword]", node.kwargs):
                keyword.value = _call(_PAID, keyword.value)
            if node.dyn_args is not None:
                node.dyn_args = _call(_PAID, node.dyn_args)
            if node.dyn_kwargs is not None:
                node.dyn_kwargs = _call(_PAID, node.dyn_kwargs)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _call(_PAID, node.node)
        return node


def _written_chars(node: nodes.Node) -> int:
    text = (
        getattr(node, "data", None) if isinstance(node, nodes.TemplateData) else getattr(node, "value", None)
    )
    return len(text) if isinstance(text, str) else 0


def _call(name: str, value: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


class Sandbox(ImmutableSandboxedEnvironment):
    """See the module. `bounded` is to be called on what is rendered, within `budget`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        # Finalizing with the context, and without the optimizer, nothing is worked out while it is compiled, when what
        # it makes would be free.
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            optimized=False,
            finalize=_finalize,
        )
        own = self.filters
        functions = cast("dict[str, Any]", self.globals)
        del functions["lipsum"]
        self._functions = [functions[name] for name in ("range", "dict", "namespace", "cycler", "joiner")]
        self.filters = {name: _bounded_filter(name, own[name]) for name in FILTERS_ALLOWED}
        self.filters |= {_PAID: _paid, _CONCATENATED: _concatenated, _ITEMS: _items}

    def bounded(self, template: str) -> nodes.Template:
        """The template, in the form in which it can be rendered.

        Raises:
            TemplateSyntaxError: It is wrong, or has something in it that no prompt may have.
        """
        return cast("nodes.Template", _Bounds().visit(self.parse(template)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators, without those that make much of little."""
        match operator:
            case "%" if isinstance(left, str):
                raise SecurityError(
                    "% on a text cannot be used in a prompt. Write {{name}} where the value belongs"
                )
            case "+" if hasattr(left, "__len__") or hasattr(right, "__len__"):
                _make(_pay(left, right))
            case "*" | "**":
                _pay_product(operator, left, right)
            case _:
                pass
        return super().call_binop(context, operator, left, right)

    # The names are Jinja's, and begin so because a template may give keyword arguments of any name.
    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Methods and functions that are known to be harmless."""
        owner, name = getattr(__obj, "__self__", None), str(getattr(__obj, "__name__", "it"))
        kind = next((kind for kind in _METHODS if isinstance(owner, kind)), None)
        known = any(__obj is function for function in __self._functions)
        if known or isinstance(owner, LoopContext | Cycler) or isinstance(__obj, Joiner):
            _pay(*args, *kwargs.values())
        elif kind is not None and name in _METHODS[kind]:
            _pay(owner, *args, *kwargs.values())
            result_chars = _RESULT_CHARS.get(f"{kind.__name__}.{name}")
            if result_chars is not None:
                _make(result_chars(owner, *args, **kwargs))
        elif not isinstance(__obj, Undefined):
            raise SecurityError(f"{name}() cannot be called in a prompt")
        return _plain(super().call(__context, __obj, *args, **kwargs))


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    del context
    return _paid(value)
