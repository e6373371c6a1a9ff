"""Where a run would go now, in a sentence or two: what somebody wants to know before they press "Run"."""

from dataclasses import dataclass

from core.contract import utc_now
from core.execution.breaker import BreakerState, BreakerStatus
from core.execution.choice import BackendChoice
from core.services.key_travel import KeyTravel
from core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would become of a run.

    Attributes:
        on_lambda: Whether it would be sent there.
        attention: Whether that is not what was asked for.
    """

    on_lambda: bool
    sentence: str
    attention: bool = False


def outlook(
    choice: BackendChoice, travel: KeyTravel, *, settings: Settings, breaker: BreakerStatus | None
) -> Outlook:
    """Where it would go.

    Args:
        choice: Where it may run.
        travel: As `RunService.key_travel` says: whether it begins there.
        settings: Which function.
        breaker: How the breaker before it stands; None without a function.
    """
    function = settings.lambda_agent_function_name
    if choice is BackendChoice.LOCAL:
        return Outlook(on_lambda=False, sentence="Runs on this machine.")
    if function is None or breaker is None:
        return Outlook(on_lambda=False, sentence="Runs on this machine: no function on AWS Lambda is set up.")
    if travel is KeyTravel.STAYS:
        off = not settings.use_lambda_for_agent_execution
        why = "USE_LAMBDA_FOR_AGENT_EXECUTION is off" if off else "AWS Lambda cannot reach its server"
        return Outlook(on_lambda=False, sentence=f"Runs on this machine: {why}.")
    if breaker.state is not BreakerState.CLOSED and not _is_due(breaker):
        if choice is BackendChoice.AUTO:
            return Outlook(
                on_lambda=False,
                sentence=f"Runs on this machine for now: {function} did not answer, and its breaker is open.",
                attention=True,
            )
        return Outlook(
            on_lambda=False,
            sentence=f"Fails at once for now: {function} did not answer, and its breaker is open.",
            attention=True,
        )
    after = " Where Lambda completes nothing, this machine does." if choice is BackendChoice.AUTO else ""
    return Outlook(
        on_lambda=True,
        sentence=f"Runs on AWS Lambda ({function}), which cannot stream: the answer comes whole.{after}",
    )


def _is_due(breaker: BreakerStatus) -> bool:
    """Whether the next run is the probe."""
    return (
        breaker.state is BreakerState.OPEN and breaker.probe_at is not None and breaker.probe_at <= utc_now()
    )
