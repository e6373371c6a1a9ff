"""Figures of AWS Lambda: two bars for each agent, and what each size of the function costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.services.right_sizing import ARCHITECTURES, RightSizing, Size
from dashboard import formatting, palette
from dashboard.chart_axes import Unit, figure_text, ticks
from dashboard.chart_frame import HEIGHT, Figure, axis, frame

ARCHITECTURE_COLORS: Final = {"arm64": palette.P50, "x86_64": palette.INPUT}
_NAMED_SIZES_MB: Final = (128, 256, 512, 1024, 2048, 4096, 10240)
_ROW_PX: Final = 30
_MARK_SIZE: Final = 13


@dataclass(frozen=True, slots=True)
class Part:
    """A colour of the bars: a value for each row, None where it is unknown."""

    name: str
    color: str
    values: Sequence[float | None]


def paired_bars(rows: Sequence[str], parts: Sequence[Part], unit: Unit) -> Figure:
    """Bars from the left, stacked from the parts; the first row on top."""
    totals = [sum(part.values[index] or 0 for part in parts) for index in range(len(rows))]
    scale = ticks(unit, max(totals, default=0), about=4)
    layout = frame(max(HEIGHT - 40, 80 + _ROW_PX * len(rows)))
    layout["legend"] |= {"y": -0.12}
    layout |= {
        "barmode": "stack",
        "bargap": 0.35,
        "barcornerradius": 2,
        "showlegend": True,
        "xaxis": axis()
        | {"range": [0, scale.top], "tickvals": scale.values, "ticktext": scale.texts, "showgrid": True},
        "yaxis": axis()
        | {"type": "category", "autorange": "reversed", "showgrid": False, "ticksuffix": "  "},
        "hovermode": "y unified",
    }
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": part.name,
            "x": [value or 0 for value in part.values],
            "y": list(rows),
            "marker": {"color": part.color, "line": {"width": 0}},
            "customdata": [
                formatting.UNKNOWN if value is None else figure_text(unit, value) for value in part.values
            ],
            "hovertemplate": "%{customdata}",
        }
        for part in parts
    ]
    return {"data": data, "layout": layout}


def size_lines(sizing: RightSizing) -> Figure:
    """A line for each architecture: cost of 1,000 executions over the memory size; with the size in use and the best.

    Both axes are logarithmic: each size costs in proportion, so that the lines are straight, and small sizes, where the
    choice is, have as much room as large ones.
    """
    drawn = [size for size in (*sizing.sizes, sizing.now) if size.per_thousand_nanousd]
    if not drawn:
        return {"data": [], "layout": frame(HEIGHT)}
    costs = [size.per_thousand_nanousd or 0 for size in drawn]
    decades = range(math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs))) + 1)
    amounts = [step * 10**power for power in decades for step in (1, 2, 5)]
    amounts = [amount for amount in amounts if min(costs) <= amount <= max(costs)]
    layout = frame(HEIGHT + 60)
    layout["margin"]["t"] = 24
    layout |= {
        "showlegend": True,
        "hovermode": "x unified",
        "xaxis": axis()
        | {
            "type": "log",
            "tickvals": list(_NAMED_SIZES_MB),
            "ticktext": [f"{size} MB" for size in _NAMED_SIZES_MB],
            "showgrid": False,
        },
        "yaxis": axis()
        | {
            "type": "log",
            "tickvals": amounts,
            "ticktext": [formatting.fine_money(round(amount)) for amount in amounts],
            "showgrid": True,
        },
    }
    data = [
        _line(name, [size for size in sizing.sizes if size.architecture == name]) for name in ARCHITECTURES
    ]
    data.append(_mark("In use", "circle-open", sizing.now))
    if sizing.recommended is not None:
        data.append(_mark("Recommended", "star", sizing.recommended))
    return {"data": data, "layout": layout}


def _line(name: str, sizes: Sequence[Size]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [size.memory_mb for size in sizes],
        "y": [size.per_thousand_nanousd for size in sizes],
        "line": {"color": ARCHITECTURE_COLORS[name], "width": 2},
        "marker": {"color": ARCHITECTURE_COLORS[name], "size": 4},
        "customdata": [formatting.fine_money(size.per_thousand_nanousd) for size in sizes],
        "hovertemplate": "%{customdata}",
    }


def _mark(name: str, symbol: str, size: Size) -> dict[str, Any]:
    color = ARCHITECTURE_COLORS.get(size.architecture, palette.OTHER)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{name}: {size.memory_mb} MB, {size.architecture or 'unknown architecture'}",
        "x": [size.memory_mb],
        "y": [size.per_thousand_nanousd],
        "marker": {
            "symbol": symbol,
            "size": _MARK_SIZE,
            "color": palette.LAMBDA if symbol == "star" else color,
            "line": {"width": 2, "color": palette.LAMBDA if symbol == "star" else color},
        },
        "cliponaxis": False,
        "hoverinfo": "skip",
    }
