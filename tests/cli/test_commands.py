"""`agents`, `models`, `usage`, `secrets`, `doctor`, `migrate`, `version`."""

import json
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from core.contract import utc_now
from core.errors import ErrorCode
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.export import ExportFormat
from core.services.principal import LOCAL
from core.services.seeding import seed_demo_agents
from core.services.usage import Period
from core.storage import schema
from core.storage.records import RunStatus
from dashboard.commands import catalogue, runs
from tests.cli.conftest import Cli
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.stored_runs import opened_application, store_run
from tests.support.vendor_server import VendorServer

KEY = "sk-proj-abcdefghijklmnop4f2a"
OTHER_KEY = "sk-proj-qrstuvwxyz0123456789"
DIALECT = OpenAIDialect()


# Agents


def test_agents_are_listed_and_shown(cli: Cli, application: Application) -> None:
    assert "No agents yet" in cli("agents", "list").stderr
    seed_demo_agents(application)
    lines = cli("agents", "list").stdout.splitlines()
    assert lines[0].split() == ["agent", "model", "version", "description"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["Release notes (demo)", "Support reply (demo)"]
    listed = json.loads(cli("agents", "list", "--json").stdout)
    assert [(agent["name"], agent["version"]) for agent in listed] == [
        ("Release notes (demo)", 1),
        ("Support reply (demo)", 1),
    ]
    shown = cli("agents", "show", "Support reply (demo)").stdout
    assert shown.startswith("format: agent-launcher/agents/v1\n")
    assert shown == cli("agents", "show", listed[1]["id"]).stdout
    assert "No agent is called 'Nobody'" in cli("agents", "show", "Nobody", code=1).stderr


def test_archived_agents_are_apart(cli: Cli, application: Application) -> None:
    seed_demo_agents(application)
    assert "No agent is archived" in cli("agents", "list", "--archived").stderr
    application.agents.archive(LOCAL, application.agents.list(LOCAL)[0].id)
    assert [a["name"] for a in json.loads(cli("agents", "list", "--archived", "--json").stdout)] == [
        "Release notes (demo)"
    ]


def test_what_is_exported_can_be_imported_elsewhere(
    cli: Cli, application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_demo_agents(application)
    file = tmp_path / "agents.yaml"
    done = cli("agents", "export", "-o", str(file))
    assert (done.stdout, file.read_text()) == ("", cli("agents", "export").stdout)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (
        cli("agents", "export", "Support reply (demo)").stdout
        == cli("agents", "show", "Support reply (demo)").stdout
    )
    assert cli("agents", "import", str(file)).stdout.split("\n") == [
        "unchanged  Release notes (demo)",
        "unchanged  Support reply (demo)",
        "",
    ]
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path / "elsewhere"))
    done = cli("agents", "import", "-", input=file.read_bytes())
    assert "  created  Support reply (demo)" in done.stdout
    changed = file.read_text().replace("max_tokens: 400", "max_tokens: 401")
    assert "  updated  Support reply (demo)" in cli("agents", "import", "-", input=changed).stdout
    assert cli("agents", "export").stdout == changed


@pytest.mark.parametrize(
    ("text", "says"), [(b"", "agent-launcher/agents/v1"), (b"a: [", "not YAML"), (b"\xff\xfe", "not UTF-8")]
)
def test_what_is_no_agents_file_is_refused(cli: Cli, text: bytes, says: str) -> None:
    assert says in cli("agents", "import", "-", input=text, code=1).stderr


def test_files_that_cannot_be_read_or_written_are_told(cli: Cli, application: Application) -> None:
    seed_demo_agents(application)
    assert "cannot be read" in cli("agents", "import", "missing.yaml", code=1).stderr
    assert "cannot be written" in cli("agents", "export", "-o", "nowhere/agents.yaml", code=1).stderr


# Models and usage


