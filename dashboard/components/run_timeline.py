"""A run's attempts on one line of time: waiting for the first token, writing, and the pauses in between."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import streamlit as st

from core.storage.records import AttemptRecord, RunStatus
from dashboard import formatting, palette
from dashboard.chart_frame import CONFIG
from dashboard.components.failure import literal
from dashboard.components.marks import BACKEND_LABELS, STATUS_LABELS
from dashboard.components.run_lambda import why

_ROW_PX: Final = 40
_FRAME_PX: Final = 84

_WITHOUT_FIGURE: Final = (formatting.NO_VALUE, formatting.UNKNOWN)

_WAITING: Final = "Until the first token"
_WRITING: Final = "Writing"
_WHOLE: Final = "Whole answer"
_IN_VAIN: Final = "Without an answer"
_PAUSE: Final = "Waiting to try again"
_COLORS: Final = {
    _PAUSE: "rgba(152, 161, 176, 0.25)",
    _WAITING: "#8fb0ff",
    _WRITING: palette.OUTPUT,
    _WHOLE: palette.OUTPUT,
    _IN_VAIN: palette.STATUS[RunStatus.FAILED],
}


def attempts_timeline(attempts: Sequence[AttemptRecord], *, started_at: datetime) -> None:
    """Draws one bar for each attempt, from the run's start.

    Args:
        attempts: By ordinal; at least one.
        started_at: When the run was stored, before anything was sent.
    """
    figure = timeline_figure(attempts, started_at=started_at)
    st.plotly_chart(
        figure,
        config=CONFIG,
        key="run-timeline",
        height=figure["layout"]["height"],
        alt="Attempts of the run on a line of time",
    )


def timeline_figure(attempts: Sequence[AttemptRecord], *, started_at: datetime) -> dict[str, Any]:
    """The figure: seconds since the run's start along x, a row for each attempt, the first on top."""
    bars: dict[str, list[tuple[str, float, float]]] = {}
    before: float | None = None
    for attempt in attempts:
        start = _seconds(attempt.started_at, started_at)
        if before is not None and start > before:
            bars.setdefault(_PAUSE, []).append((_name(attempt), before, start - before))
        for kind, begin, length in _parts(attempt, start):
            bars.setdefault(kind, []).append((_name(attempt), begin, length))
        before = _seconds(attempt.finished_at, started_at)
    end = max(_seconds(attempt.finished_at, started_at) for attempt in attempts)
    return {
        "data": [_trace(kind, bars[kind]) for kind in _COLORS if kind in bars],
        "layout": {
            "height": _FRAME_PX + _ROW_PX * len(attempts),
            "barmode": "overlay",
            "barcornerradius": 3,
            "margin": {"l": 8, "r": 16, "t": 8, "b": 28},
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
            "xaxis": {
                "range": [0, max(end, 0.001) * 1.03],
                "ticksuffix": " s",
                "fixedrange": True,
                "zeroline": False,
                "automargin": True,
            },
            "yaxis": {
                "categoryorder": "array",
                "categoryarray": [_name(attempt) for attempt in reversed(attempts)],
                "fixedrange": True,
                "automargin": True,
                "showgrid": False,
                "ticksuffix": "  ",
            },
        },
    }


def attempts_table(attempts: Sequence[AttemptRecord]) -> None:
    """Draws what each attempt took and how it ended."""
    columns: dict[str, Callable[[AttemptRecord], str]] = {
        "Attempt": lambda a: _name(a),
        "Ended": _ending,
        "Latency": lambda a: formatting.duration(a.latency_us),
        # The attempt's own, as its latency is; the run's are counted from its beginning.
        "First token": lambda a: formatting.duration(a.first_token_us),
        "Tokens in / out": _tokens,
        "Tokens' cost": lambda a: formatting.money(a.tokens_cost_nanousd).replace("$", "\\$"),
    }
    if all(attempt.first_token_us is None for attempt in attempts):
        del columns["First token"]
    if any(attempt.reason for attempt in attempts):
        before = dict(zip((a.ordinal for a in attempts[1:]), attempts, strict=False))
        columns["Why"] = lambda a: why(a, before.get(a.ordinal))
    st.table(
        {title: [cell(attempt) for attempt in attempts] for title, cell in columns.items()},
        border="horizontal",
        hide_index=True,
        hide_header=False,
    )


def attempts_errors(attempts: Sequence[AttemptRecord], *, shown: str | None) -> None:
    """Draws what was said of each attempt that failed, with its remedy.

    Args:
        attempts: By ordinal.
        shown: The run's own error, which stands elsewhere.
    """
    for attempt in attempts:
        if attempt.error_message and attempt.error_message != shown:
            st.caption(f":material/error: **{_name(attempt)}** {literal(attempt.error_message)}")


def _trace(kind: str, rows: Sequence[tuple[str, float, float]]) -> dict[str, Any]:
    color = _COLORS[kind]
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "y": [name for name, _, _ in rows],
        "base": [start for _, start, _ in rows],
        "x": [length for _, _, length in rows],
        "customdata": [formatting.duration(length * 1_000_000) for _, _, length in rows],
        "hovertemplate": f"{kind}: %{{customdata}}<extra>%{{y}}</extra>",
        # The line keeps an attempt of a millisecond visible beside a pause of seconds.
        "marker": {"color": color, "line": {"width": 0 if kind == _PAUSE else 2, "color": color}},
        "width": 0.5,
    }


def _parts(attempt: AttemptRecord, start: float) -> list[tuple[str, float, float]]:
    length = attempt.latency_us / 1_000_000
    if attempt.first_token_us is None:
        return [(_WHOLE if attempt.status is RunStatus.SUCCEEDED else _IN_VAIN, start, length)]
    first = min(attempt.first_token_us / 1_000_000, length)
    return [(_WAITING, start, first), (_WRITING, start + first, length - first)]


def _seconds(moment: datetime, since: datetime) -> float:
    return max(0.0, (moment - since).total_seconds())


def _name(attempt: AttemptRecord) -> str:
    return f"{attempt.ordinal} · {BACKEND_LABELS[attempt.backend]}"


def _ending(attempt: AttemptRecord) -> str:
    if attempt.error_code is None:
        return STATUS_LABELS[attempt.status]
    status = f" (HTTP {attempt.provider_status})" if attempt.provider_status else ""
    return f"`{attempt.error_code}`{status}"


def _tokens(attempt: AttemptRecord) -> str:
    both = attempt.input_tokens, attempt.output_tokens
    texts = [formatting.tokens(number, of=both) for number in both]
    return texts[0] if texts[0] == texts[1] and texts[0] in _WITHOUT_FIGURE else " / ".join(texts)
