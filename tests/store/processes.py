"""Programs that the tests run beside themselves, and kill: `python -m tests.store.processes NAME URL ...`.

Each forks its processes before it opens the store, which is quicker than starting as many interpreters, and prints one
JSON object at the end.
"""

import itertools
import json
import os
import random
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from core import ids
from core.errors import Conflict, StoreError
from core.storage.records import RunStatus
from core.storage.store import Store
from tests.store.samples import PROJECT, new_attempt, new_run, now

_LEAST_KILLS = 8


def _fork(work: Callable[[int], None]) -> tuple[int, int]:
    """A child that does the work, which may write to the file it is given: its pid and that file's other end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    _leave_after(work, writing)


def _leave_after(work: Callable[[int], None], writing: int) -> NoReturn:
    code = 1
    try:
        work(writing)
        code = 0
    except BaseException as exc:
        os.write(writing, f"ERROR {type(exc).__name__}: {exc}\n".replace("\n", " ").encode() + b"\n")
    finally:
        os._exit(code)


def _read(reading: int) -> list[str]:
    with os.fdopen(reading) as file:
        return file.read().splitlines()


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _two_attempts(store: Store, worker_id: Any, say: Callable[[str], None]) -> None:
    run = new_run(worker_id=worker_id)
    store.runs.start(run)
    say(f"started {run.id}")
    first = new_attempt(run, final=False, status=RunStatus.FAILED, tokens_cost_nanousd=7)
    second = new_attempt(run, ordinal=2, tokens_cost_nanousd=1_000, output_tokens=run.id.int % 997)
    done = store.runs.finish(
        run.id,
        status=RunStatus.SUCCEEDED,
        finished_at=now(),
        attempts=[first, second],
        response=f"Answer {run.id}",
    )
    say(f"finished {run.id}" if done else f"refused {run.id}")


def crash(url: str, times: str) -> dict[str, Any]:
    """Starts and finishes runs in a process that is killed at any moment, again and again."""
    said: list[str] = []
    rng = random.Random(11)

    def work(writing: int) -> None:
        store = Store.open(url)
        worker = ids.uuid7()
        at = now()
        store.workers.beat(worker, kind="test", host="here", pid=os.getpid(), started_at=at, now=at)

        def loop() -> None:
            while True:
                _two_attempts(store, worker, lambda text: void(os.write(writing, f"{text}\n".encode())))

        threads = [threading.Thread(target=loop, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join()

    for _ in range(int(times)):
        pid, reading = _fork(work)
        first = os.read(reading, 1)  # at least one run has been started
        time.sleep(rng.random() ** 3 * 0.3)  # mostly soon, but on a slow machine too some have finished
        os.kill(pid, signal.SIGKILL)
        _wait(pid)
        lines = (first.decode() + "\n".join(_read(reading))).splitlines()
        said += lines
    return {"said": said}


def void(_: object) -> None:
    """Takes a value and gives none."""


def _writing_from_threads(url: str, *, threads: int, runs: int) -> Callable[[int], None]:
    """What a process does that stores so many runs in each of so many threads, and says what went wrong."""

    def write(writing: int) -> None:
        store = Store.open(url)
        worker = ids.uuid7()
        errors: list[str] = []

        def loop() -> None:
            try:
                for _ in range(runs):
                    _two_attempts(store, worker, void)
            except Exception as exc:
                errors.append(f"{type(exc).__name__}: {exc}")

        crowd = [threading.Thread(target=loop) for _ in range(threads)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        store.close()
        for error in errors:
            os.write(writing, f"ERROR {error}\n".encode())

    return write


def pressure(url: str, processes: str, threads: str, runs: str) -> dict[str, Any]:
    """Writes from many threads of several processes while folders are killed at any moment."""
    rng = random.Random(12)
    spawned = itertools.count()

    def spawn() -> tuple[int, int]:
        # Each comes later than those before it, which were killed: their leases have run out.
        late = timedelta(days=next(spawned))

        def fold(writing: int) -> None:
            store = Store.open(url)
            while True:
                if folded := store.usage.fold(limit=rng.randint(1, 40), now=now() + late):
                    os.write(writing, f"{folded}\n".encode())

        return _fork(fold)

    write = _writing_from_threads(url, threads=int(threads), runs=int(runs))
    writers = [_fork(write) for _ in range(int(processes))]
    folders = [spawn(), spawn()]
    killed: list[list[str]] = []
    running = {pid for pid, _ in writers}
    while running or len(killed) < _LEAST_KILLS:
        pid, reading = folders.pop(0)
        # Until it folds, if there is something to fold; on a slow machine the first one takes long to begin.
        select.select([reading], [], [], 1 if any(killed) else 30)
        time.sleep(rng.random() * 0.1)
        os.kill(pid, signal.SIGKILL)
        _wait(pid)
        killed.append(_read(reading))
        folders.append(spawn())
        running = {writer for writer in running if os.waitpid(writer, os.WNOHANG) == (0, 0)}
    for pid, _ in folders:
        os.kill(pid, signal.SIGKILL)
        _wait(pid)
    said = [line for lines in killed for line in lines]
    return {
        "kills": len(killed),
        "folded": sum(int(line) for line in said if line.isdigit()),
        "errors": [line for line in said if not line.isdigit()]
        + [line for _, reading in writers for line in _read(reading)],
    }


def counters(url: str, processes: str, times: str) -> dict[str, Any]:
    """Reads an agent, changes what was read and writes it back, from several processes; and stores runs between."""
    store = Store.open(url)
    agent = store.agents.create(PROJECT, name="Counter", description="", config={"n": 0}, note="", by="test")
    store.close()

    def work(writing: int) -> None:
        store = Store.open(url)
        for _ in range(int(times)):
            while True:
                found = store.agents.get(PROJECT, agent.id)
                config = {"n": found.version.config["n"] + 1}
                try:
                    store.agents.add_version(
                        PROJECT, agent.id, config=config, note="", by="test", expected_revision=found.revision
                    )
                    break
                except Conflict:
                    os.write(writing, b"conflict\n")
            _two_attempts(store, ids.uuid7(), void)
            store.usage.fold(limit=10)
        store.close()

    children = [_fork(work) for _ in range(int(processes))]
    codes = [_wait(pid) for pid, _ in children]
    lines = [line for _, reading in children for line in _read(reading)]
    errors = [line for line in lines if line.startswith("ERROR")]
    return {"codes": codes, "errors": errors, "conflicts": lines.count("conflict")}


def open_together(url: str, processes: str) -> dict[str, Any]:
    """Opens the same database from several processes at the same moment."""
    begin = time.time() + 0.3

    def work(writing: int) -> None:
        time.sleep(max(begin - time.time(), 0))
        store = Store.open(url)
        os.write(writing, f"{store.describe()['schema']}\n".encode())
        store.close()

    children = [_fork(work) for _ in range(int(processes))]
    codes = [_wait(pid) for pid, _ in children]
    return {"codes": codes, "said": [line for _, reading in children for line in _read(reading)]}


def file_limit(url: str, limit: str) -> dict[str, Any]:
    """Writes until the system lets no file grow any more, as on a disk that fails, and then reads."""
    store = Store.open(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    acknowledged: list[str] = []
    error = ""
    while not error:
        run = new_run(prompt=random.Random(len(acknowledged)).randbytes(20_000).hex())
        try:
            store.runs.start(run)
            acknowledged.append(str(run.id))
        except StoreError as exc:
            error = f"{type(exc).__name__}: {exc}"
    found = [str(detail.summary.id) for detail in store.runs.iterate(PROJECT)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.runs.start(new_run())
    return {"error": error, "acknowledged": acknowledged, "found": found, "after": store.runs.count(PROJECT)}


def read_only(url: str) -> dict[str, Any]:
    """Opens a store as a user who may only read it."""
    if os.getuid() == 0:
        os.setuid(65_534)
    store = Store.open(url)
    errors: list[str] = []
    for write in (
        lambda: store.runs.start(new_run()),
        lambda: store.preferences.put(PROJECT, {}),
        store.check_writable,
        store.usage.fold,
    ):
        try:
            write()
        except StoreError as exc:
            errors.append(type(exc).__name__)
    run = store.runs.page(PROJECT).runs[0]
    return {
        "writable": store.writable,
        "errors": errors,
        "response": store.runs.get(PROJECT, run.id).response,
        "runs": store.usage.totals(PROJECT, now() - timedelta(hours=1), now()).runs,
        "described": store.describe()["runs"],
    }


PROGRAMS: dict[str, Callable[..., dict[str, Any]]] = {
    "crash": crash,
    "pressure": pressure,
    "counters": counters,
    "open_together": open_together,
    "file_limit": file_limit,
    "read_only": read_only,
}

if __name__ == "__main__":
    os.nice(10)  # for the tests beside it, some of which have a deadline
    sys.stdout.write(json.dumps(PROGRAMS[sys.argv[1]](*sys.argv[2:])))
