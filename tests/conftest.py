"""What every test gets: no network, no keys, home and data directory of its own; real servers on demand."""

import logging
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.environment import isolate

SESSION_FOLDER = isolate()  # before anything of ours is imported, so that nothing can have read the real one

from tests.support.app_server import AppServer  # noqa: E402
from tests.support.guard import loopback_only  # noqa: E402
from tests.support.require import fail_instead_of_skipping, require  # noqa: E402
from tests.support.scheduling import DurationsWriter, LongestFirst, measured  # noqa: E402
from tests.support.vendor_server import VendorServer, refused_url  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from xdist.remote import Producer

    from tests.support.aimock_server import Aimock
    from tests.support.browser import PageErrors
    from tests.support.lambda_emulator import LambdaEmulator
    from tests.support.postgres import PostgresServer

pytest_plugins = ["pytester"]  # the suite's own rules are tested by running pytest under them

_FAILED = pytest.StashKey[bool]()
_REMEDY = "make test installs it; python -m tests.support.provision says what is in the way"


def _hear_signals() -> None:
    # Started in the background by a shell, or under nohup, a process ignores these and so do its children: the tests
    # that press Ctrl+C would wait for nothing.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


_hear_signals()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-durations",
        action="store_true",
        help="write what the files of this run take, a whole one, into tests/support/durations.json",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(DurationsWriter())


@pytest.hookimpl(optionalhook=True)  # nobody's with `-p no:xdist`
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> LongestFirst | None:
    return LongestFirst(config, log, seconds=measured()) if config.getoption("dist") == "loadfile" else None


