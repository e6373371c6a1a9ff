"""The SQL that every run takes: its rows are inserted, ended and counted, for one run or for several at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Table,
    TextClause,
    Update,
    and_,
    bindparam,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.engine.interfaces import Dialect

from core.storage.facts import COLUMNS, facts
from core.storage.records import AttemptRecord, Backend, NewRun, RunStatus
from core.storage.statements import RowsStatement, Statement, Values, of_row
from core.storage.tables import AttemptRow, RunContentRow, RunRow, UsageTailRow, table_of

Packed = tuple[int, bytes]
"""A text as it is kept, see `texts.pack`."""

ATTEMPT_FIELDS: Final = tuple(field.name for field in fields(AttemptRecord))
NEW_RUN_FIELDS: Final = tuple(
    field.name for field in fields(NewRun) if field.name not in {"request", "credential_id", "asked"}
)

_run = table_of(RunRow)
_content = table_of(RunContentRow)
_attempt = table_of(AttemptRow)

_RUN_COLUMNS: Final = (
    *NEW_RUN_FIELDS,
    "status",
    "attempts",
    "unpriced",
    "prompt_preview",
    "request_content",
)
_LOCAL_FIELDS: Final = tuple(name for name in ATTEMPT_FIELDS if not name.startswith("lambda_"))
"""What there is to say of an attempt that was not on AWS Lambda."""
_ENDING: Final = (
    "status",
    "finished_at",
    "backend",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cost_nanousd",
    "unpriced",
    "error_code",
    "error_message",
    "response_content",
    "fell_back_from",
    "backend_note",
)
ENDING_VALUES: Final = ("of_run", "ended_us", "first_token_at_us", *(f"new_{name}" for name in _ENDING))


class RunStatements(ABC):
    """Each is run in the connection's transaction, on the driver's cursor. See `run_statements_of`.

    Attributes:
        in_one_statement: Whether a run is started, and ended with its attempt, in one statement each.
    """

    in_one_statement: ClassVar[bool] = False

    def __init__(self, dialect: Dialect) -> None:
        self._insert_facts = RowsStatement(_inserting_facts, dialect)
        self._end_continued_run = Statement(_ending(bindparam), dialect)

    @abstractmethod
    def start(self, connection: Connection, started: Sequence[tuple[Values, Packed]]) -> None:
        """Inserts runs that begin: the columns of each, but `request_content`, and its request."""
        ...

    @abstractmethod
    def end(self, connection: Connection, ended: Sequence[tuple[Values, Packed | None]]) -> bool:
        """Ends runs of which nothing but the beginning is stored; on Postgres one at a time.

        Args:
            ended: For each the `ENDING_VALUES` by name, but `new_response_content`, and its answer.

        Returns:
            False if one of them is not such a run: no answer is stored then, but the others may have ended.
        """
        ...

    def end_at_once(
        self, connection: Connection, ending: Values, answer: Packed | None, attempt: AttemptRecord
    ) -> bool:
        """As `end` and `insert_attempts`, in one statement: if it is not such a run, nothing at all is stored.

        Raises:
            NotImplementedError: Where `in_one_statement` is False.
        """
        raise NotImplementedError

    @abstractmethod
    def add_text(self, connection: Connection, packed: Packed) -> int:
        """Stores a text; returns its number."""
        ...

    def end_continued(self, connection: Connection, ending: Values) -> None:
        """Ends a run of which attempts may be stored."""
        self._end_continued_run.run(connection, ending)

    @abstractmethod
    def insert_attempts(self, connection: Connection, attempts: Sequence[AttemptRecord]) -> None:
        """Attempts, and what they add to the figures: after their runs' ends, which they tell of."""
        ...

    def insert_facts(self, connection: Connection, attempts: Sequence[AttemptRecord]) -> None:
        """What stored attempts add to the figures."""
        self._insert_facts.all(connection, [_values(it, ("run_id", "ordinal")) for it in attempts])


