"""A large store of made-up runs, the same for the same seed: python -m benchmarks.generate URL --runs 1000000.

Runs, attempts, texts and figures come to lie where they would had each run been started, finished and folded by
itself (`tests/store/test_generate.py` compares the two, row by row); only faster, by COPY on Postgres and many rows a
statement on SQLite. The tail is filled and folded by the store's own code, a batch at a time.

Drawn after what teams' logs look like: a growing load with working hours and weekends over 90 days, twenty agents of
which few do most of the work, long-tailed latencies, lengths and prices, one model without a price.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, bindparam, func, insert, select

from core.errors import InvalidInput
from core.pricing.lambda_rates import compute_nanousd
from core.storage import texts
from core.storage.columns import to_micros
from core.storage.engine import Database
from core.storage.facts import COLUMNS, facts
from core.storage.facts import run as run_columns
from core.storage.records import Backend, RunStatus, Trigger
from core.storage.runs import PREVIEW_CHARS
from core.storage.store import Store
from core.storage.tables import (
    AgentRow,
    AgentVersionRow,
    AttemptRow,
    RunContentRow,
    RunRow,
    UsageTailRow,
    WorkerRow,
    table_of,
)
from core.storage.usage import UsageRepository

PROJECT: Final = "default"
DAYS: Final = 90
AT_ONCE: Final = 20_000


@dataclass(frozen=True)
class Model:
    """What runs on a model are drawn from; prices in nano-dollars a token, None where nobody knows."""

    provider: str
    name: str
    seconds: float
    input_nanousd: int | None
    output_nanousd: int | None


MODELS: Final = (
    Model("OPENAI", "gpt-5.4-mini", 1.4, 250, 2_000),
    Model("OPENAI", "gpt-5.4", 3.6, 1_250, 10_000),
    Model("OPENAI", "gpt-4.1-nano", 0.6, 100, 400),
    Model("OPENAI", "llama-3.3-70b-instruct", 2.2, None, None),
    Model("ANTHROPIC", "claude-haiku-4-5", 1.6, 1_000, 5_000),
    Model("ANTHROPIC", "claude-sonnet-4-5", 3.1, 3_000, 15_000),
    Model("ANTHROPIC", "claude-opus-4-5", 5.2, 5_000, 25_000),
    Model("GEMINI", "gemini-2.5-flash", 1.1, 300, 2_500),
    Model("GEMINI", "gemini-2.5-pro", 4.4, 1_250, 10_000),
    Model("BEDROCK", "amazon.nova-lite-v1:0", 0.9, 60, 240),
    Model("BEDROCK", "amazon.nova-pro-v1:0", 1.9, 800, 3_200),
    Model("OLLAMA", "llama3.2", 7.5, 0, 0),
)
AGENTS: Final = 20
PRINCIPALS: Final = ("local", "anna", "ben", "ci", "nightly", "support")
ERRORS: Final = (
    ("RATE_LIMITED", 429, True),
    ("PROVIDER_UNAVAILABLE", 503, True),
    ("PROVIDER_TIMEOUT", None, True),
    ("CONTEXT_LENGTH_EXCEEDED", 400, False),
    ("AUTHENTICATION_FAILED", 401, False),
)
_ERROR_TEXT: Final = (
    "The provider did not answer this request; the error's code says why, and what to do about it."
)
_STATUSES: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.OUTCOME_UNKNOWN)
_TRIGGERS: Final = tuple(Trigger)
_PROMPTS: Final = 300
_COMMON_WORDS: Final = """the of and to in for with order customer please invoice refund delivery answer question
summary report model number account date total line item price tax week month service ticket message status reason
next step team product feature error request response latency token budget limit policy contract clause party review
draft translate extract classify explain compare list write short long friendly formal German English table"""
_WORDS: Final = tuple(_COMMON_WORDS.split())

Row = tuple[Any, ...]


@dataclass
class Batch:
    """Rows of the tables that a run is stored in, in the order of the tables' columns."""

    runs: list[Row] = field(default_factory=list[Row])
    attempts: list[Row] = field(default_factory=list[Row])
    contents: list[Row] = field(default_factory=list[Row])


@cache
def _text(seed: int, median_chars: int) -> str:
    rng = random.Random(seed)
    length = max(40, int(rng.lognormvariate(0, 0.6) * median_chars))
    words: list[str] = []
    while length > 0:
        # Half of real text is words from a small set, half is names, numbers and rare words.
        word = rng.choice(_WORDS) if rng.random() < 0.6 else f"{rng.getrandbits(28):x}"
        words.append(word)
        length -= len(word) + 1
    return " ".join(words)


