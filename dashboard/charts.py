"""Figures over time: bars and lines by bucket."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.storage.records import LatencyPoint
from dashboard import formatting, palette
from dashboard.chart_axes import Buckets, Unit, figure_text, spread, ticks
from dashboard.chart_frame import HEIGHT, Figure, axis, frame

_LABEL_GAP_PX: Final = 17
_LEGEND_LINE_PX: Final = 19
_CLOSE: Final = 45
"""From more buckets than this on, marks of the usual size would touch and hide their line."""
_HALF_WIDTH_PX: Final = 380
"""Of a chart that shares a window of 1280 pixels with another."""


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
                "marker": {"color": part.color, "size": 5 if len(buckets.starts) <= _CLOSE else 3},
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


def _by_time(buckets: Buckets, top: float, height: int) -> Figure:
    layout = frame(height)
    layout |= {
        "xaxis": axis()
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
        "yaxis": axis() | {"range": [0, top], "showgrid": True},
        "hovermode": "x unified",
    }
    return {"data": [], "layout": layout}
