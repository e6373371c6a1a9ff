"""Rows to Plotly figures, as plain dictionaries of its schema (Streamlit validates them when it draws them).

Colours of text, grid and background are left to Streamlit's theme, so that a figure is right in light and
dark without being made anew. Every axis starts at 0 and carries its unit; zooming is off, because a page is
scrolled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.storage.records import LatencyPoint
from dashboard import formatting, palette
from dashboard.chart_axes import Buckets, Unit, figure_text, spread, ticks

Figure = dict[str, Any]

CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}
HEIGHT = 250

_LABEL_GAP_PX = 17
_ROW_PX = 26
_LEGEND_LINE_PX = 19
_HALF_WIDTH_PX = 380  # of a chart that shares a window of 1280 pixels with another


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One colour of a chart: a value for each bucket, None where there is none."""

    name: str
    color: str
    values: Sequence[float | None]


def stacked_bars(
    series: Sequence[Series],
    buckets: Buckets,
    unit: Unit,
    *,
    average: float | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Bars by bucket, one on top of the other.

    Args:
        series: From the bottom up; drawn with a legend when there are several.
        buckets: The x axis.
        unit: Of the values.
        average: Where a dashed line stands; None for no line. The card's caption says what it is.
        height: In pixels; `legend_height` where the names are the operator's.
    """
    totals = [sum(part.values[index] or 0 for part in series) for index in range(len(buckets.starts))]
    scale = ticks(unit, max(totals, default=0))
    figure = _by_time(buckets, scale.top, height)
    figure["layout"]["yaxis"] |= {"tickvals": scale.values, "ticktext": scale.texts}
    figure["layout"] |= {
        "barmode": "stack",
        "bargap": 0.3,
        "barcornerradius": 2,
        "showlegend": len(series) > 1,
    }
    for part in series:
        values = [value or 0 for value in part.values]
        figure["data"].append(
            {
                "type": "bar",
                "name": part.name,
                "x": buckets.names,
                "y": values,
                "marker": {"color": part.color, "line": {"width": 0}},
                # A part that is nothing in a bucket does not fill the hover box with a line of its own.
                "customdata": [figure_text(unit, value) if value else "" for value in values],
                "hovertemplate": "%{customdata}"
                if len(series) > 1
                else f"%{{customdata}}<extra>{part.name}</extra>",
            }
        )
    if len(series) > 1:
        unknown = [all(part.values[index] is None for part in series) for index in range(len(totals))]
        figure["data"].append(_hovered_total(totals, unknown, buckets, unit))
    if average is not None:
        _add_average(figure, average)
    return figure


def _hovered_total(
    totals: Sequence[float], unknown: Sequence[bool], buckets: Buckets, unit: Unit
) -> dict[str, Any]:
    """A trace that nobody sees: it gives the hover box of stacked bars a line with their sum."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Total",
        "x": buckets.names,
        "y": totals,
        "marker": {"opacity": 0},
        "showlegend": False,
        "customdata": [
            formatting.UNKNOWN if missing else figure_text(unit, total)
            for total, missing in zip(totals, unknown, strict=True)
        ],
        "hovertemplate": "%{customdata}",
    }


def legend_height(*charts: Sequence[Series]) -> int:
    """The height at which bars stay as high as they are while legends take several lines.

    Args:
        charts: The series of charts that stand side by side and are to be of one height.
    """
    lines_needed = 1
    for series in charts:
        longest = max((len(part.name) for part in series), default=0)
        per_line = max(1, _HALF_WIDTH_PX // (longest * 7 + 45))
        lines_needed = max(lines_needed, -(-len(series) // per_line))
    return HEIGHT + (lines_needed - 1) * _LEGEND_LINE_PX


def _add_average(figure: Figure, value: float) -> None:
    figure["layout"]["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": value,
            "y1": value,
            "line": {"color": palette.OTHER, "width": 1, "dash": "dash"},
        }
    ]


def lines(series: Sequence[Series], buckets: Buckets, unit: Unit, *, height: int = HEIGHT) -> Figure:
    """Lines by bucket, each named at its end with its last value; where there is no value the line breaks."""
    highest = max((value for part in series for value in part.values if value is not None), default=0)
    scale = ticks(unit, highest)
    figure = _by_time(buckets, scale.top, height)
    figure["layout"]["yaxis"] |= {"tickvals": scale.values, "ticktext": scale.texts}
    figure["layout"] |= {"showlegend": False}
    figure["layout"]["margin"]["r"] = 84
    for part in series:
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": part.name,
                "x": buckets.names,
                "y": list(part.values),
                "line": {"color": part.color, "width": 2},
                "marker": {"color": part.color, "size": 5},
                "connectgaps": False,
                "cliponaxis": False,
                "customdata": [figure_text(unit, value) for value in part.values],
                "hovertemplate": "%{customdata}",
            }
        )
    figure["layout"]["annotations"] = _end_labels(series, unit, scale.top, height)
    return figure