class _OnSqlite(RunStatements):
    """Several runs a statement: what costs is each statement, and no row needs another's answer."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._insert_runs = RowsStatement(_inserting(_run, _RUN_COLUMNS), dialect)
        self._insert_contents = RowsStatement(_inserting(_content, ("encoding", "body")), dialect)
        self._insert_attempts = RowsStatement(_inserting(_attempt, ATTEMPT_FIELDS), dialect)
        self._insert_local_attempts = RowsStatement(_inserting(_attempt, _LOCAL_FIELDS), dialect)
        self._end_run = Statement(_ending(bindparam).where(_run.c.attempts == 0), dialect)
        self._end_runs = RowsStatement(_ending_several, dialect)

    def start(self, connection: Connection, started: Sequence[tuple[Values, Packed]]) -> None:
        numbers = self._add_texts(connection, [request for _, request in started])
        rows = [{**row, "request_content": number} for (row, _), number in zip(started, numbers, strict=True)]
        self._insert_runs.all(connection, rows)

    def end(self, connection: Connection, ended: Sequence[tuple[Values, Packed | None]]) -> bool:
        added = self._add_texts(connection, [answer for _, answer in ended if answer is not None])
        numbers = iter(added)
        endings = [
            {**ending, "new_response_content": None if answer is None else next(numbers)}
            for ending, answer in ended
        ]
        if len(endings) == 1:
            count = self._end_run.run(connection, endings[0]).rowcount
        else:
            count = sum(cursor.rowcount for _, cursor in self._end_runs.run(connection, endings))
        if count == len(ended):
            return True
        connection.execute(delete(_content).where(_content.c.id.in_(added)))
        return False

    def add_text(self, connection: Connection, packed: Packed) -> int:
        return self._add_texts(connection, [packed])[0]

    def insert_attempts(self, connection: Connection, attempts: Sequence[AttemptRecord]) -> None:
        local = [attempt for attempt in attempts if attempt.backend is Backend.LOCAL]
        other = [attempt for attempt in attempts if attempt.backend is not Backend.LOCAL]
        self._insert_local_attempts.all(connection, [_values(it, _LOCAL_FIELDS) for it in local])
        self._insert_attempts.all(connection, [_values(it, ATTEMPT_FIELDS) for it in other])
        self.insert_facts(connection, attempts)

    def _add_texts(self, connection: Connection, packed: Sequence[Packed]) -> list[int]:
        rows = [{"encoding": encoding, "body": body} for encoding, body in packed]
        numbers: list[int] = []
        for size, cursor in self._insert_contents.run(connection, rows):
            # Nobody else writes meanwhile, so each got one more than the highest before it.
            numbers += range(cursor.lastrowid - size + 1, cursor.lastrowid + 1)
        return numbers


class _OnPostgres(RunStatements):
    """Several tables a statement: what costs is each way to the server and back."""

    in_one_statement = True

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        adding = insert(_content).values(encoding=bindparam("text_encoding"), body=bindparam("text_body"))
        number = select(adding.returning(_content.c.id).cte("added").c.id).scalar_subquery()
        self._insert_content = Statement(adding.returning(_content.c.id), dialect)
        run: dict[str, Any] = {name: bindparam(f"run_{name}") for name in _RUN_COLUMNS}
        self._insert_run = Statement(insert(_run).values({**run, "request_content": number}), dialect)
        ending = _ending(bindparam).where(_run.c.attempts == 0)
        self._end_run = Statement(ending, dialect)
        self._end_answered_run = Statement(ending.values(response_content=number), dialect)
        self._insert_attempt = Statement(_inserting_with_facts(_attempt, ATTEMPT_FIELDS), dialect)
        self._end_at_once = Statement(_ending_with_facts(answered=False), dialect)
        self._end_answered_at_once = Statement(_ending_with_facts(answered=True), dialect)

    def start(self, connection: Connection, started: Sequence[tuple[Values, Packed]]) -> None:
        for row, request in started:
            values = {f"run_{name}": value for name, value in row.items()}
            self._insert_run.run(connection, {**values, **_text(request)})

    def end(self, connection: Connection, ended: Sequence[tuple[Values, Packed | None]]) -> bool:
        for ending, answer in ended:
            if answer is None:
                count = self._end_run.run(connection, ending).rowcount
            else:
                count = self._end_answered_run.run(connection, {**ending, **_text(answer)}).rowcount
            if count != 1:
                if answer is not None:
                    last = func.currval(func.pg_get_serial_sequence(_content.name, "id"))
                    connection.execute(delete(_content).where(_content.c.id == last))
                return False
        return True

    def end_at_once(
        self, connection: Connection, ending: Values, answer: Packed | None, attempt: AttemptRecord
    ) -> bool:
        values = {**ending, **_of_attempt(attempt)}
        if answer is None:
            return self._end_at_once.run(connection, values).rowcount == 1
        return self._end_answered_at_once.run(connection, {**values, **_text(answer)}).rowcount == 1

    def add_text(self, connection: Connection, packed: Packed) -> int:
        return int(self._insert_content.run(connection, _text(packed)).fetchall()[0][0])

    def insert_attempts(self, connection: Connection, attempts: Sequence[AttemptRecord]) -> None:
        for attempt in attempts:
            self._insert_attempt.run(connection, _of_attempt(attempt))


def run_statements_of(dialect: Dialect) -> RunStatements:
    """The statements for a database."""
    return _OnSqlite(dialect) if dialect.name == "sqlite" else _OnPostgres(dialect)


def _text(packed: Packed) -> Values:
    return {"text_encoding": packed[0], "text_body": packed[1]}


def _of_attempt(attempt: AttemptRecord) -> Values:
    return {f"attempt_{name}": getattr(attempt, name) for name in ATTEMPT_FIELDS}


def _values(attempt: AttemptRecord, names: Sequence[str]) -> Values:
    return {name: getattr(attempt, name) for name in names}


def _inserting(table: Table, names: Sequence[str]) -> Callable[[int], Insert]:
    return lambda rows: insert(table).values(
        [{name: of_row(name, row) for name in names} for row in range(rows)]
    )


def _inserting_facts(rows: int) -> Insert:
    chosen = or_(
        *(
            and_(_attempt.c.run_id == of_row("run_id", row), _attempt.c.ordinal == of_row("ordinal", row))
            for row in range(rows)
        )
    )
    return insert(table_of(UsageTailRow)).from_select(list(COLUMNS), facts().where(chosen))


def _inserting_with_facts(table: Table, names: Sequence[str]) -> Insert:
    values: dict[str, Any] = {name: bindparam(f"attempt_{name}") for name in names}
    added = insert(table).values(values).returning(*table.c).cte("added")
    return insert(table_of(UsageTailRow)).from_select(list(COLUMNS), facts(added))


def _ending_with_facts(*, answered: bool) -> Insert:
    """Ends a run with its only attempt. Locked first: of a run that has ended meanwhile, not even the answer stays."""
    mine = (
        select(_run.c.id)
        .where(
            _run.c.id == bindparam("of_run"),
            _run.c.status == RunStatus.RUNNING.value,
            _run.c.attempts == 0,
        )
        .with_for_update()
        .cte("mine")
    )
    ending = _ending(bindparam).where(_run.c.id == mine.c.id)
    if answered:
        texts = select(
            bindparam("text_encoding", type_=_content.c.encoding.type),
            bindparam("text_body", type_=_content.c.body.type),
        ).select_from(mine)
        added = (
            insert(_content).from_select(["encoding", "body"], texts).returning(_content.c.id).cte("added")
        )
        ending = ending.values(response_content=select(added.c.id).scalar_subquery())
    ended = ending.returning(*_run.c).cte("ended")
    columns = [bindparam(f"attempt_{name}", type_=_attempt.c[name].type) for name in ATTEMPT_FIELDS]
    tried = insert(_attempt).from_select(list(ATTEMPT_FIELDS), select(*columns).select_from(ended))
    made = tried.returning(*_attempt.c).cte("made")
    return insert(table_of(UsageTailRow)).from_select(list(COLUMNS), facts(made, ended))


def _ending(value: Callable[[str], ColumnElement[Any]]) -> Update:
    """Ends the run `of_run`, if it is RUNNING."""
    created_us = type_coerce(_run.c.created_at, BigInteger())
    changes: dict[str, Any] = {name: value(f"new_{name}") for name in _ENDING}
    changes["latency_us"] = type_coerce(value("ended_us"), BigInteger()) - created_us
    changes["first_token_us"] = type_coerce(value("first_token_at_us"), BigInteger()) - created_us
    return (
        update(_run)
        .where(_run.c.id == value("of_run"), _run.c.status == RunStatus.RUNNING.value)
        .values(changes)
    )


def _ending_several(rows: int) -> Update:
    # Core has no VALUES that SQLite reads: its columns are called column1, column2, ...
    names = {name: f"column{number}" for number, name in enumerate(ENDING_VALUES, start=1)}
    given = _values_clause(rows).columns(*map(column, names.values())).subquery("given")
    return _ending(lambda name: given.c[names[name]]).where(_run.c.attempts == 0)


def _values_clause(rows: int) -> TextClause:
    names = [[of_row(name, row).key for name in ENDING_VALUES] for row in range(rows)]
    return text("VALUES " + ", ".join("(" + ", ".join(f":{name}" for name in row) + ")" for row in names))
