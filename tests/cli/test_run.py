"""`agent-launcher run`: the answer on stdout, everything else elsewhere, and every run stored."""

import json
from typing import Any
from uuid import UUID

import pytest

from core.contract import AgentResponse
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.snippets import command_line
from core.storage.records import RunDetail, RunFilter, RunStatus, Trigger
from tests.cli.conftest import Cli
from tests.contract.dialects.base import Answer, Failure
from tests.contract.dialects.bedrock import BedrockDialect
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.vendor_server import VendorServer

ECHO = ("--provider", "DEMO", "--model", "demo-echo")
KEY = "sk-proj-abcdefghijklmnop4f2a"
OTHER_KEY = "sk-proj-qrstuvwxyz0123456789"
DIALECT = OpenAIDialect()


def only_run(application: Application) -> RunDetail:
    (run,) = application.runs.page(LOCAL, RunFilter()).runs
    return application.runs.get(LOCAL, run.id)


def nothing_ran(application: Application) -> bool:
    return application.runs.count(LOCAL, RunFilter()) == 0


def test_the_answer_is_on_stdout_and_its_facts_on_stderr(cli: Cli, application: Application) -> None:
    done = cli("run", *ECHO, "--prompt", "Hello")
    run = only_run(application)
    assert done.stdout == f"{run.response}\n"
    assert f"SUCCEEDED · {run.summary.latency_us and run.summary.latency_us // 1000}"[:11] in done.stderr
    assert "cost $0.00" in done.stderr
    assert str(run.summary.id) in done.stderr
    assert (run.summary.trigger, run.summary.status) == (Trigger.CLI, RunStatus.SUCCEEDED)


def test_json_is_the_contracts_response_with_the_run_and_nothing_else(
    cli: Cli, application: Application
) -> None:
    done = cli("run", *ECHO, "--prompt", "Hello", "--json")
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    run = only_run(application)
    assert UUID(answer.pop("run_id")) == run.summary.id
    assert answer.pop("cost_usd") == 0
    response = AgentResponse.model_validate(answer)
    assert response.response == run.response
    assert response.to_wire() == answer


def test_options_reach_the_request(cli: Cli, application: Application) -> None:
    cli(
        *("run", *ECHO, "--prompt", "Say {{word}} to {{who}}", "--var", "word=a=b", "--var", "who=Zoë"),
        *("--system", "Be {{tone}}", "--var", "tone=brief", "--context", '{"customer": 7}'),
        *("--max-tokens", "50", "--temperature", "0.5", "--timeout", "12"),
    )
    request = only_run(application).request
    assert request["prompt"] == "Say a=b to Zoë"
    assert request["system_prompt"] == "Be brief"
    assert request["context"] == {"customer": 7}
    assert (request["max_tokens"], request["temperature"], request["timeout_seconds"]) == (50, 0.5, 12)


def test_a_context_may_stand_in_a_file(cli: Cli, application: Application) -> None:
    with open("context.json", "w", encoding="utf-8-sig") as file:  # noqa: PTH123 - with a byte order mark
        json.dump({"city": "Zürich"}, file, ensure_ascii=False)
    cli("run", *ECHO, "--prompt", "Hello", "--context", "@context.json")
    assert only_run(application).request["context"] == {"city": "Zürich"}


@pytest.mark.parametrize("given", [(), ("--prompt", "-")])
def test_the_prompt_may_come_from_standard_input_and_is_taken_as_it_is(
    cli: Cli, application: Application, given: tuple[str, ...]
) -> None:
    cli("run", *ECHO, *given, input="\ufeffA template: {{ not.a.variable }} {% raw %}\n\nEnd\n")
    assert only_run(application).request["prompt"] == "A template: {{ not.a.variable }} {% raw %}\n\nEnd"


def test_with_variables_standard_input_is_a_template(cli: Cli, application: Application) -> None:
    cli("run", *ECHO, "--var", "who=Zoë", input="Hello {{who}}\n")
    assert only_run(application).request["prompt"] == "Hello Zoë"


