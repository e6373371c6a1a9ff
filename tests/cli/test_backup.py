"""`agent-launcher backup` and `restore`: one verified file, into either database."""

import json
import re
import shlex
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest

from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.seeding import seed_demo_agents
from core.storage import schema
from core.storage.tables import HEAD_REVISION
from tests.cli.conftest import Cli
from tests.support.app_server import AppServer
from tests.support.stored_runs import opened_application

KEY = "sk-proj-abcdefghijklmnop4f2a"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


def fill(cli: Cli) -> None:
    with opened_application() as application:
        seed_demo_agents(application)
    cli("run", "--agent", "Support reply (demo)")
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)


def contents(cli: Cli) -> tuple[str, str, list[str]]:
    names = [secret["name"] for secret in json.loads(cli("secrets", "list", "--json").stdout)]
    return cli("runs", "export", "--format", "jsonl").stdout, cli("agents", "export").stdout, names


def test_what_was_backed_up_is_back_and_what_came_later_is_gone(cli: Cli, file: Path) -> None:
    fill(cli)
    before = contents(cli)
    done = cli("backup", str(file))
    assert done.stdout == ""
    assert "verified. SHA-256" in done.stderr
    assert "Not in the backup: the master key" in done.stderr
    cli("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Later")
    cli("secrets", "remove", "Production", "--yes")
    assert contents(cli) != before
    told = cli("restore", str(file), "--yes").stderr
    assert "verified" in told
    assert "does not open" not in told
    assert contents(cli) == before
    with opened_application() as application:
        config = AgentConfig(provider="OPENAI", model_name="gpt-4o")
        assert application.credentials.resolve(LOCAL, config=config, given=None).secret == KEY


def test_an_installation_moves_to_postgres_and_back(
    cli: Cli, file: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(cli)
    before = contents(cli)
    cli("backup", str(file))
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    cli("restore", str(file), "--yes")
    assert contents(cli) == before
    cli("run", "--agent", "Support reply (demo)")
    moved = contents(cli)
    cli("backup", str(tmp_path / "second.db"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'again.db'}")
    cli("restore", str(tmp_path / "second.db"), "--yes")
    assert contents(cli) == moved


def test_nothing_is_overwritten_by_a_backup(cli: Cli, application: Application, file: Path) -> None:
    del application
    file.write_text("yesterday's")
    assert "exists already" in cli("backup", str(file), code=1).stderr
    assert file.read_text() == "yesterday's"
    assert "does not exist" in cli("backup", str(file.parent / "nowhere" / "x.db"), code=1).stderr


def test_postgres_is_backed_up_before_it_is_migrated(
    cli: Cli, file: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(unquote(migrated_postgres_url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    monkeypatch.setenv("DATABASE_URL", migrated_postgres_url)
    monkeypatch.setattr(schema, "_MIGRATIONS", with_an_older_schema(file.parent / "migrations"))
    told = cli("runs", "list", code=1).stderr
    assert "Take a backup first (`agent-launcher backup FILE`), and run then `agent-launcher migrate`" in told
    assert "verified" in cli("backup", str(file)).stderr
    assert cli("migrate").stdout.split() == [HEAD_REVISION]


def with_an_older_schema(folder: Path) -> Path:
    """Migrations of which the first makes what the program has, and the second nothing."""
    shutil.copytree(schema._MIGRATIONS, folder)
    versions = folder / "versions"
    newest = next(versions.glob(f"v{HEAD_REVISION}*.py"))
    newest.write_text(newest.read_text().replace(f'"{HEAD_REVISION}"', '"0000"'))
    (versions / f"v{HEAD_REVISION}_newer.py").write_text(
        f'revision = "{HEAD_REVISION}"\ndown_revision = "0000"\ndef upgrade():\n    pass\n'
    )
    return folder


def test_where_nothing_is_there_is_nothing_to_back_up(cli: Cli, file: Path, tmp_path: Path) -> None:
    assert "There is nothing to back up" in cli("backup", str(file), code=1).stderr
    assert not list((tmp_path / "data").glob("*.db"))


def test_a_place_that_cannot_be_is_one_line(cli: Cli, file: Path) -> None:
    fill(cli)
    file.write_text("")
    told = cli("backup", str(file / "below.db"), code=1).stderr
    assert told.count("\n") == 1
    assert "does not exist" in told


def test_what_is_no_backup_changes_nothing(cli: Cli, file: Path) -> None:
    fill(cli)
    before = contents(cli)
    assert "There is no file" in cli("restore", str(file), "--yes", code=1).stderr
    file.write_bytes(b"something else" * 1_000)
    assert "is not a backup" in cli("restore", str(file), "--yes", code=1).stderr
    file.unlink()
    cli("backup", str(file))
    data = bytearray(file.read_bytes())
    data[20_000] ^= 1
    file.write_bytes(data)
    assert "Use another backup" in cli("restore", str(file), "--yes", code=1).stderr
    assert contents(cli) == before


def test_where_nobody_can_be_asked_yes_must_be_said(cli: Cli, file: Path) -> None:
    fill(cli)
    before = contents(cli)
    cli("backup", str(file))
    assert "add --yes" in cli("restore", str(file), input="y\n", code=2).stderr
    assert contents(cli) == before


def test_without_its_master_key_a_restored_key_is_told_and_kept(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(cli)
    cli("backup", str(file))
    key_file = tmp_path / "data" / "secret.key"
    assert key_file.read_text().splitlines()[-1] not in file.read_bytes().decode("latin-1")
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path / "elsewhere"))
    told = cli("restore", str(file), "--yes").stderr
    assert "rows restored" in told
    assert "the master key here does not open 1 of 1 restored key(s): Production." in told
    assert "secret.key is missing" in told
    assert "is missing" in cli("doctor", code=1).stdout
    key_file.rename(tmp_path / "elsewhere" / "secret.key")
    assert "opens every stored credential" in cli("doctor").stdout


def test_a_restore_says_how_to_go_back(cli: Cli, file: Path) -> None:
    fill(cli)
    cli("backup", str(file))
    cli("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Later")
    later = contents(cli)
    told = cli("restore", str(file), "--yes").stderr
    assert contents(cli) != later
    back = re.search(r"To go back: agent-launcher (.*)", told)
    assert back is not None
    cli(*shlex.split(back[1]), "--yes")
    assert contents(cli) == later


def test_a_dashboard_that_runs_is_named_and_nothing_is_restored(
    cli: Cli, file: Path, make_server: Callable[..., AppServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
    fill(cli)
    cli("backup", str(file))
    cli("secrets", "remove", "Production", "--yes")
    before = contents(cli)
    server.start()
    wait_until_it_lives()
    refused = cli("restore", str(file), "--yes", code=1).stderr
    assert f"up on {socket.gethostname()} (process {server.pid})" in refused
    assert contents(cli) == before
    server.stop()
    cli("restore", str(file), "--yes")
    assert contents(cli) != before


def wait_until_it_lives() -> None:
    """A server answers a moment before its first heart-beat."""
    deadline = time.monotonic() + 20
    with opened_application() as application:
        while not application.store.workers.live():
            assert time.monotonic() < deadline
            time.sleep(0.05)
