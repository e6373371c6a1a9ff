"""What others would write for the same questions: SQL over the rows, pandas over the rows, SQLModel sessions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import Engine, event, text
from sqlmodel import Field, Session, SQLModel, create_engine

from core import ids
from core.contract import utc_now
from core.storage.columns import to_micros

_JOIN = """FROM attempt a JOIN run r ON r.id = a.run_id
WHERE r.project_id = 'default' AND a.finished_at >= :since AND a.finished_at < :until"""
SUMS = """count(*), sum(CASE WHEN a.final THEN 1 ELSE 0 END), sum(a.tokens_cost_nanousd), sum(a.lambda_compute_nanousd),
sum(a.input_tokens), sum(a.output_tokens)"""
DAY = "(a.finished_at / 86400000000)"


def sql(engine: Engine, query: str, since: datetime, until: datetime) -> Callable[[], int]:
    """A question as one statement; `{join}` stands for attempts with their runs, in the range."""
    statement = text(query.replace("{join}", _JOIN).replace("{sums}", SUMS).replace("{day}", DAY))

    def ask() -> int:
        with engine.connect() as connection:
            values = {"since": to_micros(since), "until": to_micros(until)}
            return len(connection.execute(statement, values).all())

    return ask


def pandas(engine: Engine, by: Sequence[str], since: datetime, until: datetime) -> Callable[[], int]:
    """The needed columns of all rows in the range into a data frame, grouped there."""
    needed = f"""SELECT a.finished_at / 86400000000 AS day, r.provider, r.model, r.agent_id, a.backend,
a.tokens_cost_nanousd, a.lambda_compute_nanousd, a.input_tokens, a.output_tokens, r.latency_us {_JOIN}"""

    def ask() -> int:
        with engine.connect() as connection:
            values = {"since": to_micros(since), "until": to_micros(until)}
            rows = pd.read_sql_query(text(needed), connection, params=values)
        summed = ["tokens_cost_nanousd", "input_tokens", "output_tokens"]
        sums: Any = rows.groupby(list(by), dropna=False)[summed].sum()
        return len(sums)

    return ask


class PeerRun(SQLModel, table=True):
    """A run as an application with SQLModel would keep it: one table, two indexes, texts inline."""

    id: UUID = Field(default_factory=ids.uuid7, primary_key=True)
    created_at: datetime = Field(default_factory=utc_now, index=True)
    finished_at: datetime | None = None
    status: str = "RUNNING"
    provider: str
    model: str
    agent_id: UUID | None = Field(default=None, index=True)
    agent_name: str | None = None
    request: str
    response: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanousd: int | None = None
    latency_us: int | None = None
    error_code: str | None = None
    error_message: str | None = None


def peer_engine(url: str) -> Engine:
    """An empty database with `PeerRun`; on SQLite with the write-ahead log and synchronous=NORMAL, as ours."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    PeerRun.metadata.create_all(engine, tables=[PeerRun.__table__])  # pyright: ignore[reportAttributeAccessIssue]
    return engine


def peer_pair(engine: Engine, request: str, response: str, agent_id: UUID) -> None:
    """Start and finish: insert and commit, then load, change and commit."""
    began = perf_counter()
    with Session(engine) as session:
        run = PeerRun(provider="OPENAI", model="gpt-5.4-mini", request=request, agent_id=agent_id)
        session.add(run)
        session.commit()
        run_id = run.id
    with Session(engine) as session:
        found = session.get(PeerRun, run_id)
        assert found is not None
        found.finished_at, found.status, found.response = utc_now(), "SUCCEEDED", response
        found.input_tokens, found.output_tokens, found.cost_nanousd = 100, 50, 1_234_000
        found.latency_us = round((perf_counter() - began) * 1e6)
        session.add(found)
        session.commit()


def cpu_and_wall(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time of this process, and of the clock."""
    cpu, wall = process_time(), perf_counter()
    work()
    return process_time() - cpu, perf_counter() - wall
