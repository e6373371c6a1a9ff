"""The table behind a chart: on screen with units and right-aligned figures, as a file with exact values."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

import streamlit as st

from core.services.money import usd_text
from dashboard.formatting import NO_VALUE

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
    config = {
        column.title: _column_config(column.kind, [row[index] for row in table.rows])
        for index, column in columns
    }
    shown = [
        {column.title: _shown(column.kind, row[index]) for index, column in columns} for row in table.rows
    ]
    st.dataframe(
        shown,
        column_config=config,
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


def _column_config(kind: Kind, values: Sequence[Any]) -> Any:
    match kind:
        case Kind.TEXT:
            return st.column_config.TextColumn()
        case Kind.MONEY:
            return st.column_config.NumberColumn(format=f"$%,.{_money_digits(values)}f")
        case Kind.COUNT:
            return st.column_config.NumberColumn(format="%,d")
        case Kind.DURATION:
            return st.column_config.NumberColumn(format="%.2f s")
        case Kind.SHARE:
            return st.column_config.NumberColumn(format="%.1f %%")
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