@cache
def _request(model: Model, prompt: int) -> tuple[tuple[int, bytes], str]:
    """A stored request, and the preview of its prompt."""
    text = _text(prompt, 900)
    request = {
        "provider": model.provider,
        "model_name": model.name,
        "prompt": text,
        "system_prompt": _text(100_000 + prompt % AGENTS, 500),
        "max_tokens": 2000,
        "agent_type": "one-shot",
    }
    packed = texts.pack(json.dumps(request, ensure_ascii=False, separators=(",", ":")))
    return packed, text[:PREVIEW_CHARS]


@cache
def _answer(number: int) -> tuple[int, bytes]:
    return texts.pack(_text(200_000 + number, 1_100))


def _times(rng: np.random.Generator, runs: int, until: datetime) -> NDArray[np.int64]:
    """When each run is made, rising: more in working hours, on working days, and towards the end."""
    hours = np.arange(DAYS * 24)
    begins = until - timedelta(days=DAYS)
    weekday = (begins.weekday() + (begins.hour + hours) // 24) % 7
    of_day = (begins.hour + hours) % 24
    weights = (
        (0.6 + 0.8 * hours / len(hours))
        * np.where(weekday < 5, 1.0, 0.35)
        * (0.25 + np.exp(-(((of_day - 13) / 4.5) ** 2)))
    )
    shares = np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])
    drawn = np.interp(np.sort(rng.random(runs)), shares, np.arange(len(shares)) * 3_600_000_000.0)
    return drawn.astype(np.int64) + to_micros(begins)


