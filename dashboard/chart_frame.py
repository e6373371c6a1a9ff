"""What all figures have in common.

Figures are plain dictionaries of Plotly's schema (Streamlit validates them when it draws them). Colours of text, grid
and background are left to Streamlit's theme, so that a figure is right in light and dark without being made anew.
Every axis starts at 0 and carries its unit; zooming is off, because a page is scrolled.
"""

from typing import Any, Final

Figure = dict[str, Any]

CONFIG: Final = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}
HEIGHT: Final = 250


def frame(height: int) -> dict[str, Any]:
    """A layout with its legend below, if it has one."""
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


def axis() -> dict[str, Any]:
    """An axis without a title: the card says what is drawn, and the ticks carry the unit."""
    return {"fixedrange": True, "zeroline": False, "automargin": True, "ticks": "", "title": None}
