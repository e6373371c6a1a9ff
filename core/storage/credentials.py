"""Sealed keys. This module never sees a key in the clear."""

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select, update

from core import ids
from core.errors import Conflict, NotFound
from core.storage.engine import Database
from core.storage.records import CredentialRecord
from core.storage.tables import CredentialRow, table_of

_credential: Final = table_of(CredentialRow)
# Without a session, which takes three times as long: each run without a key of its own looks for one here.
_OF_PROJECT: Final = (
    sqlalchemy.select(*_credential.c)
    .where(_credential.c.project_id == sqlalchemy.bindparam("of_project"))
    .order_by(_credential.c.name)
)


LATELY_SECONDS: Final = 1.0


class _Lately(NamedTuple):
    """What was read of a project, when, and after how many changes by this process."""

    read_at: float
    changes: int
    records: Sequence[CredentialRecord]


class CredentialRepository:
    """See the module. Each method raises StoreError, and NotFound where a credential is named that is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lately: dict[str, _Lately] = {}
        self._changes = 0

    @contextmanager
    def _changing(self) -> Generator[Session]:
        try:
            with self._database.writing() as session:
                yield session
        finally:
            self._changes += 1

    def lately(self, project_id: str) -> Sequence[CredentialRecord]:
        """As `list`, for the path that every run takes: what another process changed shows `LATELY_SECONDS` later."""
        now, changes = time.monotonic(), self._changes
        known = self._lately.get(project_id)
        if known is None or known.changes != changes or now - known.read_at >= LATELY_SECONDS:
            # What is read while something changes is of before that change, by its number, and not taken again.
            known = self._lately[project_id] = _Lately(now, changes, self.list(project_id))
        return known.records

    def create(
        self,
        project_id: str,
        *,
        name: str,
        provider: str,
        sealed: str,
        last4: str,
        base_url: str | None = None,
    ) -> CredentialRecord:
        """Raises Conflict: the project has one of that name."""
        now = datetime.now(UTC)
        row = CredentialRow(
            id=ids.uuid7(),
            project_id=project_id,
            name=name,
            provider=provider,
            sealed=sealed,
            last4=last4,
            base_url=base_url,
            created_at=now,
            updated_at=now,
        )
        try:
            with self._changing() as session:
                session.add(row)
        except IntegrityError as exc:
            raise _name_taken(name) from exc
        return _record(row)

    def list(self, project_id: str) -> Sequence[CredentialRecord]:
        """All of the project, by name."""
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(_OF_PROJECT, {"of_project": project_id})]

    def all(self) -> Sequence[CredentialRecord]:
        """Those of all projects, for changing the master key."""
        with self._database.reading() as session:
            return [_record(row) for row in session.exec(select(CredentialRow))]

    def any_sealed(self) -> bool:
        """Whether any project has one: then a new master key would make it unreadable."""
        with self._database.reading() as session:
            return session.exec(select(func.count()).select_from(CredentialRow)).one() > 0

    def get(self, project_id: str, credential_id: UUID) -> CredentialRecord:
        """By id."""
        with self._database.reading() as session:
            return _record(_find(session, project_id, credential_id))

    def get_by_name(self, project_id: str, name: str) -> CredentialRecord:
        """By name, exactly as it is written."""
        with self._database.reading() as session:
            row = session.exec(
                select(CredentialRow).where(
                    col(CredentialRow.project_id) == project_id, col(CredentialRow.name) == name
                )
            ).one_or_none()
            if row is None:
                raise NotFound(f"There is no credential named {name!r}.")
            return _record(row)

    def update_sealed(
        self, project_id: str, credential_id: UUID, *, sealed: str, last4: str
    ) -> CredentialRecord:
        """Puts another secret in its place."""
        with self._changing() as session:
            row = _find(session, project_id, credential_id)
            row.sealed, row.last4, row.updated_at = sealed, last4, datetime.now(UTC)
            session.add(row)
        return _record(row)

    def rename(self, project_id: str, credential_id: UUID, name: str) -> CredentialRecord:
        """Raises Conflict: the project has another of that name."""
        try:
            with self._changing() as session:
                row = _find(session, project_id, credential_id)
                row.name, row.updated_at = name, datetime.now(UTC)
                session.add(row)
        except IntegrityError as exc:
            raise _name_taken(name) from exc
        return _record(row)

    def refer(self, project_id: str, credential_id: UUID, api_key_ref: str | None) -> CredentialRecord:
        """Says where AWS Lambda finds the same key; None takes that back."""
        with self._changing() as session:
            row = _find(session, project_id, credential_id)
            row.api_key_ref, row.updated_at = api_key_ref, datetime.now(UTC)
            session.add(row)
        return _record(row)

    def delete(self, project_id: str, credential_id: UUID) -> None:
        """Removes it for good."""
        with self._changing() as session:
            session.delete(_find(session, project_id, credential_id))

    def replace_all_sealed(self, replacements: Iterable[tuple[UUID, str, str]]) -> None:
        """Replaces sealed texts of all projects, given as (id, old sealed, new sealed): all of them or none.

        The secrets in them are the same as before, so `updated_at` stays.

        Raises:
            Conflict: One of them is not what it was, or gone; nothing was changed.
        """
        with self._changing() as session:
            for credential_id, old, new in replacements:
                changed = session.exec(
                    update(CredentialRow)
                    .where(col(CredentialRow.id) == credential_id, col(CredentialRow.sealed) == old)
                    .values(sealed=new)
                )
                if changed.rowcount != 1:
                    raise Conflict(
                        "A credential was changed meanwhile; no secret was replaced. Run it again."
                    )

    def touch_used(self, project_id: str, credential_id: UUID, at: datetime) -> None:
        """Notes when it was last used; one that is gone is no error, as the run that used it is over."""
        with self._changing() as session:
            session.exec(
                update(CredentialRow)
                .where(col(CredentialRow.id) == credential_id, col(CredentialRow.project_id) == project_id)
                .values(last_used_at=at)
            )


def _find(session: Session, project_id: str, credential_id: UUID) -> CredentialRow:
    row = session.get(CredentialRow, credential_id)
    if row is None or row.project_id != project_id:
        raise NotFound("This credential does not exist any more.")
    return row


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"There is a credential named {name!r} already: choose another name, or replace that one's key."
    )


def _record(row: CredentialRow | sqlalchemy.Row[Any]) -> CredentialRecord:
    return CredentialRecord(**{field.name: getattr(row, field.name) for field in fields(CredentialRecord)})
