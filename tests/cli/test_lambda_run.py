"""`run --backend`, `runs show` and `secrets refer` with a function on AWS Lambda, for which a stand-in answers."""

import json
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import pytest

from core.execution.choice import BackendChoice
from core.services.agent_config import AgentConfig
from core.services.run_spec import RunSpec
from core.services.snippets import command_line
from tests.cli.conftest import Cli
from tests.support.lambda_service import Act, LambdaService
from tests.support.lambda_settings import lambda_variables

ECHO = ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Hello")


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Generator[LambdaService]:
    with LambdaService() as service:
        for name, value in lambda_variables(service.url).items():
            monkeypatch.setenv(name, value)
        yield service


def test_a_run_goes_where_it_is_sent_and_is_shown_with_its_cost_by_part(
    cli: Cli, function: LambdaService
) -> None:
    assert "on AWS Lambda" not in cli(*ECHO).stderr, "it is not switched on"
    done = cli(*ECHO, "--backend", "lambda")
    assert done.stdout.startswith('You asked: "Hello"')
    assert "demo-echo · on AWS Lambda · SUCCEEDED" in done.stderr
    answer = json.loads(cli(*ECHO, "--backend", "lambda", "--json").stdout, parse_float=Decimal)
    shown = cli("runs", "show", answer["run_id"]).stdout
    assert " backend  LAMBDA\n" in shown
    assert " attempt  1 on LAMBDA: SUCCEEDED, " in shown
    assert "tokens $0.00, compute $0.0000" in shown and ", request $0.00000020" in shown
    document = json.loads(cli("runs", "show", answer["run_id"], "--json").stdout, parse_float=Decimal)
    assert document["cost_usd"] == answer["cost_usd"] > 0
    assert document["attempts"][0]["lambda_memory_mb"] == 512
    assert len(function.invocations) == 2
    assert "--backend" in cli(*ECHO, "--backend", "moon", code=2).stderr


def test_a_run_that_falls_back_says_why(
    cli: Cli, function: LambdaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", "true")
    function.will(Act.refuse(404, "ResourceNotFoundException"), Act.refuse(404, "ResourceNotFoundException"))
    done = cli(*ECHO)
    assert "Ran here instead of on AWS Lambda. LAMBDA_UNREACHABLE: There is no function agent" in " ".join(
        done.stderr.split()
    )
    run_id = json.loads(cli(*ECHO, "--json").stdout)["run_id"]
    shown = cli("runs", "show", run_id).stdout
    assert " backend  LOCAL, instead of LAMBDA\n" in shown
    assert " attempt  1 on LAMBDA: LAMBDA_UNREACHABLE, " in shown
    assert (
        shown.count("\n          There is no function agent in us-east-1. Check LAMBDA_AGENT_FUNCTION_NAME")
        == 1
    )
    assert "tokens $0.00, compute $0.00, request $0.00" in shown
    assert " attempt  2 on LOCAL: SUCCEEDED, " in shown
    assert shown.count("; the fall-back\n") == 1


def test_the_error_of_the_run_itself_is_said_once(cli: Cli, function: LambdaService) -> None:
    function.will(Act.refuse(404, "ResourceNotFoundException"))
    run_id = json.loads(cli(*ECHO, "--backend", "lambda", "--json", code=1).stdout)["run_id"]
    assert cli("runs", "show", run_id).stdout.count("There is no function agent") == 1


def test_every_attempt_says_why_it_was_made(cli: Cli, function: LambdaService, tmp_path: Path) -> None:
    function.will(Act.refuse(429, "TooManyRequestsException"), Act.reset(runs=True))
    described = tmp_path / "twice.yaml"
    described.write_text(
        "format: agent-launcher/agents/v1\nagents:\n- name: Twice\n  config: {provider: DEMO, model_name: demo-echo, "
        "agent_type: one-shot, prompt: Hello, backend: LAMBDA, retry_on_unknown: true}\n"
    )
    cli("agents", "import", str(described))
    run_id = json.loads(cli("run", "--agent", "Twice", "--json").stdout)["run_id"]
    attempts = [line for line in cli("runs", "show", run_id).stdout.splitlines() if " attempt  " in line]
    assert [line.partition("; ")[2] for line in attempts] == [
        "",
        "a retry",
        "a second generation: the outcome of the one before is unknown, so it may be billed twice",
    ]
    assert function.executions == 2


def test_without_a_function_lambda_only_is_refused(cli: Cli) -> None:
    done = cli(*ECHO, "--backend", "lambda", code=1)
    assert "Set LAMBDA_AGENT_FUNCTION_NAME" in " ".join(done.stderr.split())
    assert "Nothing" in cli("runs", "list").stderr or cli("runs", "list").stdout == ""


def test_a_credential_says_where_lambda_finds_its_key(cli: Cli) -> None:
    cli("secrets", "add", "--provider", "OPENAI", "--name", "Main", input="sk-proj-abcdefghijklmnop4f2a")
    assert (
        "takes the key of 'Main' from env:TEAM_KEY" in cli("secrets", "refer", "Main", "env:TEAM_KEY").stderr
    )
    (listed,) = json.loads(cli("secrets", "list", "--json").stdout)
    assert listed["api_key_ref"] == "env:TEAM_KEY"
    assert "neither the ARN" in " ".join(cli("secrets", "refer", "Main", "sk-key", code=1).stderr.split())
    assert "is sent along" in cli("secrets", "refer", "Main").stderr
    (listed,) = json.loads(cli("secrets", "list", "--json").stdout)
    assert listed["api_key_ref"] is None


def test_the_command_to_copy_says_where_a_run_goes() -> None:
    config = AgentConfig(provider="DEMO", model_name="demo-echo", backend=BackendChoice.LAMBDA)
    spec = RunSpec(config=config, prompt="Hello", agent_name="Greeter")
    assert "--backend lambda" in command_line(spec, by_agent=False).text
    assert "--backend" not in command_line(spec, by_agent=True).text, "the agent says it itself"
    local = RunSpec(config=config, prompt="Hello", agent_name="Greeter", backend=BackendChoice.LOCAL)
    assert "--backend local" in command_line(local, by_agent=True).text
