"""All rows from one database into another of the same schema, on either dialect."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    MetaData,
    Table,
    Text,
    cast,
    func,
    literal_column,
    select,
    text,
    type_coerce,
)

from core.storage.columns import UtcTime
from core.storage.tables import RunContentRow, metadata, table_of

_ROWS_AT_ONCE: Final = 1_000


def count_rows(connection: Connection, tables: MetaData = metadata) -> Mapping[str, int]:
    """The number of rows of each table, by name in order."""
    return {
        name: int(connection.execute(select(func.count()).select_from(tables.tables[name])).scalar_one())
        for name in sorted(tables.tables)
    }


def copy_rows(source: Connection, target: Connection, described: MetaData = metadata) -> None:
    """Puts the rows of the source in the place of those of the target, within the target's transaction.

    Args:
        source: Where they are read.
        target: Where they are written; on Postgres with this program's schema.
        described: The tables of both.
    """
    tables = described.sorted_tables
    if target.dialect.name == "postgresql":
        names = ", ".join(table.name for table in tables)
        target.execute(text(f"TRUNCATE {names}"))
        for table in tables:
            _copy_into_postgres(target, table, _rows(source, table))
        numbered = table_of(RunContentRow)
        after_last = select(func.coalesce(func.max(numbered.c.id), 0) + 1).scalar_subquery()
        sequence = func.pg_get_serial_sequence(numbered.name, "id")
        target.execute(select(func.setval(sequence, after_last, literal_column("false"))))
        return
    for table in reversed(tables):
        target.execute(table.delete())
    for table in tables:
        _copy_into_sqlite(target, table, _rows(source, table))


def _rows(source: Connection, table: Table) -> Iterator[Sequence[Any]]:
    """The rows in the order of their key, as plain values: UUID, int, bool, bytes, text (JSON too)."""
    streamed = source.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
    query = select(*(_plain(column) for column in table.c)).order_by(*table.primary_key)
    for row in streamed.execute(query):
        yield tuple(row)


def _plain(column: Any) -> ColumnElement[Any]:
    if isinstance(column.type, UtcTime):
        return type_coerce(column, BigInteger())
    if isinstance(column.type, JSON):
        return cast(column, Text())
    return column


def _copy_into_sqlite(target: Connection, table: Table, rows: Iterator[Sequence[Any]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.c)
    marks = ", ".join("?" * len(table.c))
    cursor = target.connection.cursor()
    statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'
    while batch := [
        tuple(value.bytes if isinstance(value, UUID) else value for value in row)
        for row in islice(rows, _ROWS_AT_ONCE)
    ]:
        cursor.executemany(statement, batch)


def _copy_into_postgres(target: Connection, table: Table, rows: Iterator[Sequence[Any]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.c)
    cursor: Any = target.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)
