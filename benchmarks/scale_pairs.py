"""Start-and-finish pairs: ours on an empty database and on the large one, SQLModel sessions; rounds take turns."""

import statistics
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from benchmarks.generate import PROJECT
from benchmarks.scale_peers import cpu_and_wall, peer_engine, peer_pair
from core import database_url, ids
from core.contract import utc_now
from core.storage.records import AttemptRecord, Backend, NewRun, RunStatus, Trigger
from core.storage.store import Store

_PROMPT = " ".join(f"{number * 7919 % 65_536:x} of order {number}" for number in range(60))
_ANSWER = " ".join(f"{number * 104_729 % 65_536:x} was sent on day {number}" for number in range(60))
_AGENTS = [ids.uuid7() for _ in range(20)]
_PAIRS = 400


@dataclass(frozen=True)
class Pairs:
    """Medians over the rounds; a ratio is taken within each, so that a machine that slows down slows both sides.

    Attributes:
        ratio: Of pairs a second by the clock, ours on an empty database over the peer's.
        grown: Of processor time a pair, ours on the large database over the empty one.
    """

    ratio: float
    grown: float
    empty_us: float
    peer_us: float


def our_pair(store: Store, number: int) -> None:
    """As the run service does it: started before it is sent, finished with one attempt and the answer."""
    began = utc_now()
    run_id, agent_id = ids.uuid7(at=began), _AGENTS[number % len(_AGENTS)]
    store.runs.start(
        NewRun(
            id=run_id,
            project_id=PROJECT,
            principal_id="local",
            worker_id=_AGENTS[0],
            created_at=began,
            trigger=Trigger.PYTHON,
            provider="OPENAI",
            model=f"model-{number % 12}",
            backend=Backend.LOCAL,
            request={"provider": "OPENAI", "model_name": "gpt-5.4-mini", "prompt": _PROMPT},
            agent_id=agent_id,
            agent_version_id=agent_id,
            agent_name="Agent",
            deadline_at=began + timedelta(seconds=120),
        )
    )
    ended = utc_now()
    store.runs.finish(
        run_id,
        status=RunStatus.SUCCEEDED,
        finished_at=ended,
        attempts=[
            AttemptRecord(
                id=ids.uuid7(),
                run_id=run_id,
                ordinal=1,
                backend=Backend.LOCAL,
                status=RunStatus.SUCCEEDED,
                started_at=began,
                finished_at=ended,
                final=True,
                latency_us=(ended - began) // timedelta(microseconds=1),
                input_tokens=100,
                output_tokens=50,
                tokens_cost_nanousd=1_234_000,
                input_cost_nanousd=234_000,
                output_cost_nanousd=1_000_000,
                price_source="genai-prices 0.2.3",
                finish_reason="stop",
            )
        ],
        response=_ANSWER,
    )


def compare(url: str, dialect: str, folder: Path, *, threads: int, rounds: int) -> Pairs:
    """Measures; the large database has some thousand runs more afterwards, the others are removed."""
    with _empty(url, dialect, folder, "ours") as empty_url, _empty(url, dialect, folder, "peer") as peer_url:
        empty, full, peers = Store.open(empty_url, migrate=True), Store.open(url), peer_engine(peer_url)
        numbers = count()

        def ours(store: Store) -> Callable[[], None]:
            return lambda: our_pair(store, next(numbers))

        contenders: dict[str, Callable[[], None]] = {
            "empty": ours(empty),
            "full": ours(full),
            "peer": lambda: peer_pair(peers, _PROMPT, _ANSWER, _AGENTS[next(numbers) % len(_AGENTS)]),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for number in range(rounds + 1):
            for name, pair in contenders.items():
                took = cpu_and_wall(lambda pair=pair: _in_threads(pair, threads))
                if name != "peer":
                    # Folding is on: what a round left in the tail is part of its cost.
                    store = empty if name == "empty" else full
                    folding = cpu_and_wall(lambda store=store: _fold(store))
                    took = (took[0] + folding[0], took[1] + folding[1])
                if number:
                    times[name].append(took)
        empty.close()
        full.close()
        peers.dispose()
    wall = {name: statistics.median(t[1] for t in found) / _PAIRS * 1e6 for name, found in times.items()}
    rounds_of = list(zip(times["empty"], times["full"], times["peer"], strict=True))
    return Pairs(
        ratio=statistics.median(peer[1] / empty[1] for empty, _, peer in rounds_of),
        grown=statistics.median(full[0] / empty[0] for empty, full, _ in rounds_of),
        empty_us=wall["empty"],
        peer_us=wall["peer"],
    )


def _fold(store: Store) -> None:
    while store.usage.fold():
        pass


def _in_threads(pair: Callable[[], None], threads: int) -> None:
    def work() -> None:
        for _ in range(_PAIRS // threads):
            pair()

    if threads == 1:
        work()
        return
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


class _empty:
    """The URL of an empty database beside the other, removed at the end."""

    def __init__(self, url: str, dialect: str, folder: Path, name: str) -> None:
        self._driver_url = make_url(database_url.normalise(url))
        self._sqlite, self._name = dialect == "sqlite", f"pairs_{name}"
        self._path = folder.resolve() / f"{self._name}.db"

    def __enter__(self) -> str:
        self._remove()
        if self._sqlite:
            return f"sqlite:///{self._path}"
        self._admin(f"CREATE DATABASE {self._name}")
        return self._driver_url.set(database=self._name).render_as_string(hide_password=False)

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        if self._sqlite:
            for path in self._path.parent.glob(f"{self._path.name}*"):
                path.unlink()
        else:
            with suppress(Exception):
                self._admin(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    def _admin(self, statement: str) -> None:
        engine = create_engine(self._driver_url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
        engine.dispose()
