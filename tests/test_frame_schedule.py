"""The order in which the files of a whole run are begun, and how it is measured."""

import json

import pytest

from tests.support.environment import ROOT
from tests.support.scheduling import measured

FILES = {
    "test_many": "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_one(n): pass\n",
    "test_few": "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_one(n): pass\n",
    "test_long": "import time\ndef test_one(): time.sleep(0.3)\n",
}
HOOKS = """
from pathlib import Path
from tests.support.scheduling import DurationsWriter, LongestFirst, measured

def pytest_xdist_make_scheduler(config, log):
    return LongestFirst(config, log, seconds=measured(Path("known.json")))

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(DurationsWriter(Path("written.json"), worth_naming_s=0.2))
"""


def test_every_file_with_a_duration_is_there() -> None:
    gone = [name for name in measured() if not (ROOT / name).is_file()]
    assert gone == [], "renew the durations: make test ARGS=--write-durations"


def test_the_longest_file_is_begun_first_and_the_others_by_their_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**FILES)
    pytester.makeconftest(HOOKS)
    (pytester.path / "known.json").write_text('{"test_that_was_removed.py": 90.0, "test_long.py": 60.0}')
    assert _begun(pytester, passed=9) == ["test_long.py", "test_many.py", "test_few.py"]
    written = json.loads((pytester.path / "written.json").read_text())
    assert list(written) == ["test_long.py"]
    assert written["test_long.py"] >= 0.3


def test_this_suite_is_ordered_so(pytester: pytest.Pytester) -> None:
    longest = next(iter(measured()))
    pytester.makepyfile(
        **{"tests/test_many": FILES["test_many"], longest.removesuffix(".py"): FILES["test_long"]}
    )
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    assert _begun(pytester, passed=6) == [longest, "tests/test_many.py"]


def _begun(pytester: pytest.Pytester, *, passed: int) -> list[str]:
    """The files in the order in which one process of a whole run began them."""
    done = pytester.runpytest_subprocess(
        *("-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}", "--import-mode=importlib", "--verbose"),
        *("--numprocesses=1", "--dist=loadfile"),
    )
    done.assert_outcomes(passed=passed)
    results = [line.split()[-1] for line in done.outlines if " PASSED " in line]
    return list(dict.fromkeys(node.partition("::")[0] for node in results))
