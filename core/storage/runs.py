"""Writing runs: each is written before it is sent, and ends once.

Every function is one transaction. An attempt and its part of the roll-ups are stored together, so figures never miss
one, and never count one twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, delete, select, update

from core import ids
from core.errors import ErrorCode, NotFound
from core.storage import rollups, texts
from core.storage.columns import to_micros
from core.storage.dialects import clock
from core.storage.engine import Database
from core.storage.group_commit import NotTogether, Shared
from core.storage.records import AttemptReason, AttemptRecord, Backend, NewRun, RunStatus
from core.storage.run_lanes import projects_seen
from core.storage.run_statements import ATTEMPT_FIELDS, NEW_RUN_FIELDS, Packed, run_statements_of
from core.storage.statements import Values
from core.storage.tables import (
    AttemptRow,
    RunContentRow,
    RunRow,
    WorkerRow,
    table_of,
)
from core.storage.workers import STALE_AFTER_SECONDS

PREVIEW_CHARS: Final = 200

_ID_TOLERANCE_MS: Final = 60_000
_REAPED: Final = (
    "The process that worked on it ended before it was done. Whether the provider completed (and billed) it is not "
    "known; run it again if you need the answer."
)

_run = table_of(RunRow)
_content = table_of(RunContentRow)
_attempt = table_of(AttemptRow)
_worker = table_of(WorkerRow)
CREDENTIAL: Final = "_credential_id"
"""Beside the request's own fields, in the text that is stored of it: no field of the contract begins so."""
ASKED: Final = "_asked"
"""Likewise."""


