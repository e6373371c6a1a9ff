"""The packages in docs/examples, installed for the tests here and for nobody else."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.dashboard.conftest import application, open_app
from tests.support.example_package import install

__all__ = ["application", "open_app"]

# These run in a process of their own, which has the package: see test_added_provider.py.
collect_ignore = [] if find_spec("agent_launcher_cohere") else ["installed"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package installed in it."""
    return install(tmp_path_factory.mktemp("example"))
