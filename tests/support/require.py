"""What a test needs and may not find."""

import os
from typing import TypeVar

import pytest

T = TypeVar("T")


def is_ci() -> bool:
    """Says whether this run decides about a change: then nothing may be skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def require(found: T | None, *, what: str, remedy: str) -> T:
    """Returns `found`, or ends the test as skipped with the reason (as failed where `CI=true`).

    Args:
        found: the thing, or None when it is missing.
        what: its name, as in "Chromium".
        remedy: what to do, as in "make test installs it".
    """
    if found is None:
        pytest.skip(f"{what} is missing: {remedy}")
    return found


def fail_instead_of_skipping(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where `CI=true`, turns a skip into a failure, whoever asked for it; an expected failure stays one."""
    if is_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nNothing may be skipped where CI=true."