class RunWriter:
    """Starts, continues, ends and reaps runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = run_statements_of(database.engine.dialect)

    def start(self, new: NewRun) -> None:
        """Writes a run as RUNNING, with its request.

        Raises:
            ValueError: The id was not made at about `created_at` (`core.ids.uuid7(at=...)`): runs are listed by id.
            StoreError: Nothing was written.
        """
        self.start_many([new])

    def start_many(self, new: Sequence[NewRun]) -> None:
        """As `start`, for runs side by side: all of them are written, or none."""
        rows = [_new_run_row(item) for item in new]
        requests = [texts.pack(_to_json(_content_of(item))) for item in new]
        self._database.commit(
            Shared(self._insert_started, list(zip(rows, requests, strict=True))),
            one_statement=len(new) == 1 and self._statements.in_one_statement,
        )

    def _insert_started(
        self, connection: Connection, asked: Sequence[Sequence[tuple[Values, Packed]]]
    ) -> Sequence[None]:
        self._statements.start(connection, [run for together in asked for run in together])
        return [None] * len(asked)

    def add_attempt(self, attempt: AttemptRecord) -> bool:
        """Stores an attempt of a running run that did not decide it. Again with the same ordinal is free.

        Returns:
            False, and nothing changes, if the run is not RUNNING any more.

        Raises:
            ValueError: The attempt is final: `finish` stores it.
        """
        if attempt.final:
            raise ValueError("a final attempt is stored by finish(), with the run's end")

        def insert_one(connection: Connection) -> bool:
            if self._lock(connection, attempt.run_id).status != RunStatus.RUNNING:
                return False
            if attempt.ordinal in {known.ordinal for known in stored_attempts(connection, attempt.run_id)}:
                return True
            self._statements.insert_attempts(connection, [attempt])
            connection.execute(
                update(_run).where(_run.c.id == attempt.run_id).values(attempts=_run.c.attempts + 1)
            )
            return True

        return self._database.commit(insert_one)

    def finish(
        self,
        run_id: UUID,
        *,
        status: RunStatus,
        finished_at: datetime,
        attempts: Sequence[AttemptRecord],
        response: str | None,
        error_code: str | None = None,
        error_message: str | None = None,
        fell_back_from: Backend | None = None,
        backend_note: str | None = None,
    ) -> bool:
        """Ends a run: its attempts, totals and answer.

        Args:
            attempts: All of the run's attempts, or those that `add_attempt` has not stored (an ordinal that is stored
                is kept as it is). If no new one is final (the run was stopped while it waited to try again), the last
                one becomes it, with its own status and error. A run without any, or of which nobody knows whether
                another one was under way (OUTCOME_UNKNOWN), gets one that carries the run's status and error.

        Returns:
            False, and nothing changes, if the run has ended before. An end that the reaper wrote is not one: it
            knew nothing of the run, so what its own process says takes that end's place, in the figures too.

        Raises:
            NotFound: There is no such run.
            ValueError: The status is RUNNING, an attempt is another run's, or two are final.
        """
        if status is RunStatus.RUNNING:
            raise ValueError("a run does not end as RUNNING")
        if any(attempt.run_id != run_id for attempt in attempts):
            raise ValueError("an attempt belongs to another run")
        if sum(attempt.final for attempt in attempts) > 1:
            raise ValueError("two attempts are final; one decides a run")
        ending = _Ending(run_id, status, finished_at, error_code, error_message, fell_back_from, backend_note)
        answer = None if response is None else texts.pack(response)
        end = _End(ending, attempts, answer)
        if (
            end.usual
            and self._statements.in_one_statement
            and self._database.commit(
                lambda connection: self._statements.end_at_once(
                    connection, ending.values(attempts), answer, attempts[0]
                ),
                one_statement=True,
            )
        ):
            return True
        return self._database.commit(Shared(self._end_several, end))

    def _end_several(self, connection: Connection, ends: Sequence["_End"]) -> Sequence[bool]:
        if len(ends) == 1:
            return [self._end(connection, ends[0])]
        usual = [end for end in ends if end.usual]
        if not self._end_unstored(connection, usual):
            raise NotTogether
        return [end.usual or self._end(connection, end) for end in ends]

    def _end_unstored(self, connection: Connection, ends: Sequence["_End"]) -> bool:
        """Whether each of them was RUNNING, with no attempt stored, and has ended."""
        if not self._statements.end(
            connection, [(end.ending.values(end.attempts), end.answer) for end in ends]
        ):
            return False
        self._statements.insert_attempts(connection, [attempt for end in ends for attempt in end.attempts])
        return True

    def _end(self, connection: Connection, end: "_End") -> bool:
        if end.decided and self._end_unstored(connection, [end]):
            return True
        ending, given = end.ending, end.attempts
        run = self._lock(connection, ending.run_id)
        if run.status != RunStatus.RUNNING:
            if run.error_message != _REAPED or ending.message == _REAPED:
                return False
            self._take_back_reaping(connection, ending.run_id)
        stored = stored_attempts(connection, ending.run_id)
        ordinals = {attempt.ordinal for attempt in stored}
        new = [attempt for attempt in given if attempt.ordinal not in ordinals]
        last: AttemptRecord | None = None
        if not any(attempt.final for attempt in new):
            if ending.status is RunStatus.OUTCOME_UNKNOWN or not (stored or new):
                new.append(
                    ending.undecided([*stored, *new], backend=Backend(run.backend), since=run.created_at)
                )
            elif new:
                new[-1] = replace(new[-1], final=True)
            else:
                last = stored[-1] = replace(stored[-1], final=True)
                # What it added to the figures, when it decided nothing, is added anew below.
                rollups.forget(connection, last.id)
                connection.execute(update(_attempt).where(_attempt.c.id == last.id).values(final=True))
        number = None if end.answer is None else self._statements.add_text(connection, end.answer)
        values = ending.values([*stored, *new])
        self._statements.end_continued(connection, {**values, "new_response_content": number})
        if last is not None:
            self._statements.insert_facts(connection, [last])
        self._statements.insert_attempts(connection, new)
        return True

    def _take_back_reaping(self, connection: Connection, run_id: UUID) -> None:
        """Makes a run that the reaper ended RUNNING again: without the attempt that stood for the unknown end."""
        chosen = (_attempt.c.run_id == run_id, _attempt.c.final, _attempt.c.error_message == _REAPED)
        attempt_id = connection.execute(select(_attempt.c.id).where(*chosen)).scalar_one()
        rollups.forget(connection, attempt_id)
        connection.execute(delete(_attempt).where(_attempt.c.id == attempt_id))
        connection.execute(
            update(_run)
            .where(_run.c.id == run_id)
            .values(status=RunStatus.RUNNING, attempts=_run.c.attempts - 1)
        )

    def reap(
        self,
        *,
        now: datetime | None = None,
        stale_after_seconds: float = STALE_AFTER_SECONDS,
        except_worker: UUID | None = None,
    ) -> int:
        """Ends the RUNNING runs of processes whose heart-beat stopped as OUTCOME_UNKNOWN; returns how many.

        Idempotent, and safe beside other reapers and the run's own process: a run ends once, and what its own
        process says in the end goes before what was said here.

        Args:
            now: None is the clock that heart-beats are told by, on Postgres the database's.
            stale_after_seconds: How long after its last beat a process is taken for dead.
            except_worker: The process that asks: whatever the store knows of it, it lives.
        """
        if now is None:
            with self._database.read() as connection:
                now = clock(connection)
        alive = select(_worker.c.id).where(_worker.c.beat_at >= now - timedelta(seconds=stale_after_seconds))
        orphans = select(_run.c.id, _run.c.created_at).where(
            _run.c.status == RunStatus.RUNNING.value, _run.c.worker_id.not_in(alive)
        )
        if except_worker is not None:
            orphans = orphans.where(_run.c.worker_id != except_worker)
        with self._database.read() as connection:
            found = [
                row
                for project_id in projects_seen(connection)
                for row in connection.execute(orphans.where(_run.c.project_id == project_id))
            ]
        reaped = 0
        for run_id, created_at in found:
            reaped += self.finish(
                run_id,
                status=RunStatus.OUTCOME_UNKNOWN,
                finished_at=max(now, created_at),
                attempts=[],
                response=None,
                error_code=ErrorCode.OUTCOME_UNKNOWN.value,
                error_message=_REAPED,
            )
        return reaped

    def _lock(self, connection: Connection, run_id: UUID) -> Row[*tuple[Any, ...]]:
        """The run's state, which nobody else changes before the transaction ends."""
        wanted = select(_run.c.status, _run.c.backend, _run.c.created_at, _run.c.error_message).where(
            _run.c.id == run_id
        )
        found = connection.execute(wanted.with_for_update()).one_or_none()
        if found is None:
            raise NotFound(f"There is no run {run_id}.")
        return found


