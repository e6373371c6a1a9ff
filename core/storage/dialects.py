"""The few places in which the two dialects have different words for the same thing."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite


def clock(connection: Connection) -> datetime:
    """Now (UTC), by the clock that all processes of a database share: Postgres' own, or the one machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    return connection.execute(select(func.clock_timestamp())).scalar_one().astimezone(UTC)


def insert(dialect: str, table: Table) -> Any:
    """An INSERT that can say ON CONFLICT; both dialects' constructs have the same methods for it."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
