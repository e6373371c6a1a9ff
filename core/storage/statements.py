"""Statements of the path that every run takes, compiled once: Core's SQL, without Core's work on each execution."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from sqlalchemy import BindParameter, ClauseElement, Connection, bindparam
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from core.storage import texts
from core.storage.columns import to_micros
from core.storage.records import AttemptReason, Backend, RunStatus, Trigger

if TYPE_CHECKING:
    import psycopg

MOST_ROWS: Final = 32
"""Of one statement: with forty columns still far from the 32,766 values that SQLite takes."""

_TO_DRIVER: Final[Mapping[type, Callable[[Any], Any]]] = {
    datetime: to_micros,
    str: texts.storable,
    # As plain texts: drivers look longer at a subclass of str.
    **dict.fromkeys((AttemptReason, Backend, RunStatus, Trigger), attrgetter("value")),
}
_TO_SQLITE: Final = {**_TO_DRIVER, UUID: attrgetter("bytes")}
_ROW: Final = "__"

Values = Mapping[str, Any]


def of_row(name: str, row: int) -> BindParameter[Any]:
    """The parameter of that name in that row of a `RowsStatement`."""
    return bindparam(f"{name}{_ROW}{row}")


class Statement:
    """A compiled statement. Its parameters are the bind names of the Core construct, given as Python values.

    Args:
        construct: The statement.
        dialect: The database's.
        names: The columns of an insert without values of its own.
        ending: What the values' names lack of the bind names.
    """

    def __init__(
        self,
        construct: ClauseElement,
        dialect: Dialect,
        *,
        names: Sequence[str] | None = None,
        ending: str = "",
    ) -> None:
        self._cursor = _sqlite_cursor
        self._converters = _TO_SQLITE
        if dialect.name != "sqlite":
            dialect, self._cursor = _with_postgres_parameters(dialect)
            self._converters = _TO_DRIVER
        compiled = construct.compile(dialect=dialect, column_keys=list(names) if names else None)
        assert isinstance(compiled, SQLCompiler)
        self._sql = str(compiled)
        self._asked = tuple(
            (name.removesuffix(ending), compiled.params[name]) for name in compiled.positiontup or ()
        )

    def run(self, connection: Connection, values: Values) -> DBAPICursor:
        """Executes it on the driver's cursor, in the connection's transaction.

        Args:
            values: By bind name. One that is missing takes the construct's own value, or NULL.
        """
        converters = self._converters
        parameters: list[Any] = []
        for name, value in self._asked:
            if name in values:
                value = values[name]
            convert = converters.get(value.__class__)
            parameters.append(value if convert is None else convert(value))
        cursor = self._cursor(connection)
        cursor.execute(self._sql, parameters)
        return cursor


class RowsStatement:
    """A statement on any number of rows at once: compiled for one row, for two, for four, when first needed.

    A row of a statement costs a third of a statement with one row, and a thread that writes lets go of the interpreter
    with each statement.

    Args:
        construct: The statement on so many rows, with `of_row` for each of its values.
    """

    def __init__(self, construct: Callable[[int], ClauseElement], dialect: Dialect) -> None:
        self._construct = construct
        self._dialect = dialect
        self._of_size: dict[int, Statement] = {}

    def run(self, connection: Connection, rows: Sequence[Values]) -> Iterator[tuple[int, DBAPICursor]]:
        """Executes it as often as it takes; gives for each time how many rows it was for, and the cursor."""
        done = 0
        while done < len(rows):
            size = min(MOST_ROWS, 1 << ((len(rows) - done).bit_length() - 1))
            chosen = rows[done : done + size]
            values = chosen[0] if size == 1 else _by_bind_name(chosen)
            yield size, self._sized(size).run(connection, values)
            done += size

    def all(self, connection: Connection, rows: Sequence[Values]) -> None:
        """As `run`, of which nobody needs the cursors."""
        for _ in self.run(connection, rows):
            pass

    def _sized(self, size: int) -> Statement:
        found = self._of_size.get(size)
        if found is None:
            # For one row, as is most usual, its own names do.
            ending = f"{_ROW}0" if size == 1 else ""
            found = self._of_size[size] = Statement(self._construct(size), self._dialect, ending=ending)
        return found


def _sqlite_cursor(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()


def _with_postgres_parameters(dialect: Dialect) -> tuple[Dialect, Callable[[Connection], DBAPICursor]]:
    """The dialect with Postgres's own parameters ($1), and what makes a cursor for them.

    Psycopg's usual ones are looked for in the text, anew with each execution of a statement that has more than fifty.
    """
    from psycopg import RawCursor

    kind: Any = type(dialect)

    def cursor(connection: Connection) -> DBAPICursor:
        made: Any = RawCursor(cast("psycopg.Connection", connection.connection.driver_connection))
        return made

    return kind(paramstyle="numeric_dollar"), cursor


def _by_bind_name(rows: Sequence[Values]) -> Values:
    return {f"{name}{_ROW}{number}": value for number, row in enumerate(rows) for name, value in row.items()}
