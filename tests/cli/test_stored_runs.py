"""`agent-launcher runs list | show | export`."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest

from core.contract import utc_now
from core.errors import ErrorCode
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.export import ExportFormat, export_runs
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import RunFilter, RunStatus
from tests.cli.conftest import Cli
from tests.support.stored_runs import store_run


@pytest.fixture
def month(application: Application) -> dict[str, str]:
    """Runs of different age, status, agent and model; their ids by name."""
    now = utc_now()
    agent = application.agents.create(
        LOCAL, name="Greeter", config=AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
    )
    runs = {
        "old": store_run(application, at=now - timedelta(days=20)),
        "failed": store_run(
            application,
            at=now - timedelta(days=2),
            status=RunStatus.FAILED,
            error=ErrorCode.RATE_LIMITED,
            cost_nanousd=0,
        ),
        "greeter": store_run(application, at=now - timedelta(hours=3), agent=agent),
        "unpriced": store_run(application, at=now - timedelta(minutes=5), model="own-1", cost_nanousd=None),
    }
    return {name: str(run_id) for name, run_id in runs.items()}


def listed(cli: Cli, month: dict[str, str], *arguments: str) -> list[str]:
    names = {run_id: name for name, run_id in month.items()}
    return [names[run["id"]] for run in json.loads(cli("runs", "list", *arguments, "--json").stdout)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["unpriced", "greeter", "failed", "old"]),
        (("--limit", "2"), ["unpriced", "greeter"]),
        (("--since", "4h"), ["unpriced", "greeter"]),
        (("--since", "30d", "--until", "1d"), ["failed", "old"]),
        (("--since", "1w"), ["unpriced", "greeter", "failed"]),
        (("--agent", "Greeter"), ["greeter"]),
        (("--model", "own-1"), ["unpriced"]),
        (("--provider", "DEMO"), []),
        (("--status", "failed"), ["failed"]),
    ],
)
def test_the_filters_of_the_page_are_there(
    cli: Cli, month: dict[str, str], arguments: tuple[str, ...], found: list[str]
) -> None:
    assert listed(cli, month, *arguments) == found


@pytest.mark.parametrize("command", [("runs", "list"), ("runs", "export")])
def test_a_name_that_nothing_has_is_refused_with_those_that_there_are(
    cli: Cli, application: Application, command: tuple[str, ...]
) -> None:
    refused = cli(*command, "--provider", "openai", code=1)
    assert refused.stdout == ""
    assert "Invalid provider: 'openai'" in refused.stderr
    assert "OPENAI" in refused.stderr
    said = cli(*command, "--status", "done", code=2).stderr
    assert all(status.value.lower() in said.lower() for status in (RunStatus.SUCCEEDED, RunStatus.FAILED))
    store_run(application, at=utc_now(), provider="GONE")
    assert "GONE" in cli(*command, "--provider", "GONE").stdout, (
        "of a provider that is not installed any more"
    )


def test_the_offline_demo_is_labelled_where_people_read(cli: Cli) -> None:
    said = cli("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Hello").stderr
    assert "DEMO (offline demo) demo-echo" in said
    assert "DEMO (offline demo) demo-echo" in cli("runs", "list").stdout
    (run,) = json.loads(cli("runs", "list", "--json").stdout)
    assert (run["provider"], run["model"]) == ("DEMO", "demo-echo")
    assert "DEMO (offline demo) demo-echo" in cli("runs", "show", run["id"]).stdout
    assert "DEMO (offline demo)/demo-echo" in cli("usage").stdout
    assert "DEMO (offline demo) " in cli("usage", "--by", "provider").stdout
    assert "DEMO (offline demo) " in cli("models", "--provider", "DEMO").stdout
    for json_form in (("usage", "--by", "provider"), ("models",), ("runs", "show", run["id"])):
        assert "(offline demo)" not in cli(*json_form, "--json").stdout


def test_a_date_and_a_time_with_a_zone_are_understood(cli: Cli, month: dict[str, str]) -> None:
    day = (utc_now() - timedelta(days=3)).date().isoformat()
    assert listed(cli, month, "--since", day) == ["unpriced", "greeter", "failed"]
    moment = (utc_now() - timedelta(hours=1)).isoformat()
    assert listed(cli, month, "--since", moment) == ["unpriced"]
    assert listed(cli, month, "--since", "1900-01-01") == ["unpriced", "greeter", "failed", "old"]


@pytest.mark.parametrize("time", ["yesterday", "7x", "2026-13-01", "", "999999w", "-1d"])
def test_what_is_no_time_is_wrong_usage(cli: Cli, time: str) -> None:
    assert "takes a date" in cli("runs", "list", "--since", time, code=2).stderr


def test_the_table_says_what_is_unknown(cli: Cli, month: dict[str, str]) -> None:
    lines = cli("runs", "list").stdout.splitlines()
    assert lines[0].split() == ["run", "when", "status", "agent", "model", "latency", "tokens", "cost"]
    by_id = {line.split()[0]: line for line in lines[1:]}
    assert by_id[month["unpriced"]].endswith("unknown")
    assert by_id[month["greeter"]].endswith("$0.0010")
    assert "RATE_LIMITED" in by_id[month["failed"]]
    assert "Greeter" in by_id[month["greeter"]]


def test_there_is_more_than_the_newest(cli: Cli, month: dict[str, str]) -> None:
    del month
    assert "runs export" in cli("runs", "list", "--limit", "2").stderr
    assert cli("runs", "list").stderr == ""


def test_an_empty_list_says_what_to_do(cli: Cli) -> None:
    done = cli("runs", "list")
    assert (done.stdout, done.stderr) == ("", "No runs match. `agent-launcher run` makes one.\n")
    assert cli("runs", "list", "--json").stdout == "[]\n"


def test_names_are_text_not_markup(cli: Cli, application: Application) -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo"),
        prompt="x",
        agent_name="[red]a[/red] :smile: \\[b]",
    )
    application.runs.run(LOCAL, spec)
    assert "[red]a[/red] :smile: \\[b]" in cli("runs", "list").stdout


def test_a_run_is_shown_with_texts_and_attempts(cli: Cli, application: Application) -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-flaky", system_prompt="Be brief."),
        prompt="Hello",
    )
    outcome = application.runs.run(LOCAL, spec)
    text = cli("runs", "show", str(outcome.run_id)).stdout
    for part in ("SUCCEEDED", "1 on LOCAL: RATE_LIMITED", "2 on LOCAL: SUCCEEDED", "$0.00"):
        assert part in text
    assert "\nSystem prompt\nBe brief.\n\nPrompt\nHello\n\nAnswer\nYou asked:" in text
    document = json.loads(cli("runs", "show", str(outcome.run_id), "--json").stdout)
    assert [attempt["error_code"] for attempt in document["attempts"]] == ["RATE_LIMITED", None]
    (line,) = cli("runs", "export", "--format", "jsonl").stdout.splitlines()
    assert json.loads(line) == document


def test_a_run_that_is_not_there(cli: Cli) -> None:
    done = cli("runs", "show", "01a2041f-0eb8-78ae-ab80-7ed9f7d32d25", code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "is no run's id" in cli("runs", "show", "not-an-id", code=1).stderr


def test_a_run_is_shown_by_the_beginning_of_its_id(cli: Cli, application: Application) -> None:
    first = store_run(application, at=utc_now() - timedelta(days=2))
    at = utc_now() - timedelta(days=1)
    twins = [store_run(application, at=at) for _ in range(2)]

    shown = cli("runs", "show", first.hex[:10].upper(), "--json").stdout
    assert json.loads(shown)["id"] == str(first)
    several = cli("runs", "show", str(twins[0])[:9], code=1).stderr
    assert all(str(run_id) in several for run_id in twins), "whoever asked can choose"
    assert "is no run's id" in cli("runs", "show", str(first)[:7], code=1).stderr, "too short to mean one"


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_export_is_the_pages_own_file(
    cli: Cli, application: Application, month: dict[str, str], form: ExportFormat, tmp_path: Path
) -> None:
    whole = b"".join(export_runs(application.runs, LOCAL, RunFilter(), form=form))
    assert cli("runs", "export", "--format", form.value).stdout_bytes == whole
    file = tmp_path / f"runs.{form.value}"
    done = cli("runs", "export", "--format", form.value, "-o", str(file))
    assert (done.stdout, file.read_bytes()) == ("", whole)
    assert "4 run(s) written" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    some = cli("runs", "export", "--format", form.value, "--agent", "Greeter").stdout
    assert month["greeter"] in some
    assert month["old"] not in some


def test_an_export_is_csv_unless_asked(cli: Cli, month: dict[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("runs", "export").stdout, newline="")))
    assert {row["id"] for row in rows} == set(month.values())
    assert {row["cost_usd"] for row in rows} == {"0.001", "", "0"}


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(
    cli: Cli, month: dict[str, str], tmp_path: Path
) -> None:
    del month
    done = cli("runs", "export", "-o", str(tmp_path / "nowhere" / "runs.csv"), code=1)
    assert "cannot be written" in done.stderr
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "cannot be written" in cli("runs", "export", "-o", str(folder), code=1).stderr
    assert list(tmp_path.glob("*.part")) == []


def test_an_export_that_fails_leaves_the_earlier_file(
    cli: Cli, month: dict[str, str], tmp_path: Path
) -> None:
    del month
    file = tmp_path / "runs.csv"
    file.write_text("yesterday's")
    cli("runs", "export", "--agent", "Nobody", "-o", str(file), code=1)
    assert file.read_text() == "yesterday's"
