"""The contest of one provider: its contenders' processes, kept waiting, and the rounds that ask each in turn."""

import json
import random
import select
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Final, Self

from benchmarks.children import child_environment
from benchmarks.plan import ROOT, TABLES, Contender, Group, Kind, Mode
from benchmarks.report import Figures

ANSWER_SECONDS: Final = 300


class ContenderFailed(Exception):
    """A contender's process ended badly."""


class ContenderProcess:
    """A contender that has started and waits to be asked."""

    def __init__(self, contender: Contender, provider: str, server: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        script = str(ROOT / "benchmarks" / "contenders" / contender.script)
        self._process = subprocess.Popen(
            [str(contender.python), script, server, provider],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=child_environment(LITELLM_LOCAL_MODEL_COST_MAP="True", PYTHONHASHSEED="0"),
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        """Waits until it is ready.

        Raises:
            ContenderFailed: With the end of what it said.
        """
        try:
            self._answer()
        except ContenderFailed:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets it end by itself, and ends it if it does not."""
        self._end()

    def _end(self) -> None:
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()
        self._said.close()

    def measure(self, mode: Mode, calls: int, warm_up: int) -> Figures:
        """Has it make so many calls.

        Raises:
            ContenderFailed: With the end of what it said.
        """
        stdin = _pipe(self._process.stdin)
        try:
            stdin.write(f"{mode} {calls} {warm_up}\n")
            stdin.flush()
        except BrokenPipeError as exc:
            raise ContenderFailed(self._last_words()) from exc
        return self._answer()

    def _answer(self) -> Figures:
        stdout = _pipe(self._process.stdout)
        readable, _, _ = select.select([stdout], [], [], ANSWER_SECONDS)
        if not readable:
            self._process.kill()
            raise ContenderFailed(f"took longer than {ANSWER_SECONDS} s")
        line = stdout.readline()
        if not line:
            self._process.wait()
            raise ContenderFailed(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-3_000:]


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def compete(
    group: Group, rounds: int, server: str, *, say: Callable[[str], None], failures: list[str]
) -> dict[Kind, list[dict[str, Figures]]]:
    """All modes of a provider's contenders, round by round; one that fails is told of and takes no further part.

    A round asks each contender for each mode of a table, a fraction of a second each, in an order that changes from
    round to round: a processor that is slower for some seconds, as on a shared machine, is slower for all.

    Args:
        failures: Gets the names of those that failed.

    Returns:
        For each contender its rounds; round n of one stood beside round n of every other.
    """
    results: dict[Kind, list[dict[str, Figures]]] = {
        contender.kind: [{} for _ in range(rounds)] for contender in group.contenders
    }
    with ExitStack() as stack:
        running: dict[Kind, ContenderProcess] = {}

        def tell_failure(contender: Contender, error: ContenderFailed) -> None:
            failures.append(f"{group.label}: {contender.name}")
            say(f"{failures[-1]} failed:\n{error}")
            running.pop(contender.kind, None)

        for contender in group.contenders:
            try:
                process = stack.enter_context(ContenderProcess(contender, group.provider, server))
            except ContenderFailed as exc:
                tell_failure(contender, exc)
            else:
                running[contender.kind] = process
        for table in TABLES:
            turns = [(one, mode) for mode in table.modes for one in group.contenders if mode in one.calls]
            for number in range(rounds):
                for contender, mode in _shuffled(turns, number):
                    if (process := running.get(contender.kind)) is None:
                        continue
                    try:
                        results[contender.kind][number][mode] = process.measure(mode, *contender.calls[mode])
                    except ContenderFailed as exc:
                        tell_failure(contender, exc)
            say(f"{group.label}: {table.title}")
    return results


def _shuffled(turns: Sequence[tuple[Contender, Mode]], number: int) -> list[tuple[Contender, Mode]]:
    order = list(turns)
    random.Random(number).shuffle(order)
    return order
