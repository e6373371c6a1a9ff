"""Bordered cards: a figure with its change and course, and a chart with its title and the table behind it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard.charts import CONFIG, Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure.

    Attributes:
        value: As text.
        change: Against the period before, with its sign; None when there is nothing to compare.
        tone: Whether the change is good or bad news; None for small ones, and for figures that are neither.
        note: What the reader must know beside the figure, such as "unpriced: 3".
        course: The figure by bucket, for the small chart; drawn from two values on.
        help: What the figure is, on hover.
    """

    label: str
    value: str
    change: str | None
    tone: Literal["good", "bad"] | None
    note: str | None
    course: Sequence[float]
    help: str


def metric_row(metrics: Sequence[Metric], *, key: str) -> None:
    """Draws figures side by side, in fewer columns where the window is narrow."""
    colors: dict[str | None, Literal["green", "red", "gray"]] = {"good": "green", "bad": "red", None: "gray"}
    with st.grid(len(metrics), min_column_width=130, key=key):
        for metric in metrics:
            # "0 %" would get an arrow upwards: only a number is recognised as no change.
            unchanged = metric.change is not None and metric.change.startswith("0 ")
            st.metric(
                metric.label,
                metric.value,
                0 if unchanged else metric.change,
                delta_color=colors[metric.tone],
                delta_description=metric.note,
                help=metric.help,
                border=True,
                height="stretch",
                chart_data=list(metric.course) if len(metric.course) > 1 else None,
                chart_type="area",
            )


@contextmanager
def card(title: str, caption: str) -> Iterator[None]:
    """Draws a bordered container with a title and one line that says what is in it."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        with st.container(gap=None):
            st.markdown(f"**{title}**")
            st.caption(caption)
        yield


def chart(figure: Figure, *, key: str, alt: str) -> None:
    """Draws a figure in the theme's colours.

    Args:
        figure: From `dashboard.charts`.
        key: Unlike any other on the page.
        alt: What a screen reader says.
    """
    st.plotly_chart(figure, config=CONFIG, key=key, alt=alt, height=figure["layout"]["height"])
