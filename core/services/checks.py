"""What `doctor` finds: one check for each thing that it looks at."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import AgentLauncherError


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: What was found; safe to show.
        remedy: What to do; "" when all is well, or when the detail says it.
    """

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check, or what kept it from being made as one that failed."""
    try:
        return check()
    except AgentLauncherError as exc:
        return Check(name=name, verdict=Verdict.FAILED, detail=str(exc))
    except OSError as exc:
        return Check(name=name, verdict=Verdict.FAILED, detail=f"{exc.filename or name}: {exc.strerror}")