def test_an_agent_runs_with_its_own_prompt_and_configuration(cli: Cli, application: Application) -> None:
    agent = application.agents.create(
        LOCAL,
        name="Greeter",
        config=AgentConfig(
            provider="DEMO",
            model_name="demo-echo",
            system_prompt="You greet {{tone}}.",
            prompt="Greet {{who}}",
            variables={"who": "everybody", "tone": "warmly"},
            max_tokens=70,
        ),
    )
    cli("run", "--agent", "Greeter")
    run = only_run(application)
    assert run.request["prompt"] == "Greet everybody"
    assert (run.request["system_prompt"], run.request["max_tokens"]) == ("You greet warmly.", 70)
    assert (run.summary.agent_id, run.summary.agent_name) == (agent.id, "Greeter")
    assert run.summary.agent_version_id == agent.version.id
    done = cli("run", "--agent", "Greeter", "--context", '{"plan": "team"}', "--json")
    detail = application.runs.get(LOCAL, UUID(json.loads(done.stdout)["run_id"]))
    assert (detail.request["context"], detail.summary.agent_version_id) == (
        {"plan": "team"},
        agent.version.id,
    )
    done = cli(
        *("run", "--agent", str(agent.id), "--var", "who=Zoë", "--max-tokens", "80", "--system", "Short."),
        "--json",
    )
    detail = application.runs.get(LOCAL, UUID(json.loads(done.stdout)["run_id"]))
    assert (detail.summary.agent_id, detail.summary.agent_version_id) == (agent.id, None)
    again = detail.request
    assert (again["prompt"], again["max_tokens"], again["system_prompt"]) == ("Greet Zoë", 80, "Short.")


def test_a_failed_run_exits_with_1_and_says_why(cli: Cli, application: Application) -> None:
    done = cli("run", "--provider", "DEMO", "--model", "demo-error", "--prompt", "Hello", code=1)
    assert done.stdout == ""
    assert "PROVIDER_UNAVAILABLE: The demo model demo-error always fails." in done.stderr
    assert "no tokens" in done.stderr
    assert only_run(application).summary.status is RunStatus.FAILED


def test_a_failed_run_in_json_is_the_contracts_error(cli: Cli, application: Application) -> None:
    done = cli("run", "--provider", "DEMO", "--model", "demo-error", "--prompt", "Hello", "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["error"]["code"] == "PROVIDER_UNAVAILABLE"
    assert UUID(answer["run_id"]) == only_run(application).summary.id
    assert (answer["response"], answer["token_usage"]) == (None, None)


def test_what_came_before_a_failure_is_shown(cli: Cli, application: Application) -> None:
    done = cli("run", *ECHO, "--prompt", "[[fail_after=3]] one two three four five", code=1)
    assert done.stdout.startswith("You asked:")
    assert done.stdout.rstrip("\n") == only_run(application).response
    assert "BAD_PROVIDER_RESPONSE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--provider", "openai", "--model", "x"), "UNKNOWN_PROVIDER", "names are case-sensitive"),
        (("--agent", "Nobody"), "INVALID_REQUEST", "No agent is called 'Nobody'"),
        ((*ECHO, "--system", "{{tone}}"), "INVALID_REQUEST", "Give a value for {{tone}}"),
        ((*ECHO, "--base-url", "ftp://x"), "INVALID_REQUEST", "base_url"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_stored(
    cli: Cli, application: Application, arguments: tuple[str, ...], code: str, says: str
) -> None:
    done = cli("run", *arguments, "--prompt", "Hello", "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["error"]["code"] == code
    assert says in answer["error"]["message"]
    assert (answer["run_id"], answer["cost_usd"]) == (None, None)
    assert done.stderr == ""
    done = cli("run", *arguments, "--prompt", "Hello", code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert says in done.stderr
    assert nothing_ran(application)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "either --agent, or --provider"),
        (("--agent", "a", *ECHO), "either --agent, or --provider"),
        (("--provider", "DEMO"), "needs --model"),
        (("--agent", "a", "--model", "b"), "go with --provider"),
        (("--agent", "a", "--base-url", "http://b"), "go with --provider"),
        ((*ECHO, "--var", "x"), "NAME=VALUE"),
        ((*ECHO, "--var", "a-b=1"), "NAME=VALUE"),
        ((*ECHO, "--context", "[1]"), "JSON object"),
        ((*ECHO, "--context", "{"), "not JSON"),
        ((*ECHO, "--context", "[" * 100_000), "not JSON"),
        ((*ECHO, "--context", "@missing.json"), "cannot be read"),
        ((*ECHO, "--max-tokens", "0"), "--max-tokens"),
        ((*ECHO, "--temperature", "hot"), "--temperature"),
        ((*ECHO, "--timeout", "901"), "--timeout"),
        ((*ECHO, "--nonsense"), "--nonsense"),
    ],
)
def test_wrong_usage_exits_with_2_and_stores_nothing(
    cli: Cli, application: Application, arguments: tuple[str, ...], says: str
) -> None:
    done = cli("run", *arguments, "--prompt", "Hello", code=2)
    assert done.stdout == ""
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert nothing_ran(application)


