"""A disk that is full and a database that may only be read: every page opens, and what was stored is on it."""

import base64
import os
import random
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.errors import StoreNotWritable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.health import Verdict
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.seeding import seed_demo_agents
from core.settings import load_settings
from core.storage.engine import PAGE_SIZE
from core.storage.records import RunFilter, RunStatus
from dashboard import backend, routes, state
from tests.support.failing_postgres import full_disk, make_read_only, refused_connections
from tests.support.stored_runs import opened_application, store_run
from tests.support.vendor_server import Reply, VendorServer

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
PAGES = (
    routes.OVERVIEW,
    routes.PLAYGROUND,
    routes.AGENTS,
    routes.RUNS,
    routes.USAGE,
    routes.COSTS,
    routes.LOGS,
    routes.SETTINGS,
    routes.RUN_DETAIL,
    routes.AGENT,
)


@pytest.fixture
def readable_dir(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A data directory that another user may read; pytest's own may only be reached by the one who runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(folder))
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def read_only(readable_dir: Path) -> Generator[Application]:
    """An installation with a run, opened by a user who may only read its files."""
    with opened_application() as application:
        seed_demo_agents(application)
        store_run(application, at=utc_now(), prompt="Stored before")
    for file in readable_dir.iterdir():
        file.chmod(0o444)
    readable_dir.chmod(0o555)
    settings = load_settings()
    as_root = os.geteuid() == 0
    if as_root:  # whom no permission bit keeps from writing
        os.seteuid(65_534)
    try:
        application = Application.open(settings, kind="test")
    finally:
        if as_root:
            os.seteuid(0)
    assert not application.store.writable
    backend.install(application)
    yield application
    backend.install(None)
    application.close()


def parameters(application: Application, page: str) -> dict[str, str]:
    """What the address of the page must say."""
    if page == routes.RUN_DETAIL:
        return {state.RUN_ID: str(application.runs.page(LOCAL, RunFilter(providers=("OPENAI",))).runs[-1].id)}
    return {state.AGENT_PAGE_ID: str(application.agents.list(LOCAL)[0].id)} if page == routes.AGENT else {}


def opened(page: str, application: Application, **address: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()  # which makes the addresses of pages known
    app.switch_page(page)
    for name, value in (address or parameters(application, page)).items():
        app.query_params[name] = value
    return app.run()


def shown(app: AppTest) -> str:
    """The texts and figures of a page."""
    tables = " ".join(frame.value.to_string() for frame in app.dataframe)
    figures = " ".join(f"{metric.label} {metric.value}" for metric in app.metric)
    written = [*app.title, *app.markdown, *app.caption, *app.code, *app.error, *app.warning]
    return "\n".join([tables, figures, *(str(element.value) for element in written)]).replace("\\", "")


EARLIER = {
    routes.OVERVIEW: "Runs 1",
    routes.AGENTS: "Support reply (demo)",
    routes.RUNS: "gpt-5.4-mini",
    routes.USAGE: "gpt-5.4-mini",
    routes.COSTS: "gpt-5.4-mini",
    routes.RUN_DETAIL: "Stored before",
    routes.AGENT: "Release notes (demo)",
}


@pytest.mark.parametrize("page", PAGES)
def test_on_a_read_only_database_every_page_opens_and_says_so(read_only: Application, page: str) -> None:
    app = opened(page, read_only)
    assert not app.exception
    assert not app.error
    assert app.warning[0].value.startswith("The database is open for reading only")
    assert EARLIER.get(page, "") in shown(app)


def test_on_a_read_only_database_a_run_is_refused_with_the_remedy(read_only: Application) -> None:
    with pytest.raises(StoreNotWritable, match="Make them writable"):
        read_only.runs.start(LOCAL, RunSpec(config=DEMO, prompt="Hello"))


DEMO = AgentConfig(provider="DEMO", model_name="demo-echo")


def allow(application: Application, *, pages: int) -> None:
    """How large the file may become, as a disk decides it."""
    with application.store._database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_on_a_full_disk_every_page_opens_and_the_run_is_stored_once_there_is_room(
    application: Application,
) -> None:
    store_run(application, at=utc_now(), prompt="Stored before")
    live = application.runs.start(LOCAL, RunSpec(config=DEMO, prompt="[[delay=0.5]] " + text_of(60_000)))
    allow(application, pages=application.store.describe()["size_bytes"] // PAGE_SIZE)
    outcome = live.wait(20)
    assert outcome is not None
    assert (outcome.status, outcome.stored) == (RunStatus.SUCCEEDED, False)
    assert "disk that holds the database is full" in (outcome.store_error or "")

    assert_every_page_opens(application)
    application.runs.settle()
    app = opened(routes.RUN_DETAIL, application, **{state.RUN_ID: str(live.run_id)})
    assert [warning.proto.title for warning in app.warning] == ["This run is not stored"]
    assert "disk that holds the database is full" in shown(app)

    allow(application, pages=1_000_000)
    assert application.runs.settle() == 0
    detail = application.runs.get(LOCAL, live.run_id)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.response == outcome.response.response


# Postgres


@pytest.fixture
def on_postgres(migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Application]:
    """An installation on Postgres with its demo agents and a run, which the pages show."""
    monkeypatch.setenv("DATABASE_URL", migrated_postgres_url)
    with opened_application() as application:
        seed_demo_agents(application)
        store_run(application, at=utc_now(), prompt="Stored before")
        backend.install(application)
        yield application
        backend.install(None)


def test_on_a_full_disk_of_postgres_every_page_opens_and_the_run_is_stored_once_there_is_room(
    on_postgres: Application, migrated_postgres_url: str, vendor: VendorServer
) -> None:
    long_text = text_of(60_000)
    vendor.will(
        Reply.json(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "gpt-4o-mini",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": long_text},
                    }
                ],
                "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
            }
        )
    )
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1")
    with full_disk(migrated_postgres_url):
        with pytest.raises(StoreNotWritable, match="disk of the Postgres server is full"):
            on_postgres.runs.start(LOCAL, RunSpec(config=DEMO, prompt=long_text))
        # Its question is short, its answer is not.
        outcome = on_postgres.runs.run(LOCAL, RunSpec(config=config, prompt="Tell me everything"))
        assert (outcome.status, outcome.stored) == (RunStatus.SUCCEEDED, False)
        assert "disk of the Postgres server is full" in (outcome.store_error or "")
        assert_every_page_opens(on_postgres)
        app = opened(routes.RUN_DETAIL, on_postgres, **{state.RUN_ID: str(outcome.run_id)})
        assert [warning.proto.title for warning in app.warning] == ["This run is not stored"]
        assert "disk of the Postgres server is full" in shown(app)

    assert on_postgres.runs.settle() == 0
    detail = on_postgres.runs.get(LOCAL, outcome.run_id)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.response == long_text


