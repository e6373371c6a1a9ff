"""One process at a time: who may do a job, decided inside the transaction that does it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, or_, select, update

from core.storage.dialects import insert
from core.storage.tables import LeaseRow, table_of

_TERM: Final = timedelta(seconds=15)

_lease = table_of(LeaseRow)


def take(connection: Connection, name: str, *, holder: UUID, now: datetime) -> bool:
    """Takes or renews a lease, and keeps others from it until the transaction ends; False if another holds it.

    The row's lock makes the transactions of different holders follow one another, so even a holder that was stopped for
    longer than its term does no harm. The term only keeps the job with one process instead of all trying at once.
    """
    free = or_(_lease.c.holder == holder, _lease.c.expires_at < now)
    taken = connection.execute(
        update(_lease).where(_lease.c.name == name, free).values(holder=holder, expires_at=now + _TERM)
    )
    if taken.rowcount == 1:
        return True
    new = insert(connection.dialect.name, _lease).values(name=name, holder=holder, expires_at=now + _TERM)
    connection.execute(new.on_conflict_do_nothing())
    return connection.execute(select(_lease.c.holder).where(_lease.c.name == name)).scalar_one() == holder


def keep_out(connection: Connection, name: str) -> None:
    """Keeps all out of the job until the transaction ends, waiting for who is in; the lease stays whose it is."""
    nobody, long_ago = UUID(int=0), datetime.fromtimestamp(0, UTC)
    new = insert(connection.dialect.name, _lease).values(name=name, holder=nobody, expires_at=long_ago)
    connection.execute(
        new.on_conflict_do_update(index_elements=[_lease.c.name], set_={"holder": _lease.c.holder})
    )


def take_over(connection: Connection, name: str, *, holder: UUID, now: datetime) -> None:
    """Takes a lease, whoever has it.

    Waits until nobody is inside the job, and keeps all out until the transaction ends.
    """
    new = insert(connection.dialect.name, _lease).values(name=name, holder=holder, expires_at=now + _TERM)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[_lease.c.name],
            set_={"holder": new.excluded.holder, "expires_at": new.excluded.expires_at},
        )
    )