def stored_attempts(connection: Connection, run_id: UUID) -> list[AttemptRecord]:
    """A run's attempts so far, first one first."""
    rows = connection.execute(
        select(_attempt).where(_attempt.c.run_id == run_id).order_by(_attempt.c.ordinal)
    )
    return [attempt_record(row) for row in rows]


def attempt_record(row: Row[*tuple[Any, ...]]) -> AttemptRecord:
    """The record of a row with all columns of `attempt`."""
    values: dict[str, Any] = {name: getattr(row, name) for name in ATTEMPT_FIELDS}
    values["backend"] = Backend(row.backend)
    values["status"] = RunStatus(row.status)
    values["reason"] = None if row.reason is None else AttemptReason(row.reason)
    return AttemptRecord(**values)


class _Ending:
    """How a run ends, and its totals over all attempts."""

    def __init__(
        self,
        run_id: UUID,
        status: RunStatus,
        finished_at: datetime,
        code: str | None,
        message: str | None,
        fell_back_from: Backend | None,
        note: str | None,
    ) -> None:
        self.run_id, self.status, self.finished_at = run_id, status, finished_at
        self.code, self.message = code, message
        self.fell_back_from, self.note = fell_back_from, note

    def values(self, attempts: Sequence[AttemptRecord]) -> Values:
        final = next(attempt for attempt in attempts if attempt.final)
        cost = _cost(attempts)
        return {
            "of_run": self.run_id,
            "ended_us": to_micros(self.finished_at),
            "first_token_at_us": None
            if final.first_token_us is None
            else to_micros(final.started_at) + final.first_token_us,
            "new_status": self.status,
            "new_finished_at": self.finished_at,
            "new_backend": final.backend,
            "new_attempts": len(attempts),
            "new_input_tokens": _tokens(attempts, "input_tokens"),
            "new_output_tokens": _tokens(attempts, "output_tokens"),
            "new_cost_nanousd": cost,
            "new_unpriced": cost is None,
            "new_error_code": self.code,
            "new_error_message": self.message,
            "new_fell_back_from": self.fell_back_from,
            "new_backend_note": self.note,
        }

    def undecided(
        self, attempts: Sequence[AttemptRecord], *, backend: Backend, since: datetime
    ) -> AttemptRecord:
        """The attempt that stands for the end of a run of which no attempt is known to be the last."""
        last = max((attempt.finished_at for attempt in attempts), default=since)
        started_at = min(last, self.finished_at)
        # What an orphaned run used is unknown; what was stopped before it was sent used nothing.
        used = None if self.status is RunStatus.OUTCOME_UNKNOWN else 0
        of_lambda = used if backend is Backend.LAMBDA else None
        return AttemptRecord(
            id=ids.uuid7(),
            run_id=self.run_id,
            ordinal=max((attempt.ordinal for attempt in attempts), default=0) + 1,
            backend=backend,
            status=self.status,
            started_at=started_at,
            finished_at=self.finished_at,
            final=True,
            latency_us=to_micros(self.finished_at) - to_micros(started_at),
            tokens_cost_nanousd=used,
            lambda_compute_nanousd=of_lambda,
            lambda_request_nanousd=of_lambda,
            error_code=self.code,
            error_message=self.message,
        )


