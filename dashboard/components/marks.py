"""Small coloured marks with a word beside them: a provider, a status. As Markdown, for labels and texts."""

import base64
from functools import cache
from typing import Final

from core.providers import registry
from core.services.principal import LOCAL
from core.storage.records import Backend, RunStatus, Trigger
from dashboard import palette

STATUS_LABELS: Final = {
    RunStatus.RUNNING: "Running",
    RunStatus.SUCCEEDED: "Succeeded",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELLED: "Cancelled",
    RunStatus.OUTCOME_UNKNOWN: "Outcome unknown",
}


def error_words(code: str | None) -> str:
    """An error's code in words, where it stands in a line or in a narrow place: it breaks between words only."""
    if code is None:
        return "an error"
    return code.replace("_", " ").lower()


TRIGGER_LABELS: Final = {
    Trigger.PLAYGROUND: "Playground",
    Trigger.REPLAY: "Replay",
    Trigger.CLI: "Command line",
    Trigger.PYTHON: "Python",
    Trigger.API: "API",
    Trigger.SCHEDULE: "Schedule",
}

AD_HOC: Final = "ad hoc"
"""In the place of an agent's name, where a run had no agent."""

BACKEND_LABELS: Final = {Backend.LOCAL: "Local", Backend.LAMBDA: "AWS Lambda"}

_UNKNOWN_PROVIDER_COLOR: Final = palette.OTHER


def by_whom(principal_id: str) -> str:
    """` by somebody`, to come after what was done; "" for the one user of an installation without accounts."""
    return "" if principal_id == LOCAL.id else f" by {principal_id}"


def provider_label(name: str) -> str:
    """The provider as a person reads it; its own name if it is not registered here (any more)."""
    spec = registry.specs().get(name)
    return spec.label if spec else name


def provider_color(name: str) -> str:
    """Its colour in every chart and list."""
    spec = registry.specs().get(name)
    return spec.color if spec else _UNKNOWN_PROVIDER_COLOR


def provider_mark(name: str) -> str:
    """A square in the provider's colour, and its label: a dot is a status, here and everywhere."""
    return f"{square(provider_color(name))} {provider_label(name)}"


def status_mark(status: RunStatus) -> str:
    """A dot in the status's colour, and its label."""
    return f"{dot(palette.STATUS[status])} {STATUS_LABELS[status]}"


def dot(color: str) -> str:
    """A dot of that colour, as a Markdown image: Streamlit's own coloured text knows eight colours only."""
    return _image(f'<circle cx="10" cy="10" r="6" fill="{color}"/>')


def square(color: str) -> str:
    """A small square of that colour, likewise: as in the legend of a chart."""
    return _image(f'<rect x="4" y="4" width="12" height="12" rx="2" fill="{color}"/>')


@cache
def _image(shape: str) -> str:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" width="20" height="20">{shape}</svg>'
    return f"![](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