def test_on_a_postgres_that_takes_no_writes_every_page_opens_and_a_run_is_refused_with_the_remedy(
    on_postgres: Application, migrated_postgres_url: str
) -> None:
    make_read_only(migrated_postgres_url)
    application = Application.open(load_settings(), kind="test")  # as the next start of the program
    try:
        backend.install(application)
        assert_every_page_opens(application)
        with pytest.raises(StoreNotWritable, match="point DATABASE_URL to the primary"):
            application.runs.start(LOCAL, RunSpec(config=DEMO, prompt="Hello"))
        (writing,) = [check for check in application.health.checks(LOCAL) if check.name == "Writing"]
        assert writing.verdict is Verdict.FAILED
        assert "point DATABASE_URL to the primary" in f"{writing.detail} {writing.remedy}"
    finally:
        backend.install(None)
        application.close()


@pytest.mark.parametrize("page", PAGES)
def test_while_postgres_refuses_connections_every_page_says_so_and_recovers(
    on_postgres: Application, migrated_postgres_url: str, page: str
) -> None:
    address = parameters(on_postgres, page)
    with refused_connections(migrated_postgres_url):
        st.cache_data.clear()
        app = opened(page, on_postgres, **address)
        assert not app.exception
        assert [error.proto.title for error in app.error] == ["The database cannot be used right now"]
        assert "Postgres cannot be reached" in shown(app)
        assert "check that it runs, and the host, database, user and password in DATABASE_URL" in shown(app)
        # Of a run or an agent the title is its own, which nobody can read now.
        assert bool(app.title) is (page not in (routes.RUN_DETAIL, routes.AGENT))
    st.cache_data.clear()
    app = opened(page, on_postgres, **address)
    assert not app.exception
    assert not app.error
    assert EARLIER.get(page, "") in shown(app)


def assert_every_page_opens(application: Application) -> None:
    """And shows what was stored before."""
    for page in PAGES:
        app = opened(page, application)
        assert not app.exception, page
        assert not app.error, page
        assert EARLIER.get(page, "") in shown(app), page


def text_of(size: int) -> str:
    """Text that compression makes little smaller, so that an answer with it needs pages of its own."""
    return base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()
