"""Bordered cards: a figure with its change and course, and a chart with its title and the table behind it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard.chart_frame import CONFIG, Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure.

    Attributes:
        value: As text.
        change: Against the period before, with its sign; None when there is nothing to compare.
        tone: Whether the change is good or bad news; None for small ones, and for figures that are neither.
        note: What the reader must know beside the figure, such as "unpriced: 3".
        course: The figure by bucket, for the small chart; drawn from two values on, unless all are 0.
        help: What the figure is, on hover; None if its name says it.
    """

    label: str
    value: str
    change: str | None
    tone: Literal["good", "bad"] | None
    note: str | None
    course: Sequence[float]
    help: str | None


def metric_row(metrics: Sequence[Metric]) -> None:
    """Draws figures side by side; one with a change and a note gets more room."""
    colors: dict[str | None, Literal["green", "red", "gray"]] = {"good": "green", "bad": "red", None: "gray"}
    widths = [1.5 if metric.note and metric.change else 1.0 for metric in metrics]
    for column, metric in zip(st.columns(widths), metrics, strict=True):
        with column:
            # "0 %" would get an arrow upwards: only a number is recognised as no change.
            unit = (
                metric.change.removeprefix("0") if metric.change and metric.change.startswith("0 ") else None
            )
            st.metric(
                metric.label,
                metric.value,
                metric.change if unit is None else 0,
                delta_color=colors[metric.tone],
                delta_description=metric.note,
                format=None if unit is None else f"%d{unit.replace('%', '%%')}",
                help=metric.help,
                border=True,
                height="stretch",
                # A course of zeros would be a line at half of the height.
                chart_data=list(metric.course) if len(metric.course) > 1 and any(metric.course) else None,
                chart_type="area",
            )


@contextmanager
def card(title: str, caption: str) -> Iterator[None]:
    """Draws a bordered container with a title and one line that says what is in it."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        with st.container(gap=None):
            st.markdown(f"**{title}**")
            # Two dollar signs in one Markdown text would be a formula.
            st.caption(caption.replace("$", r"\$"))
        yield


@contextmanager
def table_below(key: str) -> Iterator[bool]:
    """Draws the fold for a chart's table; gives whether it is open, so that a closed one costs nothing."""
    fold = st.expander("Table", key=f"{key}-fold", icon=":material/table:", type="compact", on_change="rerun")
    with fold:
        yield bool(fold.open)


def chart(figure: Figure, *, key: str, alt: str) -> None:
    """Draws a figure in the theme's colours.

    Args:
        figure: From `dashboard.charts` or `dashboard.charts_by_key`.
        key: Unlike any other on the page.
        alt: What a screen reader says.
    """
    if not figure["data"]:
        # Plotly fails over a figure without traces: in this range no run may have a known price.
        st.caption("Nothing that is known to draw in this range.")
        return
    st.plotly_chart(figure, config=CONFIG, key=key, alt=alt, height=figure["layout"]["height"])