def test_models_are_listed_with_their_prices(cli: Cli) -> None:
    lines = cli("models").stdout.splitlines()
    assert lines[0].split("  ")[0] == "provider"
    assert any(re.match(r"DEMO \(offline demo\) +demo-echo +0 +0 +128 k", line) for line in lines)
    only = json.loads(cli("models", "--provider", "OPENAI", "--json").stdout)
    assert {model["provider"] for model in only} == {"OPENAI"}
    (one,) = (model for model in only if model["model"] == "gpt-4o-mini")
    assert (one["input_usd_per_mtok"], one["output_usd_per_mtok"]) == (0.15, 0.6)
    assert "Invalid provider: 'openai'" in cli("models", "--provider", "openai", code=1).stderr


def test_models_are_compared_for_so_many_tokens(cli: Cli) -> None:
    models = json.loads(cli("models", "--for-tokens", "1000,500", "--json").stdout)
    (mini,) = (m for m in models if (m["provider"], m["model"]) == ("OPENAI", "gpt-4o-mini"))
    assert (mini["run_usd"], mini["standing"]) == (0.00045, "fits")
    costs = [model["run_usd"] for model in models if model["standing"] == "fits"]
    assert costs == sorted(costs)
    lines = cli("models", "--for-tokens", "200000,0", "--provider", "OPENAI").stdout.splitlines()
    assert any(re.match(r"OPENAI +gpt-4o-mini +\$0.030 +128 k +does not fit", line) for line in lines)
    demo = cli("models", "--for-tokens", "1,1", "--provider", "DEMO").stdout
    assert re.search(r"demo-echo +\$0.00 +128 k +offline demo, not a real price", demo)
    assert "two numbers" in cli("models", "--for-tokens", "1000", code=2).stderr
    assert "from 0 to" in cli("models", "--for-tokens", "1,999999999", code=1).stderr


def test_an_override_shows_among_the_models(cli: Cli, application: Application) -> None:
    application.prices.add_override(
        LOCAL, provider="OPENAI", model_pattern="own-1", input_usd_per_mtok="3", output_usd_per_mtok="4"
    )
    models = json.loads(cli("models", "--provider", "OPENAI", "--json").stdout)
    (own,) = (model for model in models if model["model"] == "own-1")
    assert (own["input_usd_per_mtok"], own["output_usd_per_mtok"]) == (3, 4)


def test_the_vendors_own_list_is_asked_with_the_key_that_would_serve(
    cli: Cli, application: Application, vendor: VendorServer
) -> None:
    base_url = DIALECT.connection(vendor.url)["base_url"]
    application.credentials.add(LOCAL, name="Here", provider="OPENAI", secret=KEY, base_url=base_url)
    vendor.will(DIALECT.models(["gpt-4o", "own-1"]))
    found = json.loads(
        cli("models", "--provider", "OPENAI", "--live", "--base-url", base_url, "--json").stdout
    )
    assert [model["model"] for model in found] == ["gpt-4o", "own-1"]
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"
    assert "needs --provider" in cli("models", "--live", code=2).stderr
    assert "needs --live" in cli("models", "--base-url", base_url, code=2).stderr
    assert "needs --live" in cli("models", "--credential", "Here", code=2).stderr
    application.credentials.add(LOCAL, name="Too", provider="OPENAI", secret=OTHER_KEY, base_url=base_url)
    ask = ("models", "--provider", "OPENAI", "--live")
    assert "--credential" in cli(*ask, "--base-url", base_url, code=1).stderr
    vendor.will(DIALECT.models(["gpt-4o"]))
    assert "gpt-4o" in cli(*ask, "--credential", "Too").stdout
    assert vendor.last.headers["authorization"] == f"Bearer {OTHER_KEY}"


