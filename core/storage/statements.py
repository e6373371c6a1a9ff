"""Statements of the path that every run takes, compiled once: Core's SQL, without Core's work on each execution."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from core.storage import texts
from core.storage.columns import to_micros
from core.storage.records import AttemptReason, Backend, RunStatus, Trigger

_TO_DRIVER: Final[Mapping[type, Callable[[Any], Any]]] = {
    datetime: to_micros,
    str: texts.storable,
    # As plain texts: drivers look longer at a subclass of str.
    **dict.fromkeys((AttemptReason, Backend, RunStatus, Trigger), attrgetter("value")),
}
_TO_SQLITE: Final = {**_TO_DRIVER, UUID: attrgetter("bytes")}


class Statement:
    """A compiled statement. Its parameters are the bind names of the Core construct, given as Python values."""

    def __init__(
        self, construct: ClauseElement, dialect: Dialect, *, names: Sequence[str] | None = None
    ) -> None:
        compiled = construct.compile(dialect=dialect, column_keys=list(names) if names else None)
        assert isinstance(compiled, SQLCompiler)
        self._sql = str(compiled)
        self._fixed: Mapping[str, Any] = compiled.params
        self._positions = (
            tuple(compiled.positiontup) if compiled.positional and compiled.positiontup else None
        )
        self._converters = _TO_SQLITE if dialect.name == "sqlite" else _TO_DRIVER

    def run(self, connection: Connection, values: Mapping[str, Any]) -> DBAPICursor:
        """Executes it on the driver's cursor, in the connection's transaction.

        Args:
            values: By bind name. One that is missing takes the construct's own value, or NULL.
        """
        converters, fixed = self._converters, self._fixed
        parameters: list[Any] = []
        names = fixed if self._positions is None else self._positions
        for name in names:
            value = values[name] if name in values else fixed[name]
            convert = converters.get(value.__class__)
            parameters.append(value if convert is None else convert(value))
        cursor: DBAPICursor = connection.connection.cursor()
        cursor.execute(
            self._sql, parameters if self._positions else dict(zip(names, parameters, strict=True))
        )
        return cursor
