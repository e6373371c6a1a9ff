"""Figures with a row for each model, agent or error code."""

from collections.abc import Sequence
from typing import Any, Final

from core.storage.records import LatencyPoint
from dashboard import palette
from dashboard.chart_axes import Unit, figure_text, ticks
from dashboard.chart_frame import HEIGHT, Figure, axis, frame
from dashboard.formatting import shortened

_ROW_PX: Final = 26
_NAME_CHARS: Final = 40


def percentile_ranges(points: Sequence[LatencyPoint], names: Sequence[str]) -> Figure:
    """One row for each key: where its p50, p95 and p99 lie on one axis; the first on top."""
    scale = ticks(Unit.DURATION, max((point.p99_us for point in points), default=0), about=5)
    rows = [shortened(name, _NAME_CHARS) for name in names]
    spans: list[float | None] = []
    span_rows: list[str | None] = []
    for row, point in zip(rows, points, strict=True):
        spans += [point.p50_us, point.p99_us, None]
        span_rows += [row, row, None]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": spans,
            "y": span_rows,
            "line": {"color": palette.OTHER, "width": 2},
            "opacity": 0.5,
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for name, color, values in (
        ("p50", palette.P50, [point.p50_us for point in points]),
        ("p95", palette.P95, [point.p95_us for point in points]),
        ("p99", palette.P99, [point.p99_us for point in points]),
    ):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": values,
                "y": rows,
                "marker": {"color": color, "size": 11},
                "cliponaxis": False,
                "customdata": [figure_text(Unit.DURATION, value) for value in values],
                "hovertemplate": f"{name} %{{customdata}}<extra>%{{y}}</extra>",
            }
        )
    layout = frame(max(HEIGHT, 90 + _ROW_PX * len(points)))
    layout |= {
        "xaxis": axis()
        | {"range": [0, scale.top], "tickvals": scale.values, "ticktext": scale.texts, "showgrid": True},
        "yaxis": axis() | {"type": "category", "autorange": "reversed", "showgrid": False},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout}


def ranking(names: Sequence[str], values: Sequence[int], unit: Unit, *, colors: Sequence[str]) -> Figure:
    """Bars from the left, the first on top, each with its value at its end."""
    scale = ticks(unit, max(values, default=0), about=5)
    layout = frame(max(HEIGHT, 60 + _ROW_PX * len(names)))
    layout |= {
        "xaxis": axis() | {"range": [0, scale.top * 1.08], "tickvals": scale.values, "ticktext": scale.texts},
        "yaxis": axis() | {"type": "category", "autorange": "reversed", "showgrid": False},
        "bargap": 0.45,
        "barcornerradius": 2,
        "showlegend": False,
        "hovermode": "closest",
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": [shortened(name, _NAME_CHARS) for name in names],
        "marker": {"color": list(colors), "line": {"width": 0}},
        "text": [figure_text(unit, value) for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{text}<extra>%{y}</extra>",
    }
    return {"data": [bars], "layout": layout}
