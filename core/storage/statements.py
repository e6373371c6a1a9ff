"""Statements of the path that every run takes, compiled once: Core's SQL, without Core's work on each execution."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from core.storage.columns import to_micros


class Statement:
    """A compiled statement. Its parameters are the bind names of the Core construct, given as Python values."""

    def __init__(self, construct: Executable, dialect: Dialect, *, names: Sequence[str] | None = None) -> None:
        # The dialect's own copy of the construct would carry types; here values are converted by their Python type.
        compiled = construct.compile(dialect=dialect, column_keys=list(names) if names else None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._order = tuple(compiled.positiontup) if compiled.positional and compiled.positiontup else None
        self._names = tuple(compiled.params)
        self._convert: Callable[[Any], Any] = _to_sqlite if dialect.name == "sqlite" else _to_postgres

    def run(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Executes it once. A name without a value takes the construct's own, or NULL."""
        return connection.exec_driver_sql(self.sql, self._parameters(values))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Executes it for each row, in one call of the driver."""
        connection.exec_driver_sql(self.sql, [self._parameters(values) for values in rows])

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        convert, fixed = self._convert, self._fixed
        if self._order is not None:
            return tuple([convert(values.get(name, fixed.get(name))) for name in self._order])
        return {name: convert(values.get(name, fixed.get(name))) for name in self._names}


def _to_sqlite(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.bytes
    return _to_postgres(value)


def _to_postgres(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_micros(value)
    return value.value if isinstance(value, Enum) else value
