"""The core as one thing: opened, used and closed, on both databases."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from core import ids
from core.contract import utc_now
from core.errors import SchemaMismatch, SettingsError, StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application, demo_agents_file
from core.services.principal import LOCAL
from core.services.runs import RunSpec
from core.services.seeding import seed_demo_agents
from core.settings import load_settings
from core.storage.records import Backend, NewRun, RunFilter, RunStatus, Trigger
from tests.support.stored_runs import opened_application

SLOW = RunSpec(
    config=AgentConfig(provider="DEMO", model_name="demo-slow"), prompt="Count", trigger=Trigger.CLI
)


def test_a_run_is_found_by_the_next_process(database: str) -> None:
    spec = RunSpec(config=AgentConfig(provider="DEMO", model_name="demo-echo"), prompt="Hello")
    with opened_application() as application:
        assert application.store.dialect == database
        outcome = application.runs.run(LOCAL, spec)
    with opened_application() as application:
        detail = application.runs.get(LOCAL, outcome.run_id)
        assert detail.response == outcome.response.response
        assert detail.summary.status is RunStatus.SUCCEEDED
        assert detail.summary.cost_nanousd == 0
        assert application.installation.describe(LOCAL).database["runs"] == 1


def test_closing_stops_what_is_under_way_and_stores_it(database: str) -> None:
    del database
    with opened_application() as application:
        live = application.runs.start(LOCAL, SLOW)
        next(live.stream())
    with opened_application() as application:
        detail = application.runs.get(LOCAL, live.run_id)
        assert detail.summary.status is RunStatus.CANCELLED
        assert detail.response
        assert application.runs.running(LOCAL) == []


def test_a_process_signs_off_so_that_what_it_left_is_settled_at_once(database: str) -> None:
    del database
    with opened_application() as application:
        application.presence.appear()
        now = utc_now()
        left = NewRun(
            id=ids.uuid7(),
            project_id=LOCAL.project_id,
            principal_id=LOCAL.id,
            worker_id=application.presence.worker_id,
            created_at=now,
            trigger=Trigger.CLI,
            provider="DEMO",
            model="demo-echo",
            backend=Backend.LOCAL,
            request={"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello"},
        )
        application.store.runs.start(left)
        application.housekeeping.round()
        assert [run.id for run in application.runs.running(LOCAL)] == [left.id]
    with opened_application() as application:
        application.housekeeping.round()
        assert application.runs.get(LOCAL, left.id).summary.status is RunStatus.OUTCOME_UNKNOWN


def test_the_data_directory_is_made_for_this_user_only() -> None:
    with opened_application() as application:
        assert application.settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "agent-launcher.db"
    file.write_bytes(b"this is somebody's text file" * 1000)
    with pytest.raises(StoreUnavailable, match="not a SQLite database"):
        Application.open(load_settings(), kind="test")
    assert file.read_bytes() == b"this is somebody's text file" * 1000


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with opened_application():
        pass
    with sqlite3.connect(tmp_path / "data" / "agent-launcher.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaMismatch, match="newer version"):
        Application.open(load_settings(), kind="test")


def test_postgres_without_the_schema_says_how_to_make_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with pytest.raises(SchemaMismatch, match="agent-launcher migrate"):
        Application.open(load_settings(), kind="test")


def test_postgres_that_is_away_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret-word@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable, match="cannot be reached") as raised:
        Application.open(load_settings(), kind="test")
    assert "secret-word" not in str(raised.value)


def test_a_data_directory_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(SettingsError, match="cannot be made"):
        Application.open(load_settings(), kind="test")


# Demo agents


@pytest.mark.usefixtures("database")
def test_a_new_installation_gets_its_demo_agents_once() -> None:
    with opened_application() as application:
        seed_demo_agents(application)
        seed_demo_agents(application)
        agents = application.agents.list(LOCAL)
        assert [agent.name for agent in agents] == ["Release notes (demo)", "Support reply (demo)"]
        assert {agent.version.config["provider"] for agent in agents} == {"DEMO"}
        assert {agent.version.number for agent in agents} == {1}


@pytest.mark.usefixtures("database")
def test_the_demo_agents_run_as_they_are() -> None:
    with opened_application() as application:
        seed_demo_agents(application)
        for agent in application.agents.list(LOCAL):
            spec = RunSpec(
                config=AgentConfig.parse({**agent.version.config, "model_name": "demo-echo"}),
                agent_id=agent.id,
                agent_version_id=agent.version.id,
                agent_name=agent.name,
            )
            assert application.runs.run(LOCAL, spec).response.error is None
        assert application.runs.count(LOCAL, RunFilter()) == 2


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("leave", [lambda a, i: a.agents.archive(LOCAL, i), lambda a, i: None])
def test_an_operator_who_changed_the_agents_gets_no_new_ones(
    leave: Callable[[Application, object], None],
) -> None:
    with opened_application() as application:
        seed_demo_agents(application)
        for agent in application.agents.list(LOCAL)[:1]:
            leave(application, agent.id)
        left = len(application.agents.list(LOCAL))
        seed_demo_agents(application)
        assert len(application.agents.list(LOCAL)) == left


def test_the_demo_agents_come_with_the_program() -> None:
    assert demo_agents_file().is_file()