def pytest_unconfigure() -> None:
    shutil.rmtree(SESSION_FOLDER, ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_instead_of_skipping(report)
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    # The test processes speak UTF-8 with each other, and a test may log a lone surrogate on purpose.
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_instead_of_skipping(report)
    return report


# Isolation.


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Gives each test a home, a data directory and a working directory; fails it if it left the machine.

    The working directory matters: a `.env` there is read, and a developer's holds real keys.
    """
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path / "data"))
    loopback_only.refused.clear()
    levels = {logger: logger.level for logger in (logging.getLogger(), logging.getLogger("agent_launcher"))}
    yield
    # A command that ran in this process has set up its logs: what the next test logs is its own again.
    logs = sys.modules.get("core.logs")
    if logs is not None:
        logs.release_logging()
    for logger, level in levels.items():
        logger.setLevel(level)
    if loopback_only.refused:
        pytest.fail(f"tried to reach another machine: {', '.join(loopback_only.refused)}", pytrace=False)


@pytest.fixture
def refused_addresses() -> list[str]:
    """What this test tried to reach beyond loopback; one that does so on purpose clears the list."""
    return loopback_only.refused


# Vendors.


@pytest.fixture
def vendor() -> Generator[VendorServer]:
    """A server whose every answer the test writes down; a request without an answer fails the test."""
    with VendorServer() as server:
        yield server
    if server.unexpected:
        paths = ", ".join(f"{request.method} {request.path}" for request in server.unexpected)
        pytest.fail(f"requests that the test wrote no reply for: {paths}", pytrace=False)


@pytest.fixture
def nobody_url() -> Generator[str]:
    """An address at which every connection is refused."""
    with refused_url() as url:
        yield url


@pytest.fixture(scope="session")
def _aimock_process() -> "Generator[Aimock]":
    from tests.support.aimock_server import Aimock
    from tests.support.node import find_node

    node = require(find_node(), what="Node 20.15 or newer", remedy=_REMEDY)
    require(Aimock.is_installed() or None, what="aimock", remedy=_REMEDY)
    server = Aimock.start(node, SESSION_FOLDER / "aimock")
    yield server
    server.stop()


@pytest.fixture
def aimock(_aimock_process: "Aimock") -> "Generator[Aimock]":
    """Aimock without fixtures; a request that matches none of the test's fails the test."""
    _aimock_process.reset()
    yield _aimock_process
    if unmatched := _aimock_process.unmatched():
        pytest.fail(
            f"requests that matched no fixture: {[entry['body'] for entry in unmatched]}", pytrace=False
        )


# AWS Lambda.


@pytest.fixture
def make_lambda_emulator(tmp_path: Path) -> "Generator[Callable[..., LambdaEmulator]]":
    """Makes started Lambda emulators with our handler; they end with the test. Takes what LambdaEmulator takes."""
    from tests.support.lambda_emulator import LambdaEmulator, find_emulator

    program = require(
        find_emulator(), what="AWS Lambda's emulator", remedy=".ci/setup lambda-tools installs it"
    )
    emulators: list[LambdaEmulator] = []

    def make(**options: object) -> LambdaEmulator:
        emulator = LambdaEmulator(program, tmp_path / f"lambda-{len(emulators)}", **options)  # type: ignore[arg-type]
        emulators.append(emulator)
        return emulator.start()

    yield make
    for emulator in emulators:
        emulator.kill()


@pytest.fixture
def lambda_emulator(make_lambda_emulator: "Callable[..., LambdaEmulator]") -> "LambdaEmulator":
    """A started Lambda emulator with our handler."""
    return make_lambda_emulator()


# Databases.


@pytest.fixture(scope="session")
def postgres() -> "Generator[PostgresServer]":
    """A Postgres server for the session; tests take `postgres_url`, or make databases from a template."""
    from tests.support.postgres import PostgresServer

    server = PostgresServer.start(SESSION_FOLDER)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> Generator[str]:
    """The `DATABASE_URL` of an empty Postgres database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def migrated_template(postgres: "PostgresServer") -> str:
    """The name of a Postgres database with the schema, to copy: faster than migrating for each test."""
    from core.storage.store import Store

    url = postgres.create_database()
    Store.migrate(url)
    return url.partition("@/")[2].partition("?")[0]


@pytest.fixture
def migrated_postgres_url(postgres: "PostgresServer", migrated_template: str) -> Generator[str]:
    """The `DATABASE_URL` of a Postgres database with the schema and nothing in it."""
    url = postgres.create_database(template=migrated_template)
    yield url
    postgres.drop_database(url)


# The product and a browser on it.


@pytest.fixture
def make_server(tmp_path: Path) -> Generator[Callable[..., AppServer]]:
    """Makes `agent-launcher up` servers that end with the test; takes what AppServer takes."""
    servers: list[AppServer] = []

    def make(**options: object) -> AppServer:
        server = AppServer(tmp_path / f"server-{len(servers)}", **options)  # type: ignore[arg-type]
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """A Chromium that runs."""
    from tests.support.chromium import find_chromium

    return require(find_chromium(), what="Chromium", remedy=_REMEDY)


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> "Generator[Browser]":
    """A running browser."""
    from tests.support.browser import launched

    with launched(chromium_path) as browser:
        yield browser


@pytest.fixture
def page_errors() -> "PageErrors":
    """What went wrong in the pages of this test; `open_page` fails the test if something is left in it."""
    from tests.support.browser import PageErrors

    return PageErrors()


@pytest.fixture
def open_page(
    browser: "Browser", page_errors: "PageErrors", request: pytest.FixtureRequest, tmp_path: Path
) -> "Generator[Callable[..., Page]]":
    """Opens pages, each in a session of its own: `open_page(dark=True, viewport=VIEWPORT_1920)`.

    After a failure there is a picture of each in the test's folder.
    """
    from tests.support.browser import opened_page

    pages: list[Page] = []
    with ExitStack() as stack:

        def make(**options: object) -> "Page":
            page = stack.enter_context(opened_page(browser, **options))  # type: ignore[arg-type]
            page_errors.watch(page)
            pages.append(page)
            return page

        yield make
        if request.node.stash.get(_FAILED, False):
            for number, page in enumerate(pages):
                page.screenshot(path=tmp_path / f"failed-{number}.png", full_page=True)
    if page_errors:
        pytest.fail("the page reported:\n" + "\n".join(page_errors), pytrace=False)


@pytest.fixture
def page(open_page: "Callable[..., Page]") -> "Page":
    """An empty page of 1280 by 800, light."""
    return open_page()
