"""The breaker before AWS Lambda, where a page shows it while it is open."""

from core.contract import utc_now
from core.execution.breaker import BreakerState, CircuitBreaker
from dashboard import queries
from dashboard.backend import application
from dashboard.components.breaker_notice import breaker_notice
from dashboard.following import follow

_EVERY_SECONDS = 2.0


def breaker_if_open() -> None:
    """Draws it, and again until it is closed; nothing where it is closed, or no function is named."""
    breaker = application().lambda_breaker
    if breaker is not None:
        closed = breaker.status().state is BreakerState.CLOSED
        follow(lambda: _draw(breaker), every_s=None if closed else _EVERY_SECONDS)


def _draw(breaker: CircuitBreaker) -> bool:
    """Draws it where it is open; whether it is, and stays so."""
    status = breaker.status()
    if status.state is BreakerState.CLOSED:
        return False
    reset = breaker_notice(status, now=utc_now(), zone=queries.zone())
    if reset:
        breaker.reset()
    return not reset