def test_usage_is_split_and_says_what_has_no_price(cli: Cli, application: Application) -> None:
    assert "No runs in this period" in cli("usage").stderr
    now = utc_now()
    store_run(application, at=now - timedelta(minutes=1), model="a", cost_nanousd=1_000_000_000)
    store_run(application, at=now - timedelta(minutes=2), model="a", cost_nanousd=2_500_000_000)
    store_run(application, at=now - timedelta(minutes=3), model="b", cost_nanousd=None)
    store_run(application, at=now - timedelta(days=40), model="c")
    lines = cli("usage").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["model", "OPENAI/a", "OPENAI/b"]
    assert lines[1].split()[-2:] == ["$3.50", "0"]
    assert lines[2].split()[-2:] == ["unknown", "1"]
    assert "3 runs, $3.50, and 1 run(s) without a known price" in cli("usage").stderr
    by_provider = json.loads(cli("usage", "--by", "provider", "--period", "90d", "--json").stdout)
    assert [(part["key"], part["runs"], part["unpriced_runs"]) for part in by_provider] == [("OPENAI", 4, 1)]
    assert by_provider[0]["cost_usd"] == pytest.approx(3.501)


@pytest.mark.parametrize("interrupted", [False, True])
def test_figures_that_went_wrong_are_counted_again(
    cli: Cli, application: Application, interrupted: bool
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    for minute in range(3):
        store_run(application, at=utc_now() - timedelta(minutes=minute), cost_nanousd=2_000_000_000)
    application.housekeeping.round()
    right = cli("usage", "--json").stdout
    with closing(sqlite3.connect(application.settings.data_dir / "agent-launcher.db")) as database, database:
        database.execute("UPDATE usage_by_model SET runs = runs + 40")
    assert cli("usage", "--json").stdout != right
    if interrupted:
        with pytest.raises(Interrupted):
            application.store.usage.rebuild(interrupt, batch=2)
        assert cli("usage", "--json").stdout != right
    done = cli("usage", "--json", "--rebuild")
    assert done.stdout == right
    assert done.stderr == f"{1 if interrupted else 3} attempt(s) counted again.\n"
    assert cli("usage", "--json").stdout == right


def test_tokens_that_nobody_told_are_unknown_and_counted(cli: Cli, application: Application) -> None:
    now = utc_now()
    store_run(application, at=now, model="silent", input_tokens=None, output_tokens=None, cost_nanousd=None)
    store_run(application, at=now, model="mixed", input_tokens=None, output_tokens=None, cost_nanousd=None)
    store_run(application, at=now, model="mixed", input_tokens=100, output_tokens=50, cost_nanousd=1)
    refused = {"status": RunStatus.FAILED, "error": ErrorCode.RATE_LIMITED}
    store_run(
        application, at=now, model="refused", input_tokens=0, output_tokens=0, cost_nanousd=0, **refused
    )
    for folded in (False, True):
        if folded:
            application.housekeeping.round()
        parts = {part["key"]: part for part in json.loads(cli("usage", "--json").stdout)}
        figures = ("input_tokens", "output_tokens", "untold_attempts")
        assert {key: tuple(part[name] for name in figures) for key, part in parts.items()} == {
            "OPENAI/silent": (None, None, 1),
            "OPENAI/mixed": (100, 50, 1),
            "OPENAI/refused": (0, 0, 0),
        }
        done = cli("usage")
        lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
        assert lines["OPENAI/silent"][-5:-2] == ["unknown", "unknown", "1"]
        assert lines["OPENAI/mixed"][-5:-2] == ["100", "50", "1"]
        assert lines["OPENAI/refused"][-5:-2] == ["0", "0", "0"]
        assert "; tokens of 2 attempt(s) unknown" in done.stderr


def test_a_sum_without_any_price_is_unknown_and_a_stopped_run_is_no_failure(
    cli: Cli, application: Application
) -> None:
    now = utc_now()
    store_run(application, at=now, model="a", cost_nanousd=None)
    store_run(application, at=now, model="b", cost_nanousd=None)
    store_run(application, at=now, model="a", cost_nanousd=None, status=RunStatus.CANCELLED)
    done = cli("usage")
    assert "3 runs, cost unknown, and 3 run(s) without a known price" in done.stderr
    assert [line.split()[2:4] for line in done.stdout.splitlines()[1:]] == [["100", "%"], ["100", "%"]]
    assert [part["cost_usd"] for part in json.loads(cli("usage", "--json").stdout)] == [None, None]


def test_money_in_json_is_a_number_with_exactly_its_digits(cli: Cli, application: Application) -> None:
    # A binary float has no room for the last digit of the one, and is written 3.1e-05 for the other.
    large = store_run(application, at=utc_now(), model="a", cost_nanousd=12_345_678_123_456_789)
    small = store_run(application, at=utc_now(), model="b", cost_nanousd=31_000)
    outputs = {
        command: cli(*command.split()).stdout
        for command in (
            "runs list --json",
            "usage --json",
            f"runs show --json {large}",
            f"runs show --json {small}",
            "runs export --format jsonl",
        )
    }
    for command, output in outputs.items():
        assert str(small) in command or '"cost_usd": 12345678.123456789' in output
        assert str(large) in command or '"cost_usd": 0.000031' in output


def test_the_choices_on_the_command_line_are_the_services_own() -> None:
    period = catalogue.usage.__annotations__["period"].__origin__
    assert set(get_args(period)) == {period.value for period in Period}
    form = runs.export.__annotations__["form"].__origin__
    assert set(get_args(form)) == {form.value for form in ExportFormat}


# Secrets


def test_a_key_comes_in_by_standard_input_and_never_out(cli: Cli) -> None:
    assert "No credentials yet" in cli("secrets", "list").stderr
    done = cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=f"{KEY}\n")
    assert (done.stdout, done.stderr) == ("", "Stored 'Production' for OPENAI, ends in 4f2a.\n")
    done = cli("secrets", "list")
    assert "…4f2a" in done.stdout
    (listed,) = json.loads(cli("secrets", "list", "--json").stdout)
    assert (listed["name"], listed["last4"], listed["last_used_at"]) == ("Production", "4f2a", None)
    assert KEY not in done.output + json.dumps(listed)


