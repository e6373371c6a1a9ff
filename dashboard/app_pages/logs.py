"""Logs: the function's in CloudWatch, and this installation's own; as they are, or live."""

from core.services.log_lines import LogOrigin
from dashboard.backend import application, principal
from dashboard.components.header import page_header
from dashboard.components.log_filters import log_filters
from dashboard.logs.log_view import log_view, no_function


def page() -> None:
    """Draws the page."""
    with page_header(
        "Logs", "What the function on AWS Lambda and this installation wrote; keys are never in it"
    ):
        pass
    origins = application().logs.origins(principal())
    choice = log_filters(origins)
    if LogOrigin.LAMBDA not in origins:
        no_function()
    log_view(choice)


page()
