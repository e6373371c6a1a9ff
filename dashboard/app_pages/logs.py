"""Logs: the function's in CloudWatch, and this installation's own; as they are, or live."""

from core.services.log_lines import LogOrigin
from dashboard import queries
from dashboard.backend import application, principal
from dashboard.components.header import page_header
from dashboard.components.log_filters import log_filters, log_range
from dashboard.logs.log_view import log_view, no_function


def page() -> None:
    """Draws the page."""
    with page_header(
        "Logs", "What the function on AWS Lambda and this installation wrote; keys are never in it"
    ):
        back = log_range(queries.zone())
    origins = application().logs.origins(principal())
    choice = log_filters(origins, back)
    if LogOrigin.LAMBDA not in origins:
        no_function()
    log_view(choice)


page()
