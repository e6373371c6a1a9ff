"""What happens once, when Lambda starts the function: its INIT phase, and the snapshot that SnapStart takes after it.

Whatever is unique must not be in the snapshot, from which many copies start. Ids come from `os.urandom`, clients and
connections are made by the first invocation that needs them, and no secret is read before; only Python's `random` has
a state of its own, which each copy gets anew.
"""

import os
import random
from importlib import import_module
from typing import Any, Final

from core.aws_secrets import AwsSecrets
from core.errors import InvocationError
from core.loggers import get_logger
from core.providers import registry
from lambda_handler import function_logs

PRELOAD: Final = "AGENT_LAUNCHER_PRELOAD"
"""Providers whose SDK is imported in the INIT phase, with commas, or ALL: worth it with SnapStart, whose snapshot then
has them. Without SnapStart an invocation imports the one that it needs, and no other."""

_log = get_logger("agent_launcher.function")


def prepare(secrets: AwsSecrets) -> None:
    """Sets up the logs, loads what is to be in a snapshot, and says what a copy of it must renew.

    Only where Lambda's runtime, real or emulated, imports the function: a program that imports it is left alone.
    """
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        return
    function_logs.configure()
    registry.specs()
    for name in _preloaded():
        try:
            registry.load(name)
            if sdk := registry.get_spec(name).sdk:
                import_module(sdk)
        except (InvocationError, ImportError) as exc:
            _log.warning("%s: %s cannot be loaded: %s", PRELOAD, name, exc)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        hooks: Any = import_module("snapshot_restore_py")
        hooks.register_after_restore(renew, secrets)


def renew(secrets: AwsSecrets) -> None:
    """In a copy of a snapshot: nothing that another copy has, too."""
    random.seed()
    secrets.forget()


def _preloaded() -> list[str]:
    names = [name.strip() for name in os.environ.get(PRELOAD, "").split(",") if name.strip()]
    if names == ["ALL"]:
        return list(registry.specs())
    return names
