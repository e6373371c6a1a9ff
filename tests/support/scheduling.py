"""Which file a process of the tests takes next: the one that takes longest, so that none is left over at the end.

pytest-xdist's own order is by the number of tests, and the longest files have few: a crash, a browser.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

MEASURED: Final = Path(__file__).with_name("durations.json")
"""The seconds that each long file took in a whole run, longest first; `make test ARGS=--write-durations` renews it."""

WORTH_NAMING_S: Final = 2.0
_OF_ANY_OTHER_TEST_S: Final = 0.02
"""What a test of a file that is not named takes, about: it orders those files among themselves."""


def measured(path: Path = MEASURED) -> dict[str, float]:
    """Returns the seconds that files took, by their names as node ids begin with them."""
    return json.loads(path.read_text())


class LongestFirst(LoadFileScheduling):
    """As `--dist=loadfile`: a file's tests run in one process; but the longest file that is left is begun next."""

    def __init__(
        self, config: pytest.Config, log: Producer | None = None, *, seconds: Mapping[str, float]
    ) -> None:
        """Takes what xdist's schedulers take, and the seconds that files take, where that is known."""
        super().__init__(config, log)
        self._seconds = seconds

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = max(self.workqueue, key=self._expected_s)
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)

    def _expected_s(self, file: str) -> float:
        return self._seconds.get(file, len(self.workqueue[file]) * _OF_ANY_OTHER_TEST_S)


class DurationsWriter:
    """A plug-in that writes what the files of this run took into the file that `measured` reads."""

    def __init__(self, path: Path = MEASURED, *, worth_naming_s: float = WORTH_NAMING_S) -> None:
        """Writes at the end of the run; files that took less than `worth_naming_s` are left out."""
        self._path = path
        self._worth_naming_s = worth_naming_s
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds a test's set-up, call or tear-down."""
        self._seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Writes the file."""
        named = {name: round(s, 1) for name, s in self._seconds.items() if s >= self._worth_naming_s}
        longest_first = dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))
        self._path.write_text(json.dumps(longest_first, indent=2) + "\n")
