"""The table behind a chart: on screen with units and right-aligned figures, as a file with exact values."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

import pandas as pd
import streamlit as st

from core.services.money import usd_text
from dashboard.formatting import NO_VALUE, duration

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Kind(StrEnum):
    """What a column holds; None in any of them is unknown."""

    TEXT = "text"
    MONEY = "nanousd"
    COUNT = "count"
    DURATION = "microseconds"
    SHARE = "share of 1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title on screen, its name in the file, what it holds, and whether it is on screen at all."""

    title: str
    name: str
    kind: Kind
    on_screen: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values, in the units of the columns' kinds."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]


def show_table(table: Table, *, key: str, file_name: str) -> None:
    """Draws the table and, below it, the button that downloads it.

    Args:
        table: What to show.
        key: Unlike any other on the page.
        file_name: Without extension.
    """
    columns = [(index, column) for index, column in enumerate(table.columns) if column.on_screen]
    frame = pd.DataFrame(
        [{column.title: _shown(column.kind, row[index]) for index, column in columns} for row in table.rows]
    )
    written = {
        column.title: _written(column.kind, [row[index] for row in table.rows])
        for index, column in columns
        if column.kind is not Kind.TEXT
    }
    st.dataframe(
        frame.style.format(written, na_rep="") if len(frame) else frame,
        column_config={
            column.title: st.column_config.TextColumn()
            if column.kind is Kind.TEXT
            else st.column_config.NumberColumn()
            for _, column in columns
        },
        hide_index=True,
        key=f"{key}-table",
        placeholder=NO_VALUE,
    )
    st.download_button(
        "Download CSV",
        lambda: csv_text(table),
        file_name=f"{file_name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"{key}-csv",
        on_click="ignore",
    )


def csv_text(table: Table) -> str:
    """The table as CSV: money as exact decimal dollars, durations in milliseconds, unknown as an empty cell.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow(
            [_exact(column.kind, value) for column, value in zip(table.columns, row, strict=True)]
        )
    return out.getvalue()


def _exact(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    match kind:
        case Kind.TEXT:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
        case Kind.MONEY:
            return usd_text(value)
        case Kind.COUNT:
            return str(round(value))
        case Kind.DURATION:
            return f"{value / 1_000:.3f}"
        case Kind.SHARE:
            return f"{value:.6f}"
        case _:
            assert_never(kind)


def _shown(kind: Kind, value: Any) -> Any:
    """The value in dollars, seconds or percent: what is sorted by, and copied."""
    if value is None:
        return None
    match kind:
        case Kind.TEXT | Kind.COUNT:
            return value
        case Kind.MONEY:
            return value / 1e9
        case Kind.DURATION:
            return value / 1e6
        case Kind.SHARE:
            return 100 * value
        case _:
            assert_never(kind)


def _written(kind: Kind, values: Sequence[Any]) -> Callable[[Any], str]:
    """How a column's numbers, as they are shown, are written."""
    match kind:
        case Kind.MONEY:
            digits = _money_digits(values)
            return lambda value: f"${value:,.{digits}f}"
        case Kind.COUNT:
            return lambda value: f"{value:,.0f}"
        case Kind.DURATION:
            return lambda value: duration(value * 1e6)
        case Kind.SHARE:
            return lambda value: f"{value:.1f} %"
        case Kind.TEXT:
            return str
        case _:
            assert_never(kind)


def _money_digits(values: Sequence[int | None]) -> int:
    """One number of decimals for a whole column, so that it lines up: two figures of its smallest amount."""
    known = [abs(value) for value in values if value]
    smallest = min(known, default=10**9)
    digits = 2
    while digits < 8 and smallest < 10 ** (9 - digits + 1):
        digits += 1
    return digits