def test_a_key_is_replaced_renamed_and_removed(cli: Cli, application: Application) -> None:
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    done = cli("secrets", "replace", "Production", input=OTHER_KEY)
    assert done.stderr == "Replaced the key of 'Production', ends in 6789.\n"
    resolved = application.credentials.resolve(
        LOCAL, config=AgentConfig(provider="OPENAI", model_name="gpt-4o"), given=None
    )
    assert resolved.secret == OTHER_KEY
    cli("secrets", "rename", "Production", "Live")
    assert "There are: Live." in cli("secrets", "remove", "Production", code=1).stderr
    for answer in ("", "n\n"):
        asked = cli("secrets", "remove", "Live", input=answer, code=1).stderr
        assert "Remove 'Live' (OPENAI, ends in 6789) for good?" in asked
        assert len(application.credentials.list(LOCAL)) == 1
    cli("secrets", "remove", "Live", input="y\n")
    assert application.credentials.list(LOCAL) == []


@pytest.mark.parametrize(
    ("arguments", "key", "says"),
    [
        (("--provider", "openai", "--name", "a"), KEY, "Invalid provider"),
        (("--provider", "DEMO", "--name", "a"), KEY, "takes no key"),
        (("--provider", "OPENAI", "--name", " "), KEY, "name"),
        (("--provider", "OPENAI", "--name", "a"), "", "empty"),
        (("--provider", "OPENAI", "--name", "a"), f"{KEY} {KEY}", "paste the key alone"),
        (("--provider", "OPENAI", "--name", "a", "--base-url", "nowhere"), KEY, "https://host/v1"),
    ],
)
def test_what_is_no_credential_is_refused(
    cli: Cli, application: Application, arguments: tuple[str, ...], key: str, says: str
) -> None:
    done = cli("secrets", "add", *arguments, input=key, code=1)
    assert says in done.stderr
    assert KEY not in done.output
    assert application.credentials.list(LOCAL) == []


