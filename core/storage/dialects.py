"""The few places in which the two dialects have different words for the same thing."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that can say ON CONFLICT; both dialects' constructs have the same methods for it."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