class _End(NamedTuple):
    """The end of a run, with what is stored of it."""

    ending: _Ending
    attempts: Sequence[AttemptRecord]
    answer: Packed | None

    @property
    def decided(self) -> bool:
        """Whether it is known which attempt was the last."""
        return any(attempt.final for attempt in self.attempts)

    @property
    def usual(self) -> bool:
        """Whether it was decided at once: of more than one attempt, the earlier ones are stored as a rule."""
        return len(self.attempts) == 1 and self.decided


def _tokens(attempts: Sequence[AttemptRecord], name: str) -> int | None:
    """The sum; as with money, unknown when an attempt's is."""
    counts = [getattr(attempt, name) for attempt in attempts]
    return sum(counts) if counts and None not in counts else None


def _cost(attempts: Sequence[AttemptRecord]) -> int | None:
    total = 0
    for attempt in attempts:
        cost = attempt.cost_nanousd
        if cost is None:
            return None
        total += cost
    return total


def _new_run_row(new: NewRun) -> Mapping[str, Any]:
    # By numbers: the "time" in an id of another kind may be no date at all.
    if abs((new.id.int >> 80) - to_micros(new.created_at) // 1_000) > _ID_TOLERANCE_MS:
        raise ValueError(
            f"the id of a run carries its time: make it with core.ids.uuid7(at={new.created_at!r})"
        )
    row: dict[str, Any] = {name: getattr(new, name) for name in NEW_RUN_FIELDS}
    prompt = new.request.get("prompt")
    text = prompt if isinstance(prompt, str) and prompt else _last_message(new.request)
    row["prompt_preview"] = text[:PREVIEW_CHARS]
    return row | {"status": RunStatus.RUNNING, "attempts": 0, "unpriced": False}


def _content_of(new: NewRun) -> Mapping[str, Any]:
    content = dict(new.request)
    if new.credential_id is not None:
        content[CREDENTIAL] = str(new.credential_id)
    if new.asked is not None:
        content[ASKED] = new.asked
    return content


def _last_message(request: Mapping[str, Any]) -> str:
    messages = request.get("messages")
    if not messages:
        return ""
    content = messages[-1].get("content")
    return content if isinstance(content, str) else ""


def _to_json(request: Mapping[str, Any]) -> str:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":"))