def test_no_option_takes_a_key(cli: Cli) -> None:
    assert cli("secrets", "add", "--provider", "OPENAI", "--name", "a", KEY, input=KEY, code=2).stdout == ""
    options = set(re.findall(r"--[a-z-]+", cli("secrets", "add", "--help").stdout))
    assert options == {"--name", "--provider", "--base-url", "--help"}


def test_rotation_seals_all_keys_anew(cli: Cli, application: Application) -> None:
    assert "no master key yet" in cli("secrets", "rotate").stderr
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    before = application.settings.key_file.read_text()
    (stored,) = application.credentials.list(LOCAL)
    done = cli("secrets", "rotate")
    assert "1 secret(s) sealed again" in done.stderr
    assert done.stdout == ""
    assert application.settings.key_file.read_text() != before
    assert application.credentials.list(LOCAL) == [stored], "nobody changed the key itself"
    with opened_application() as fresh:
        config = AgentConfig(provider="OPENAI", model_name="gpt-4o")
        assert fresh.credentials.resolve(LOCAL, config=config, given=None).secret == KEY


def test_rotation_of_a_key_from_the_environment_says_what_to_set(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", "a-long-enough-passphrase")
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    done = cli("secrets", "rotate")
    assert "put the new key before the present one" in done.stderr
    new_key = done.stdout.strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}=", new_key)
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", f"{new_key},a-long-enough-passphrase")
    done = cli("secrets", "rotate")
    assert "1 secret(s) sealed again" in done.stderr
    assert new_key not in done.output
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", new_key)
    assert cli("doctor").exit_code == 0


def test_a_wrong_master_key_is_one_clear_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", "another-long-passphrase")
    for arguments in (
        ("secrets", "rotate"),
        ("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "x"),
        ("models", "--provider", "OPENAI", "--live"),
    ):
        done = cli(*arguments, code=1)
        assert "was sealed with the master key" in done.stderr
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)


# The installation


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_doctor_makes_nothing_where_nothing_is(cli: Cli, tmp_path: Path) -> None:
    before = everything_below(tmp_path)
    done = cli("doctor")
    assert everything_below(tmp_path) == before
    assert "no database yet; the first `agent-launcher up` makes it" in done.stdout
    assert "data: the first start makes it" in done.stdout
    assert "FAIL" not in done.stdout
    (tmp_path / "data").write_text("a file")
    done = cli("doctor", code=1)
    assert "FAIL  Data directory" in done.stdout


def test_doctor_changes_nothing_of_what_is_there(cli: Cli, application: Application, tmp_path: Path) -> None:
    orphan = store_run(application, at=utc_now())
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    # First while another process has it open, then when nobody has.
    for _ in range(2):
        before = everything_below(tmp_path)
        done = cli("doctor")
        after = everything_below(tmp_path)
        # SQLite counts its readers in it; what is stored is in the two others.
        for index in [name for name in before if name.endswith("-shm")]:
            del before[index], after[index]
        assert after == before
        assert "1 run, 0 agents, 1 credential" in done.stdout
        assert "1 finished attempt not in the roll-ups yet" in done.stdout
        application.close()
    with opened_application() as again:
        assert again.runs.get(LOCAL, orphan).summary.status is RunStatus.SUCCEEDED