def _end_labels(series: Sequence[Series], unit: Unit, top: float, height: int) -> list[dict[str, Any]]:
    ended = [
        (part, next((value for value in reversed(part.values) if value is not None), None)) for part in series
    ]
    named = [(part, value) for part, value in ended if value is not None]
    plot_px = height - 50
    moves = spread([value / top * plot_px for _, value in named], gap=_LABEL_GAP_PX)
    return [
        {
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 6,
            "y": value,
            "yshift": move,
            "showarrow": False,
            "text": f"<b>{part.name}</b> {figure_text(unit, value)}",
            "font": {"color": part.color, "size": 12},
        }
        for (part, value), move in zip(named, moves, strict=True)
    ]


def percentile_series(points: Sequence[LatencyPoint], buckets: Buckets, *, p99: bool = False) -> list[Series]:
    """The percentiles of a range as lines, in the colours that they have everywhere."""
    found = {buckets.index(point.start): point for point in points}
    by_bucket = [found.get(index) for index in range(len(buckets.starts))]
    chosen = [
        Series(name="p95", color=palette.P95, values=[point and point.p95_us for point in by_bucket]),
        Series(name="p50", color=palette.P50, values=[point and point.p50_us for point in by_bucket]),
    ]
    if p99:
        chosen.insert(
            0, Series(name="p99", color=palette.P99, values=[point and point.p99_us for point in by_bucket])
        )
    return chosen


def percentile_ranges(points: Sequence[LatencyPoint], names: Sequence[str]) -> Figure:
    """One row for each key: where its p50, p95 and p99 lie on one axis; the first on top."""
    scale = ticks(Unit.DURATION, max((point.p99_us for point in points), default=0), about=5)
    rows = [_short(name) for name in names]
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
    layout = _frame(max(HEIGHT, 90 + _ROW_PX * len(points)))
    layout |= {
        "xaxis": _axis()
        | {"range": [0, scale.top], "tickvals": scale.values, "ticktext": scale.texts, "showgrid": True},
        "yaxis": _axis() | {"type": "category", "autorange": "reversed", "showgrid": False},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout}


def ranking(names: Sequence[str], values: Sequence[int], unit: Unit, *, colors: Sequence[str]) -> Figure:
    """Bars from the left, the first on top, each with its value at its end."""
    scale = ticks(unit, max(values, default=0), about=5)
    layout = _frame(max(HEIGHT, 60 + _ROW_PX * len(names)))
    layout |= {
        "xaxis": _axis()
        | {"range": [0, scale.top * 1.08], "tickvals": scale.values, "ticktext": scale.texts},
        "yaxis": _axis() | {"type": "category", "autorange": "reversed", "showgrid": False},
        "bargap": 0.45,
        "barcornerradius": 2,
        "showlegend": False,
        "hovermode": "closest",
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": [_short(name) for name in names],
        "marker": {"color": list(colors), "line": {"width": 0}},
        "text": [figure_text(unit, value) for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{text}<extra>%{y}</extra>",
    }
    return {"data": [bars], "layout": layout}


def _by_time(buckets: Buckets, top: float, height: int) -> Figure:
    layout = _frame(height)
    layout |= {
        "xaxis": _axis()
        | {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": buckets.names,
            "range": [-0.6, len(buckets.names) - 0.4],
            "tickvals": [name for name, _ in buckets.ticks],
            "ticktext": [text for _, text in buckets.ticks],
            "tickangle": 0,
            "showgrid": False,
        },
        "yaxis": _axis() | {"range": [0, top], "showgrid": True},
        "hovermode": "x unified",
    }
    return {"data": [], "layout": layout}


def _frame(height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 4, "r": 4, "t": 10, "b": 4},
        "dragmode": False,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": -0.16,
            "yanchor": "top",
            "itemsizing": "constant",
            "traceorder": "normal",
        },
        "hoverlabel": {"namelength": -1},
    }


def _axis() -> dict[str, Any]:
    return {"fixedrange": True, "zeroline": False, "automargin": True, "ticks": "", "title": None}


def _short(name: str, limit: int = 40) -> str:
    """Long names keep both ends, where models differ."""
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-limit // 2 + 1 :]}"