def _ids(rng: np.random.Generator, at_us: NDArray[np.int64]) -> list[int]:
    """UUIDv7 numbers as `core.ids.uuid7` makes them for a moment, their random bits from the seed."""
    bits = rng.integers(0, 1 << 62, len(at_us), dtype=np.int64).tolist()
    return [
        (us // 1_000 << 80) | (0x7 << 76) | (us % 1_000 * 4096 // 1_000 << 64) | (0b10 << 62) | low
        for us, low in zip(at_us.tolist(), bits, strict=True)
    ]


class Generator:
    """Draws runs.

    Args:
        runs: How many.
        until: When the newest were made; the others over the `DAYS` before.
        seed: The same gives the same runs.
    """

    def __init__(self, runs: int, *, until: datetime, seed: int = 7) -> None:
        self._seed = seed
        self._times = _times(np.random.default_rng(seed), runs, until)
        # An hour's distance, so that agents are older than their runs.
        fixed = np.full(2 * AGENTS + 1, to_micros(until - timedelta(days=DAYS, hours=1)))
        numbers = [UUID(int=number) for number in _ids(np.random.default_rng(seed + 1), fixed)]
        self.agents, self.versions = numbers[:AGENTS], numbers[AGENTS : 2 * AGENTS]
        self.worker = numbers[-1]
        self.created_at = int(fixed[0])
        self._contents = 0

    def batches(self) -> Iterator[Batch]:
        """All of them, oldest first."""
        for low in range(0, len(self._times), AT_ONCE):
            yield self._batch(np.random.default_rng((self._seed, low)), self._times[low : low + AT_ONCE])

    def _batch(self, rng: np.random.Generator, times: NDArray[np.int64]) -> Batch:
        n = len(times)
        popular = 1 / np.arange(1, AGENTS + 1)
        agent = rng.choice(AGENTS, n, p=popular / popular.sum())
        # Most agents stay with their model and their trigger; a sixth of the runs tries something else.
        other = rng.random((2, n)) < 1 / 6
        model = np.where(other[0], rng.integers(0, len(MODELS), n), agent * 5 % len(MODELS))
        trigger = np.where(other[1], rng.integers(0, len(_TRIGGERS), n), agent % len(_TRIGGERS))
        tried = rng.choice([1, 2, 3], n, p=[0.95, 0.04, 0.01])
        seconds = np.array([m.seconds for m in MODELS])[model] * rng.lognormal(0, 0.6, n)
        drawn = zip(
            times.tolist(),
            _ids(rng, times),
            np.where(rng.random(n) < 0.1, -1, agent).tolist(),
            model.tolist(),
            trigger.tolist(),
            rng.choice(4, n, p=[0.93, 0.05, 0.015, 0.005]).tolist(),
            rng.choice(len(ERRORS), n, p=[0.4, 0.2, 0.15, 0.15, 0.1]).tolist(),
            rng.choice(len(PRINCIPALS), n, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05]).tolist(),
            (rng.random(n) < 0.4).tolist(),
            tried.tolist(),
            (seconds * 1e6).astype(np.int64).tolist(),
            rng.lognormal(6.2, 0.8, n).astype(np.int64).tolist(),
            rng.lognormal(5.6, 0.7, n).astype(np.int64).tolist(),
            (rng.random(n) < 0.3).tolist(),
            rng.integers(0, _PROMPTS, (n, 2)).tolist(),
            _ids(rng, times),
            strict=True,
        )
        batch = Batch()
        for values in drawn:
            self._add(batch, *values)
        return batch

    def _add(
        self,
        batch: Batch,
        at: int,
        number: int,
        agent: int,
        model_index: int,
        trigger_index: int,
        status_index: int,
        error: int,
        principal: int,
        on_lambda: bool,
        tried: int,
        latency: int,
        input_tokens: int,
        output_tokens: int,
        cached: bool,
        text: Sequence[int],
        attempt_number: int,
    ) -> None:
        run_id, model, status = UUID(int=number), MODELS[model_index], _STATUSES[status_index]
        succeeded = status is RunStatus.SUCCEEDED
        backend = Backend.LAMBDA if on_lambda else Backend.LOCAL
        known_end = status is not RunStatus.OUTCOME_UNKNOWN
        totals: list[tuple[int | None, ...]] = []
        began, ended, where = at + 800, at, backend
        for ordinal in range(1, tried + 1):
            final = ordinal == tried
            fell_back = on_lambda and ordinal > 1 and final
            where = Backend.LOCAL if fell_back else backend
            ended = began + (latency if final else latency // 3)
            answered = final and succeeded
            code = None if answered else ERRORS[error][0] if not final else _code(status, error)
            tokens = (input_tokens, output_tokens) if answered else (None, None)
            cost = _cost(model, *tokens) if answered else (None, None) if not known_end and final else (0, 0)
            parts = (None, None, None) if None in cost else (sum(c or 0 for c in cost), *cost)
            report = (
                _report(attempt_number + ordinal, ended - began, agent) if where is Backend.LAMBDA else None
            )
            compute = None if report is None else _lambda_compute(report)
            request_fee = None if report is None else 200
            batch.attempts.append(
                (
                    run_id,
                    ordinal,
                    UUID(int=attempt_number + ordinal - 1),
                    where.value,
                    (status if final else RunStatus.FAILED).value,
                    began,
                    ended,
                    final,
                    ended - began,
                    ended - began - 40_000 if where is Backend.LAMBDA and ended - began > 40_000 else None,
                    (ended - began) // 4 if answered else None,
                    *tokens,
                    input_tokens // 2 if answered and cached else None,
                    None,
                    None,
                    *parts,
                    compute,
                    request_fee,
                    None if parts[0] is None else "genai-prices 0.2.3",
                    "stop" if answered else None,
                    model.name if answered else None,
                    f"req_{attempt_number & 0xFFFFFFFFFFFF:012x}{ordinal}",
                    code,
                    None if code is None else _ERROR_TEXT,
                    None if code is None else ERRORS[error][2],
                    None if code is None else ERRORS[error][1],
                    None if ordinal == 1 else "FALLBACK" if fell_back else "RETRY",
                    *(report or (None,) * 11),
                    None if report is None else "generated",
                )
            )
            priced = parts[0] is not None
            totals.append((*tokens, parts[0] + (compute or 0) + (request_fee or 0) if priced else None))
            began = ended + 500_000
            backend = where
        finished = ended + 600
        request, preview = _request(model, text[0])
        self._contents += 1
        request_content, response_content = self._contents, None
        batch.contents.append((request_content, *request))
        if succeeded:
            self._contents += 1
            response_content = self._contents
            batch.contents.append((response_content, *_answer(text[1])))
        code = None if succeeded else _code(status, error)
        known = None if agent < 0 else agent
        batch.runs.append(
            (
                run_id,
                PROJECT,
                PRINCIPALS[principal],
                self.worker,
                at,
                at + 120_000_000,
                finished,
                _TRIGGERS[trigger_index].value,
                status.value,
                model.provider,
                model.name,
                where.value,
                None if known is None else self.agents[known],
                None if known is None else self.versions[known],
                None if known is None else f"Agent {known + 1:02}",
                None,
                None,
                tried,
                finished - at,
                ended - latency + latency // 4 - at if succeeded else None,
                _sum(totals, 0),
                _sum(totals, 1),
                _sum(totals, 2),
                any(total[2] is None for total in totals),
                code,
                None if code is None else _ERROR_TEXT,
                preview,
                request_content,
                response_content,
                Backend.LAMBDA.value if on_lambda and where is Backend.LOCAL else None,
                None,
            )
        )


def _code(status: RunStatus, error: int) -> str:
    return ERRORS[error][0] if status is RunStatus.FAILED else status.value


def _report(number: int, latency_us: int, agent: int) -> Row:
    """What AWS reports of an execution, in the order of the attempt's columns; one in twenty is a cold start."""
    bits = number & 0xFFFFF
    cold = bits % 20 == 0
    memory_mb = (512, 1024, 1769)[agent % 3]
    duration, init = max(1_000, latency_us - 30_000), 900_000 + bits % 300_000 if cold else None
    billed_ms = -(-(duration + (init or 0)) // 1_000)
    used_mb = 110 + agent % 5 * 8 + bits % 40
    return (
        f"{number & (1 << 128) - 1:032x}",
        "eu-central-1",
        "x86_64" if agent % 2 else "arm64",
        memory_mb,
        used_mb,
        cold,
        duration,
        init,
        None,
        billed_ms,
        None,
    )


def _lambda_compute(report: Row) -> int | None:
    _, region, architecture, memory_mb, *_, billed_ms, _ = report
    return compute_nanousd(billed_ms=billed_ms, memory_mb=memory_mb, region=region, architecture=architecture)


def _cost(model: Model, input_tokens: int | None, output_tokens: int | None) -> tuple[int | None, int | None]:
    if model.input_nanousd is None or model.output_nanousd is None:
        return None, None
    return (input_tokens or 0) * model.input_nanousd, (output_tokens or 0) * model.output_nanousd


def _sum(totals: Sequence[tuple[int | None, ...]], position: int) -> int | None:
    values = [total[position] for total in totals]
    return None if None in values else sum(value or 0 for value in values)


def load(url: str, generator: Generator, *, fold: bool = True) -> None:
    """Fills a database that holds no runs; it gets this program's schema if it has none.

    Args:
        fold: Whether figures are moved from the tail into the roll-ups, batch by batch, as housekeeping does.

    Raises:
        InvalidInput: There are runs in it.
    """
    Store.open(url, migrate=True).close()
    database = Database(url)
    try:
        with database.write() as connection:
            if connection.execute(select(run_columns.id).limit(1)).first() is not None:
                raise InvalidInput("This database holds runs already: give an empty one.")
            _add_agents(connection, generator)
        usage = UsageRepository(database)
        for batch in generator.batches():
            with database.write() as connection:
                _add_batch(connection, batch)
            while fold and usage.fold(limit=AT_ONCE):
                pass
        if database.dialect == "postgresql":
            content = table_of(RunContentRow)
            sequence = func.pg_get_serial_sequence(content.name, "id")
            with database.write() as connection:
                connection.execute(select(func.setval(sequence, func.max(content.c.id))))
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        else:
            with database.exclusive_driver() as driver:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.close()


def _add_agents(connection: Connection, generator: Generator) -> None:
    at = datetime.fromtimestamp(generator.created_at / 1e6, UTC)
    for number, (agent_id, version_id) in enumerate(zip(generator.agents, generator.versions, strict=True)):
        model = MODELS[number * 5 % len(MODELS)]
        config = {"provider": model.provider, "model_name": model.name, "prompt": _text(number, 300)}
        connection.execute(
            insert(table_of(AgentRow)).values(
                id=agent_id,
                project_id=PROJECT,
                name=f"Agent {number + 1:02}",
                description="Made up for measurements.",
                created_at=at,
                updated_at=at,
                revision=1,
                version_number=1,
            )
        )
        connection.execute(
            insert(table_of(AgentVersionRow)).values(
                id=version_id,
                agent_id=agent_id,
                number=1,
                note="",
                created_at=at,
                created_by="local",
                config=config,
            )
        )
    connection.execute(
        insert(table_of(WorkerRow)).values(
            id=generator.worker, kind="generate", host="here", pid=1, started_at=at, beat_at=at
        )
    )


_run = table_of(RunRow)
_TAIL: Final = insert(table_of(UsageTailRow)).from_select(
    list(COLUMNS), facts().where(_run.c.id >= bindparam("first"), _run.c.id <= bindparam("last"))
)


def _add_batch(connection: Connection, batch: Batch) -> None:
    for row, rows in (
        (RunContentRow, batch.contents),
        (RunRow, batch.runs),
        (AttemptRow, batch.attempts),
    ):
        _insert(connection, table_of(row), rows)
    ids: Mapping[str, UUID] = {
        "first": min(row[0] for row in batch.runs),
        "last": max(row[0] for row in batch.runs),
    }
    connection.execute(_TAIL, ids)


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    # Those that later schemas added, and that are empty here, come last.
    columns = list(table.c)[: len(rows[0])]
    names = ", ".join(f'"{column.name}"' for column in columns)
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    cursor.executemany(
        f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})',
        ([value.bytes if value.__class__ is UUID else value for value in row] for row in rows),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="as DATABASE_URL; a database without runs")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--until", type=datetime.fromisoformat, help="when the newest was made (default: now)"
    )
    options = parser.parse_args()
    until = options.until or datetime.now(UTC)
    began = time.monotonic()
    load(options.url, Generator(options.runs, until=until.astimezone(UTC), seed=options.seed))
    print(f"{options.runs} runs in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