def test_doctor_leaves_an_older_schema_as_it_is(
    cli: Cli, application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application.close()
    with closing(sqlite3.connect(tmp_path / "data" / "agent-launcher.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    migrations = tmp_path / "migrations"
    shutil.copytree(schema._MIGRATIONS, migrations)
    (migrations / "versions" / "v0000_older.py").write_text("revision = '0000'\ndown_revision = None\n")
    monkeypatch.setattr(schema, "_MIGRATIONS", migrations)
    before = everything_below(tmp_path / "data")
    done = cli("doctor")
    assert everything_below(tmp_path / "data") == before
    assert re.search("warn  Database: .* has the older schema 0000", done.stdout)


@pytest.mark.parametrize("as_json", [False, True])
def test_doctor_says_what_is_wrong_with_the_settings(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_PORT", "many")
    done = cli("doctor", *["--json"] * as_json, code=1)
    if as_json:
        (found,) = json.loads(done.stdout)
        assert (found["name"], found["verdict"]) == ("Settings", "failed")
        assert "AGENT_LAUNCHER_PORT is 'many'" in found["detail"]
    else:
        assert "FAIL  Settings: " in done.stdout
        assert "AGENT_LAUNCHER_PORT is 'many'" in done.stdout
    assert done.stderr == ""


def test_doctor_lists_its_checks(cli: Cli, application: Application) -> None:
    del application
    done = cli("doctor")
    assert "  ok  Database: SQLite at" in done.stdout
    assert "warn  Providers without a key: ANTHROPIC, OPENAI, GEMINI" in done.stdout
    checks = json.loads(cli("doctor", "--json").stdout)
    assert {check["verdict"] for check in checks} == {"ok", "warning"}


def test_doctor_fails_when_something_is_broken(cli: Cli, tmp_path: Path) -> None:
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    (tmp_path / "data" / "secret.key").unlink()
    done = cli("doctor", code=1)
    assert "FAIL  Master key: The key file" in done.stdout


def test_doctor_works_when_the_database_does_not(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret-word@127.0.0.1:1/nothing")
    done = cli("doctor", code=1)
    assert "FAIL  Database: postgresql+psycopg://somebody:***@127.0.0.1:1/nothing: Postgres" in done.stdout
    assert "  ok  Data directory" in done.stdout
    assert "secret-word" not in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("agents", "list"),
        ("models",),
        ("usage",),
        ("secrets", "list"),
        ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "x"),
        ("backup", "file"),
        ("migrate",),
    ],
)
def test_a_database_that_is_away_is_one_clear_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret-word@127.0.0.1:1/nothing")
    done = cli(*arguments, code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("agent-launcher: Postgres cannot be reached")
    assert "secret-word" not in done.stderr


def test_with_json_a_run_without_a_database_is_an_error_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@127.0.0.1:1/nothing")
    done = cli("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "x", "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["error"]["code"] == "INTERNAL_ERROR"
    assert "Postgres cannot be reached" in answer["error"]["message"]


def test_a_wrong_setting_is_one_clear_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_PORT", "many")
    done = cli("runs", "list", code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "AGENT_LAUNCHER_PORT is 'many', but must be a whole number" in done.stderr


def test_migrate_brings_postgres_up_to_date(
    cli: Cli, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert "Run `agent-launcher migrate`" in cli("runs", "list", code=1).stderr
    done = cli("migrate")
    assert done.stdout.split() == ["0001", "0002"]
    assert "2 migration(s) applied" in done.stderr
    done = cli("migrate")
    assert (done.stdout, done.stderr) == ("", "The schema is up to date.\n")
    cli("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Hello")
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Production", input=KEY)
    assert "Postgres at" in cli("doctor").stdout
    assert len(json.loads(cli("runs", "list", "--json").stdout)) == 1
    assert cli("runs", "export").stdout.count("demo-echo") == 1
    assert "DEMO (offline demo)/demo-echo" in cli("usage").stdout


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"agent-launcher \d+\.\d+\.\d+\n", cli("version").stdout)


@pytest.mark.parametrize("arguments", [(), ("runs",), ("agents",), ("secrets",)])
def test_without_a_command_the_help_is_shown(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert "Usage:" in cli(*arguments, code=None).output


def test_the_server_binds_to_this_machine_only(cli: Cli) -> None:
    for command in ("up", "dashboard"):
        done = cli(command, "--host", "0.0.0.0", code=1)
        assert "only to loopback" in done.stderr
        assert "sign-in" in done.stderr
