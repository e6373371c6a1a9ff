"""Column types that are the same on both dialects, in meaning and in order."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.dialects.postgresql import UUID as POSTGRES_UUID
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

NO_ID: Final = UUID(int=0)
"""Stands for "none" where a key of a roll-up cannot be null."""


def to_micros(value: datetime) -> int:
    """Microseconds since 1970, exactly. Raises TypeError for a datetime without a zone."""
    return (value - EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The aware UTC datetime."""
    return EPOCH + timedelta(microseconds=value)


class Id(TypeDecorator[UUID]):
    """A UUID: 16 bytes on SQLite, native on Postgres. Both compare as the UUID's big-endian bytes."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type that the database has for it."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(POSTGRES_UUID(as_uuid=True))
        return dialect.type_descriptor(LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> UUID | bytes | None:
        """What the driver is given."""
        return value if value is None or dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value: Any | None, dialect: Dialect) -> UUID | None:
        """The id of what the driver gave."""
        return (
            cast(UUID | None, value) if value is None or dialect.name == "postgresql" else UUID(bytes=value)
        )


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, as integer microseconds since 1970 UTC: 8 bytes that SQL can divide into quarter hours."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """What the driver is given. Raises TypeError: the datetime has no zone."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """The time of what the driver gave."""
        return None if value is None else from_micros(value)
