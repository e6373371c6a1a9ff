"""Reading runs: lists by page, details, export.

Runs are listed newest first, by their id, which rises with time. A page begins where the one before it ended (keyset),
so the thousandth costs what the first did.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from core.errors import InvalidInput, NotFound
from core.storage import texts
from core.storage.engine import Database
from core.storage.records import (
    AttemptRecord,
    Backend,
    RunDetail,
    RunFilter,
    RunPage,
    RunStatus,
    RunSummary,
    Trigger,
)
from core.storage.run_filters import countable_parts, run_conditions
from core.storage.run_lanes import page_of_ids
from core.storage.runs import ASKED, CREDENTIAL, attempt_record, stored_attempts
from core.storage.tables import AttemptRow, RunContentRow, RunRow, table_of

_run = table_of(RunRow).c
_content = table_of(RunContentRow).c
_attempt = table_of(AttemptRow)
_SUMMARY_FIELDS: Final = tuple(RunSummary.__dataclass_fields__)
_SUMMARY: Final = [_run[name] for name in _SUMMARY_FIELDS]
_MORE: Final = [_run.error_message, _run.request_content, _run.response_content, _run.backend_note]


class RunReader:
    """Finds runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, project_id: str, run_id: UUID) -> RunDetail:
        """A run with its texts and attempts. Raises NotFound."""
        with self._database.read() as connection:
            wanted = select(*_SUMMARY, *_MORE).where(_run.id == run_id, _run.project_id == project_id)
            row = connection.execute(wanted).one_or_none()
            if row is None:
                raise NotFound(f"There is no run {run_id} in this project.")
            return _detail(row, _read_texts(connection, [row]), stored_attempts(connection, run_id))

    def summary(self, project_id: str, run_id: UUID) -> RunSummary:
        """A run without its texts. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(
                select(*_SUMMARY).where(_run.id == run_id, _run.project_id == project_id)
            ).one_or_none()
        if row is None:
            raise NotFound(f"There is no run {run_id} in this project.")
        return _summary(row)

    def running(self, project_id: str) -> list[RunSummary]:
        """The runs under way, newest first."""
        return list(self.page(project_id, RunFilter(statuses=(RunStatus.RUNNING,)), limit=1000).runs)

    def page(
        self,
        project_id: str,
        run_filter: RunFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        """One page, newest first.

        Args:
            cursor: `next_cursor` or `previous_cursor` of another page with the same filter; None is the first page.

        Raises:
            InvalidInput: The cursor is not one.
        """
        newer, edge = _read_cursor(cursor)
        wanted = run_filter or RunFilter()
        conditions = run_conditions(_run, project_id, wanted)
        if edge is not None:
            conditions.append(_run.id > edge if newer else _run.id < edge)
        with self._database.read() as connection:
            found = page_of_ids(
                connection, project_id, wanted, conditions, limit=limit + 1, descending=not newer
            )
            rows = connection.execute(select(*_SUMMARY).where(_run.id.in_(found[:limit]))).all()
        more = len(found) > limit
        runs = tuple(sorted((_summary(row) for row in rows), key=lambda run: run.id, reverse=True))
        has_older = newer or more
        has_newer = more if newer else cursor is not None
        return RunPage(
            runs=runs,
            next_cursor=f"o{runs[-1].id.hex}" if runs and has_older else None,
            previous_cursor=f"n{runs[0].id.hex}" if runs and has_newer else None,
        )

    def count(self, project_id: str, run_filter: RunFilter | None = None) -> int:
        """How many runs the filter finds."""
        with self._database.read() as connection:
            return sum(
                int(connection.execute(select(func.count()).where(*part)).scalar_one())
                for part in countable_parts(_run, project_id, run_filter or RunFilter())
            )

    def iterate(
        self,
        project_id: str,
        run_filter: RunFilter | None = None,
        *,
        batch: int = 500,
        with_texts: bool = True,
    ) -> Iterator[RunDetail]:
        """All runs that the filter finds, newest first, however many.

        A batch is in memory at a time, and each batch is a short transaction of its own, so a slow reader holds nothing
        up. Runs started meanwhile are not among them.

        Args:
            with_texts: Without, `request` is empty and `response` is None, and it is several times faster.
        """
        edge: UUID | None = None
        while True:
            details = self._batch(project_id, run_filter or RunFilter(), edge, batch, with_texts)
            yield from details
            if len(details) < batch:
                return
            edge = details[-1].summary.id

    def _batch(
        self, project_id: str, wanted: RunFilter, edge: UUID | None, limit: int, with_texts: bool
    ) -> list[RunDetail]:
        conditions = run_conditions(_run, project_id, wanted)
        if edge is not None:
            conditions.append(_run.id < edge)
        with self._database.read() as connection:
            found = page_of_ids(connection, project_id, wanted, conditions, limit=limit)
            rows = connection.execute(select(*_SUMMARY, *_MORE).where(_run.id.in_(found))).all()
            bodies: Mapping[int, str] = _read_texts(connection, rows) if with_texts else {}
            attempts: dict[UUID, list[AttemptRecord]] = {run_id: [] for run_id in found}
            of_runs = select(_attempt).where(_attempt.c.run_id.in_(found))
            for row in connection.execute(of_runs.order_by(_attempt.c.run_id, _attempt.c.ordinal)):
                attempts[row.run_id].append(attempt_record(row))
        details = [_detail(row, bodies, attempts[row.id]) for row in rows]
        return sorted(details, key=lambda detail: detail.summary.id, reverse=True)


def _read_cursor(cursor: str | None) -> tuple[bool, UUID | None]:
    if cursor is None:
        return False, None
    try:
        if cursor[:1] in ("o", "n"):
            return cursor[0] == "n", UUID(hex=cursor[1:])
    except ValueError:
        pass
    raise InvalidInput(
        "This page of runs does not exist (its cursor cannot be read): start from the first page."
    )


def _summary(row: Row[Any]) -> RunSummary:
    values: dict[str, Any] = {name: getattr(row, name) for name in _SUMMARY_FIELDS}
    values["trigger"] = Trigger(row.trigger)
    values["status"] = RunStatus(row.status)
    values["backend"] = Backend(row.backend)
    if row.fell_back_from is not None:
        values["fell_back_from"] = Backend(row.fell_back_from)
    return RunSummary(**values)


def _read_texts(connection: Connection, rows: Sequence[Row[Any]]) -> Mapping[int, str]:
    numbers = [n for row in rows for n in (row.request_content, row.response_content) if n is not None]
    found = connection.execute(
        select(_content.id, _content.encoding, _content.body).where(_content.id.in_(numbers))
    )
    return {row.id: texts.unpack(row.encoding, row.body) for row in found}


def _detail(row: Row[Any], bodies: Mapping[int, str], attempts: Sequence[AttemptRecord]) -> RunDetail:
    request = json.loads(bodies.get(row.request_content, "{}"))
    credential_id, asked = request.pop(CREDENTIAL, None), request.pop(ASKED, None)
    return RunDetail(
        summary=_summary(row),
        request=request,
        response=bodies.get(row.response_content) if row.response_content is not None else None,
        attempts=tuple(attempts),
        error_message=row.error_message,
        credential_id=None if credential_id is None else UUID(credential_id),
        asked=asked,
        backend_note=row.backend_note,
    )
