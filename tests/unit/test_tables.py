"""The table behind a chart, as a file."""

import csv
import io

from dashboard.components.tables import Column, Kind, Table, csv_text

COLUMNS = (
    Column("Agent", "agent", Kind.TEXT),
    Column("Cost", "cost_usd", Kind.MONEY),
    Column("Runs", "runs", Kind.COUNT),
    Column("p50", "latency_p50_ms", Kind.DURATION),
    Column("Success", "share_succeeded", Kind.SHARE, on_screen=False),
)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_the_file_has_exact_values_and_every_column() -> None:
    table = Table(COLUMNS, [("Support, triage", 420_001, 12_345, 1_624_500.5, 2 / 3)])
    assert rows_of(csv_text(table)) == [
        ["agent", "cost_usd", "runs", "latency_p50_ms", "share_succeeded"],
        ["Support, triage", "0.000420001", "12345", "1624.501", "0.666667"],
    ]


def test_unknown_is_an_empty_cell_and_not_zero() -> None:
    assert rows_of(csv_text(Table(COLUMNS, [("a", None, 0, None, None)])))[1] == ["a", "", "0", "", ""]


def test_a_name_that_a_spreadsheet_would_compute_is_text() -> None:
    names = ["=1+1", "+1", "-1", "@sum", "\tx", "plain"]
    text = csv_text(Table(COLUMNS[:1], [(name,) for name in names]))
    assert [row[0] for row in rows_of(text)[1:]] == ["'=1+1", "'+1", "'-1", "'@sum", "'\tx", "plain"]