def test_the_environment_may_name_bedrocks_model(
    cli: Cli, application: Application, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEDROCK_MODEL_ID", "us.amazon.nova-lite-v1:0")
    bedrock = BedrockDialect()
    vendor.will(bedrock.streamed(bedrock.events(Answer(pieces=("Hi",)))))
    arguments = ("--provider", "BEDROCK", "--prompt", "Hello", "--base-url", vendor.url)
    assert json.loads(cli("run", *arguments, "--json").stdout)["response"] == "Hi"
    assert vendor.last.path == "/model/us.amazon.nova-lite-v1%3A0/converse-stream"
    assert only_run(application).summary.model == "us.amazon.nova-lite-v1:0"


@pytest.mark.parametrize("text", [b"", b"  \n", b"\xff\xfe\x00"])
def test_standard_input_without_a_prompt_is_refused(cli: Cli, application: Application, text: bytes) -> None:
    done = cli("run", *ECHO, "--json", input=text, code=1)
    assert json.loads(done.stdout)["error"]["code"] == "INVALID_REQUEST"
    assert nothing_ran(application)


def test_without_agents_it_says_where_they_come_from(cli: Cli, application: Application) -> None:
    said = cli("run", "--agent", "Support reply (demo)", "--prompt", "Hello", code=1).stderr
    assert "the demo agents come with the first start of the dashboard (`agent-launcher up`)" in said
    only = application.agents.create(
        LOCAL, name="Only", config=AgentConfig(provider="DEMO", model_name="demo-echo")
    )
    application.agents.archive(LOCAL, only.id)
    assert "All agents are archived." in cli("run", "--agent", "Nobody", "--prompt", "x", code=1).stderr


def test_a_missing_key_says_how_to_give_one(cli: Cli) -> None:
    done = cli("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Hello", code=1)
    assert "API key required for OPENAI" in done.stderr
    assert "The offline demo (DEMO) works without" in done.stderr


def test_of_several_stored_keys_one_is_named(
    cli: Cli, application: Application, vendor: VendorServer
) -> None:
    base_url = DIALECT.connection(vendor.url)["base_url"]
    for name, key in (("Production", KEY), ("Staging", OTHER_KEY)):
        application.credentials.add(LOCAL, name=name, provider="OPENAI", secret=key, base_url=base_url)
    ask = ("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?", "--base-url", base_url)
    refused = cli(*ask, code=1).stderr
    assert "several are stored (Production, Staging)" in refused
    assert "--credential" in refused
    staging = application.credentials.find(LOCAL, "Staging")
    for label, key in (("Production", KEY), ("Staging", OTHER_KEY), (str(staging.id), OTHER_KEY)):
        vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
        cli(*ask, "--credential", label)
        assert DIALECT.seen(vendor.last).key == key
    vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
    cli("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?", "--credential", "Staging")
    assert DIALECT.seen(vendor.last).key == OTHER_KEY, "it is sent to the server that it is for"
    unknown = cli(*ask, "--credential", "Test", code=1).stderr
    assert "There is no credential named 'Test'. There are: Production, Staging." in unknown


def test_a_credential_may_replace_the_agents(
    cli: Cli, application: Application, vendor: VendorServer
) -> None:
    base_url = DIALECT.connection(vendor.url)["base_url"]
    own = application.credentials.add(LOCAL, name="Own", provider="OPENAI", secret=KEY)
    application.credentials.add(LOCAL, name="Other", provider="OPENAI", secret=OTHER_KEY)
    fields = {"provider": "OPENAI", "model_name": "gpt-4o", "credential_id": own.id, "base_url": base_url}
    application.agents.create(LOCAL, name="Asker", config=AgentConfig.parse(fields))
    for given, key in (((), KEY), (("--credential", "Other"), OTHER_KEY)):
        vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
        cli("run", "--agent", "Asker", "--prompt", "Capital?", *given)
        assert DIALECT.seen(vendor.last).key == key


def test_a_server_on_this_machine_is_not_refused_for_the_choice_of_a_key_that_is_not_its_own(
    cli: Cli, application: Application, vendor: VendorServer
) -> None:
    for name, key in (("Production", KEY), ("Staging", OTHER_KEY)):
        application.credentials.add(LOCAL, name=name, provider="OPENAI", secret=key)
    vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
    cli(
        *("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?"),
        *("--base-url", DIALECT.connection(vendor.url)["base_url"]),
    )
    assert DIALECT.seen(vendor.last).key not in (KEY, OTHER_KEY)


def test_a_run_on_openai_is_streamed_priced_and_stored(
    cli: Cli, application: Application, vendor: VendorServer
) -> None:
    application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
    done = cli(
        *("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?"),
        *("--base-url", DIALECT.connection(vendor.url)["base_url"], "--json"),
    )
    answer = json.loads(done.stdout)
    assert answer["response"] == Answer().text
    assert answer["token_usage"]["cached_input_tokens"] == 16
    # A server that the catalogue does not know has no price: unknown, not 0.
    assert answer["cost_usd"] is None
    assert DIALECT.seen(vendor.last).key == KEY
    application.prices.add_override(
        LOCAL, provider="OPENAI", model_pattern="gpt-4o", input_usd_per_mtok="1", output_usd_per_mtok="2"
    )
    vendor.will(DIALECT.streamed(DIALECT.events(Answer())))
    done = cli(
        *("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?"),
        *("--base-url", DIALECT.connection(vendor.url)["base_url"], "--json"),
    )
    assert json.loads(done.stdout)["cost_usd"] == pytest.approx(31e-6 + 2 * 17e-6)


def test_a_refused_key_is_told_and_not_shown(cli: Cli, vendor: VendorServer) -> None:
    vendor.will(DIALECT.failure(Failure.BAD_KEY, message=f"Incorrect API key provided: {KEY}"))
    done = cli(
        *("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Capital?"),
        *("--base-url", DIALECT.connection(vendor.url)["base_url"]),
        code=1,
    )
    assert "AUTHENTICATION_FAILED" in done.stderr
    assert KEY not in done.output


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system_prompt": "Be {{tone}}", "variables": {"tone": "brief, 'quoted' \"twice\""}},
        {"context": {"customer": 7, "note": "it's"}, "max_tokens": 9, "temperature": 1.0},
    ],
)
def test_what_a_page_shows_as_command_line_runs_the_same(
    cli: Cli, application: Application, fields: dict[str, Any]
) -> None:
    import shlex

    config = AgentConfig.parse({"provider": "DEMO", "model_name": "demo-echo", **fields})
    spec = RunSpec(config=config, prompt="Say 'hello' to {{who}}", variables={"who": "$HOME `id`"})
    snippet = command_line(spec, by_agent=False)
    assert not snippet.missing
    program, *arguments = shlex.split(snippet.text.replace("\\\n", " "))
    assert program == "agent-launcher"
    cli(*arguments)
    direct = application.runs.run(LOCAL, spec)
    runs = application.runs.page(LOCAL, RunFilter()).runs
    ours, theirs = (application.runs.get(LOCAL, run.id) for run in runs)
    assert (ours.request, ours.response) == (theirs.request, direct.response.response)
