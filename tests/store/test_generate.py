"""The benchmarks' generator leaves what runs leave that are started, finished and folded one by one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from benchmarks.generate import PROJECT, Generator, load
from core.errors import InvalidInput
from core.storage import texts
from core.storage.engine import Database
from core.storage.records import Backend, NewRun, RunStatus, Trigger
from core.storage.rollup_batch import ROLLUPS
from core.storage.runs import RunWriter, stored_attempts
from core.storage.store import Store
from core.storage.tables import (
    LatencyHistogramRow,
    RunContentRow,
    RunRow,
    UsageTailRow,
    metadata,
    table_of,
)
from tests.store.samples import stored_run

UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
_COMPARED = (
    *("run", "attempt", "run_content", "usage_by_error", "usage_by_function"),
    *(table.name for table in ROLLUPS),
)


def _rows(database: Database, name: str) -> Sequence[tuple[Any, ...]]:
    table = metadata.tables[name]
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


def _write_one_by_one(source: Database, target: Database) -> None:
    """What the rows say, through the store's own path."""
    writer, run = RunWriter(target), table_of(RunRow)
    with source.read() as connection:
        contents = connection.execute(select(table_of(RunContentRow)))
        bodies = {row.id: texts.unpack(row.encoding, row.body) for row in contents}
        runs = connection.execute(select(run).order_by(run.c.id)).all()
        attempts = {row.id: stored_attempts(connection, row.id) for row in runs}
    for row in runs:
        values = row._asdict()
        given = {name: values[name] for name in NewRun.__slots__ if name in values}
        given |= {"trigger": Trigger(row.trigger), "backend": Backend(row.backend)}
        writer.start(NewRun(**given, request=json.loads(bodies[row.request_content])))
        assert writer.finish(
            row.id,
            status=RunStatus(row.status),
            finished_at=row.finished_at,
            attempts=attempts[row.id],
            response=bodies.get(row.response_content),
            error_code=row.error_code,
            error_message=row.error_message,
            fell_back_from=None if row.fell_back_from is None else Backend(row.fell_back_from),
        )


def test_a_generated_store_equals_one_that_was_written_run_by_run(database_url: str, tmp_path: Path) -> None:
    load(database_url, Generator(400, until=UNTIL, seed=4))
    other_url = f"sqlite:///{tmp_path / 'one-by-one.db'}"
    Store.open(other_url).close()
    generated, written = Database(database_url), Database(other_url)
    _write_one_by_one(generated, written)
    store = Store.open(other_url)
    while store.usage.fold():
        pass
    for name in (*_COMPARED, table_of(LatencyHistogramRow).name):
        assert _rows(generated, name) == _rows(written, name), name
    assert _rows(generated, table_of(UsageTailRow).name) == []
    assert {row[8] for row in _rows(generated, "run")} == {s.value for s in RunStatus} - {"RUNNING"}
    assert {row[0] for row in _rows(generated, "agent")} >= {
        row[12] for row in _rows(generated, "run") if row[12] is not None
    }
    # A run that is written afterwards gets a text of its own.
    afterwards = Store.open(database_url, migrate=False)
    run = stored_run(afterwards, prompt="Afterwards.")
    assert afterwards.runs.get(PROJECT, run.id).request["prompt"] == "Afterwards."
    with pytest.raises(InvalidInput, match="holds runs already"):
        load(database_url, Generator(1, until=UNTIL))
    for each in (generated, written, store, afterwards):
        each.close()


def test_the_same_seed_gives_the_same_runs() -> None:
    first, again, other = (next(Generator(50, until=UNTIL, seed=seed).batches()) for seed in (1, 1, 2))
    assert first == again
    assert first.runs != other.runs
    assert {row[1] for row in first.runs} == {PROJECT}
