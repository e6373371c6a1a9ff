"""Whoever asks a service for something says who asks, first: what sign-in will build on."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import services
from core.services import backing_up, health, key_rotation, restoring
from core.services.principal import Principal

WITHOUT = {
    "RunService.settle": "the housekeeping stores what could not be stored, of every project",
    "RunService.close": "the end of the process",
    "ExportService.close": "the end of the process",
    "LogService.close": "the end of the process",
    "PriceService.price_attempt": "a part of a run, which has its project",
    "PriceService.catalogue_version": "a fact of an installed package",
}
"""Public methods of services that take no principal, and why."""


def methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods of every class that a page, a command or a program asks."""
    for module_info in pkgutil.iter_modules(services.__path__):
        module = importlib.import_module(f"{services.__name__}.{module_info.name}")
        for name, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__ and name.endswith(("Service", "Connections")):
                for method_name, method in inspect.getmembers(found, inspect.isfunction):
                    if not method_name.startswith("_"):
                        yield f"{name}.{method_name}", method


def takes_a_principal(function: Callable[..., Any], *, at: int) -> bool:
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    return len(parameters) > at and (parameters[at].name, parameters[at].annotation) == (
        "principal",
        Principal,
    )


def test_every_method_of_a_service_takes_the_principal_first() -> None:
    found = dict(methods())
    assert len(found) > 50
    without = {name for name, method in found.items() if not takes_a_principal(method, at=1)}
    assert without == set(WITHOUT)


@pytest.mark.parametrize(
    "function", [backing_up.back_up, restoring.restore, key_rotation.rotate, health.look]
)
def test_so_does_what_is_done_to_the_whole_installation(function: Callable[..., Any]) -> None:
    assert takes_a_principal(function, at=0)
