"""The facade that a Django app, say, calls: one keyword call, the contract's response."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.contract import AgentRequest, AgentResponse
from core.errors import StoreUnavailable
from core.lambda_service import LambdaAgentService
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import RunFilter, RunStatus, Trigger
from tests.contract.dialects.base import Answer, Failure
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import VendorServer

KEY = "sk-proj-abcdefghijklmnop4f2a"
DIALECT = OpenAIDialect()


@pytest.fixture
def application() -> Generator[Application]:
    with opened_application() as application:
        yield application


@pytest.fixture
def service(application: Application) -> LambdaAgentService:
    return LambdaAgentService(application)


def runs(application: Application) -> Sequence[Any]:
    return application.runs.page(LOCAL, RunFilter()).runs


def test_the_documents_call_gives_the_documents_response_and_stores_the_run(
    application: Application, service: LambdaAgentService
) -> None:
    answer = service.invoke_agent(
        provider="DEMO",
        model_name="demo-echo",
        api_key="unused",
        prompt="Generate a summary",
        system_prompt="You are a helpful assistant",
        agent_type="one-shot",
        agent_name="Summary Agent",
        max_tokens=1000,
        temperature=0.5,
        context={"customer": 7},
    )
    assert answer["response"].startswith("You asked:")
    assert (answer["provider"], answer["model"]) == ("DEMO", "demo-echo")
    assert answer["metadata"] == {
        "agent_type": "one-shot",
        "agent_name": "Summary Agent",
        "context_provided": True,
        "custom_system_prompt": True,
        "execution_backend": "LOCAL",
    }
    assert answer["timestamp"].endswith("Z")
    assert answer["execution_time_seconds"] >= 0
    usage = answer["token_usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert answer["cost_usd"] == "0"
    json.dumps(answer)
    AgentResponse.model_validate(answer)
    (run,) = runs(application)
    assert (run.trigger, run.agent_name, run.status) == (Trigger.PYTHON, "Summary Agent", RunStatus.SUCCEEDED)
    assert answer["run_id"] == str(run.id)
    detail = application.runs.get(LOCAL, run.id)
    assert detail.request["context"] == {"customer": 7}
    assert "api_key" not in detail.request


def test_a_stored_agent_runs_by_name_with_values_for_its_prompts(
    application: Application, service: LambdaAgentService
) -> None:
    config = AgentConfig(
        provider="DEMO",
        model_name="demo-echo",
        prompt="Greet {{name}} of {{town}}",
        variables={"town": "Bern"},
        temperature=0.5,
    )
    agent = application.agents.create(LOCAL, name="Greeter", config=config)
    answer = service.invoke_agent(agent="Greeter", variables={"name": "Ada"}, max_tokens=50)
    assert "Greet Ada of Bern" in answer["response"]
    assert answer["metadata"]["agent_name"] == "Greeter"
    detail = application.runs.get(LOCAL, UUID(answer["run_id"]))
    assert (detail.summary.agent_id, detail.summary.trigger) == (agent.id, Trigger.PYTHON)
    assert (detail.request["temperature"], detail.request["max_tokens"]) == (0.5, 50)
    assert detail.summary.agent_version_id is None, "no version asks for so few tokens"

    as_it_is = service.invoke_agent(agent=str(agent.id), prompt="A {{brace}}", system_prompt="{{so}}")
    detail = application.runs.get(LOCAL, UUID(as_it_is["run_id"]))
    assert (detail.request["prompt"], detail.request["system_prompt"]) == ("A {{brace}}", "{{so}}")

    refusals: tuple[tuple[dict[str, Any], str], ...] = (
        ({"agent": "Nobody"}, "No agent is called 'Nobody'"),
        ({"agent": "Greeter"}, "name"),
        ({"agent": "Greeter", "provider": "DEMO"}, "provider: not beside agent"),
        ({"agent": "Greeter", "temperature": 9}, "temperature"),
        ({"provider": "DEMO", "model_name": "demo-echo", "prompt": "x", "variables": {"a": "b"}}, "agent"),
        ({"prompt": "x"}, "provider"),
    )
    for fields, said in refusals:
        refused = service.invoke_agent(**fields)
        assert refused["error"]["code"] == "INVALID_REQUEST", fields
        assert said in refused["error"]["message"]
        assert (refused["run_id"], refused["cost_usd"]) == (None, None)


def test_a_run_counts_for_the_version_only_if_nothing_that_the_version_says_is_replaced(
    application: Application, service: LambdaAgentService
) -> None:
    base = AgentConfig(provider="DEMO", model_name="demo-echo", system_prompt="S", temperature=0.5)
    open_to_all = application.agents.create(LOCAL, name="Open", config=base)
    said = base.model_copy(
        update={"prompt": "Greet {{name}}", "context": {"a": 1}, "variables": {"name": "A"}}
    )
    with_prompt = application.agents.create(LOCAL, name="Said", config=said)
    chatter = base.model_copy(update={"prompt": "Own", "agent_type": "chat"})
    chats = application.agents.create(LOCAL, name="Chats", config=chatter)

    def counts(agent: str, **fields: Any) -> UUID | None:
        run_id = UUID(service.invoke_agent(agent=agent, **fields)["run_id"])
        return application.runs.get(LOCAL, run_id).summary.agent_version_id

    assert counts("Open", prompt="Hello", context={"b": 2}) == open_to_all.version.id
    assert counts("Open", prompt="Hello", system_prompt="S", temperature=0.5) == open_to_all.version.id
    assert counts("Open", prompt="Hello", system_prompt="Other") is None
    assert counts("Open", prompt="Hello", temperature=0.1) is None
    assert counts("Said", variables={"name": "B"}) == with_prompt.version.id
    assert counts("Said", prompt="Another") is None
    assert counts("Said", context={"a": 2}) is None
    question = [{"role": "user", "content": "Hello"}]
    assert counts("Chats", prompt="Hello") == chats.version.id
    assert counts("Chats", messages=question, agent_type="chat") == chats.version.id
    assert counts("Chats", messages=question, agent_type="chat", max_tokens=5) is None
    assert counts("Chats", prompt="Hello", agent_type="one-shot") is None


def test_a_question_at_the_end_of_the_messages_is_not_replaced_by_the_agents_own_prompt(
    application: Application, service: LambdaAgentService
) -> None:
    config = AgentConfig(
        provider="DEMO",
        model_name="demo-echo",
        agent_type="chat",
        prompt="Own {{prompt}}",
        system_prompt="Be brief.",
    )
    application.agents.create(LOCAL, name="Chatter", config=config)
    messages = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "My question"},
    ]
    kinds: list[dict[str, Any]] = [{"agent_type": "chat"}, {}]
    for kind in kinds:
        answer = service.invoke_agent(agent="Chatter", messages=messages, **kind)
        assert answer["response"].startswith('You asked: "My question"'), answer
        run_id = UUID(answer["run_id"])
        detail = application.runs.get(LOCAL, run_id)
        assert detail.request["messages"] == messages
        assert "prompt" not in detail.request
        again = application.runs.spec_as_typed(LOCAL, run_id)
        assert (again.template, again.config.prompt) == ("", "Own {{prompt}}")
    # What does not end with a question goes before the agent's own.
    answer = service.invoke_agent(agent="Chatter", messages=messages[:2], variables={"prompt": "words"})
    assert answer["response"].startswith('You asked: "Own words"'), answer


def test_the_time_of_a_run_that_was_tried_again_is_the_whole_runs(
    application: Application, service: LambdaAgentService
) -> None:
    answer = service.invoke_agent(provider="DEMO", model_name="demo-flaky", prompt="Hello")
    (run,) = runs(application)
    assert run.attempts > 1
    assert answer["execution_time_seconds"] == pytest.approx(run.latency_us / 1e6, abs=0.001)
    unstored = service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Hello", store=False)
    assert unstored["run_id"] is None
    unpriced = service.invoke_agent(
        provider="OLLAMA", model_name="x", prompt="Hello", base_url="http://127.0.0.1:9"
    )
    assert unpriced["run_id"], "a failed run is stored, too"


def test_a_cost_has_all_its_digits(
    application: Application, service: LambdaAgentService, vendor: VendorServer
) -> None:
    application.prices.add_override(
        LOCAL, provider="OPENAI", model_pattern="gpt-4o", input_usd_per_mtok="1", output_usd_per_mtok="2"
    )
    vendor.will(DIALECT.whole(Answer()))
    connection = {**DIALECT.connection(vendor.url), "api_key": KEY}
    answer = service.invoke_agent(provider="OPENAI", model_name="gpt-4o", prompt="Capital?", **connection)
    usage = answer["token_usage"]
    expected = Decimal(usage["input_tokens"] + 2 * usage["output_tokens"]) / 1_000_000
    assert expected > 0
    assert Decimal(answer["cost_usd"]) == expected
    assert json.loads(json.dumps(answer)) == answer


def test_a_run_that_could_not_be_stored_has_its_id_all_the_same(
    application: Application, service: LambdaAgentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable("The database is away.")

    with monkeypatch.context() as patched:
        patched.setattr(application.store.runs, "finish", refuse)
        answer = service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Hello")
    assert answer["response"]
    assert application.runs.settle() == 0
    assert application.runs.get(LOCAL, UUID(answer["run_id"])).response == answer["response"]


def test_every_field_of_the_contract_that_a_caller_sets_arrives(
    service: LambdaAgentService, vendor: VendorServer
) -> None:
    vendor.will(DIALECT.whole(Answer()))
    service.invoke_agent(
        provider="OPENAI",
        model_name="gpt-4o",
        api_key=KEY,
        prompt="And {{now}}?",
        system_prompt="Be {{brief}}",
        agent_type="chat",
        messages=[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
        attachments=[{"media_type": "image/png", "data": "aGVsbG8="}],
        max_tokens=10,
        temperature=0,
        top_p=0.5,
        stop=["END"],
        seed=3,
        response_schema={"type": "object", "properties": {}, "additionalProperties": False},
        timeout_seconds=20,
        **DIALECT.connection(vendor.url),
    )
    seen = DIALECT.seen(vendor.last)
    # Braces are no variables here: texts arrive as they are.
    assert seen.system == "Be {{brief}}"
    assert seen.turns == [("user", "Hello"), ("assistant", "Hi"), ("user", "And {{now}}?")]
    assert seen.files == [("image/png", "aGVsbG8=")]
    assert seen.key == KEY
    assert {"max_tokens", "temperature", "top_p", "stop", "seed", "response_schema"} <= set(seen.parameters)


def test_the_call_takes_every_field_of_the_contract() -> None:
    left_out = {"contract_version"}
    taken = set(LambdaAgentService.invoke_agent.__annotations__) - {
        *("return", "store", "agent", "variables", "backend")
    }
    assert taken == set(AgentRequest.model_fields) - left_out


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        (
            {"provider": "openai"},
            "UNKNOWN_PROVIDER",
            "Invalid provider: 'openai'. Did you mean OPENAI? Use one of",
        ),
        ({"provider": "OPENAI"}, "MISSING_API_KEY", "API key required for OPENAI"),
        ({"prompt": None}, "INVALID_REQUEST", "prompt"),
        ({"prompt": "[[fail=RATE_LIMITED]] x", "timeout_seconds": 0.5}, "RATE_LIMITED", "RATE_LIMITED"),
        ({"temperature": 9}, "INVALID_REQUEST", "temperature"),
        ({"messages": [{"role": "user"}], "agent_type": "chat"}, "INVALID_REQUEST", "messages"),
    ],
)
def test_a_failure_is_data(service: LambdaAgentService, fields: dict[str, Any], code: str, says: str) -> None:
    answer = service.invoke_agent(**{"provider": "DEMO", "model_name": "demo-echo", "prompt": "x", **fields})
    assert answer["error"]["code"] == code
    assert says in answer["error"]["message"]
    assert (answer["response"], answer["token_usage"]) == (None, None)


def test_a_key_may_be_named_instead_of_given(
    application: Application,
    service: LambdaAgentService,
    vendor: VendorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OWN_KEY", KEY)
    application.credentials.add(LOCAL, name="stored", provider="OPENAI", secret="sk-proj-another-key-0001")
    vendor.otherwise(DIALECT.whole(Answer()))
    fields = {
        "provider": "OPENAI",
        "model_name": "gpt-4o",
        "prompt": "Hello",
        **DIALECT.connection(vendor.url),
    }
    fields.pop("api_key", None)
    answer = service.invoke_agent(**fields, api_key_ref="env:OWN_KEY")
    assert answer["response"] == Answer().text
    assert DIALECT.seen(vendor.last).key == KEY
    (run,) = runs(application)
    # Repeating the run finds the key where the run did.
    assert application.runs.spec_of(LOCAL, run.id).api_key_ref == "env:OWN_KEY"
    refused = service.invoke_agent(
        **fields, api_key_ref="arn:aws:secretsmanager:eu-west-1:123456789012:secret:key"
    )
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert "this backend does not read" in refused["error"]["message"]


def test_a_credential_for_another_server_is_an_error_too(
    application: Application, service: LambdaAgentService
) -> None:
    application.credentials.add(LOCAL, name="a", provider="OPENAI", secret=KEY)
    application.credentials.add(LOCAL, name="b", provider="OPENAI", secret=KEY)
    answer = service.invoke_agent(provider="OPENAI", model_name="gpt-4o", prompt="Hello")
    assert answer["error"]["code"] == "MISSING_API_KEY"
    assert "several are stored (a, b)" in answer["error"]["message"]


def test_a_vendors_refusal_is_data_without_the_key(service: LambdaAgentService, vendor: VendorServer) -> None:
    vendor.otherwise(DIALECT.failure(Failure.BAD_KEY, message=f"Incorrect API key provided: {KEY}."))
    answer = service.invoke_agent(
        provider="OPENAI",
        model_name="gpt-4o",
        prompt="Hello",
        api_key=KEY,
        **DIALECT.connection(vendor.url),
    )
    assert answer["error"]["code"] == "AUTHENTICATION_FAILED"
    assert KEY not in json.dumps(answer)


def test_a_call_need_not_be_stored(application: Application, service: LambdaAgentService) -> None:
    answer = service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Hello", store=False)
    assert answer["response"]
    assert runs(application) == ()


# In a program of its own

HELLO = """
from core.lambda_service import lambda_agent_service
print(lambda_agent_service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Hello")["response"])
"""


def program(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_three_lines_of_python_are_enough() -> None:
    done = program(HELLO)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("You asked:")
    with opened_application() as application:
        assert len(runs(application)) == 1


def test_importing_it_opens_nothing(tmp_path: Path) -> None:
    done = program("from core.lambda_service import lambda_agent_service")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "data").exists()


def test_dotenv_serves_the_settings_the_vendors_key_and_the_log_level(
    vendor: VendorServer, tmp_path: Path
) -> None:
    vendor.will(DIALECT.whole(Answer()))
    base_url = DIALECT.connection(vendor.url)["base_url"]
    Path(".env").write_text(
        f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL={base_url}\nAGENT_LAUNCHER_LOG_LEVEL=DEBUG\n"
        f"DATABASE_URL=sqlite:///{tmp_path / 'elsewhere.db'}\n"
    )
    done = program(
        "import logging; logging.basicConfig()\n"
        + HELLO.replace("DEMO", "OPENAI").replace("demo-echo", "gpt-4o")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == Answer().text + "\n"
    assert DIALECT.seen(vendor.last).key == KEY
    assert "INFO:agent_launcher.runs:" in done.stderr
    assert KEY not in done.stderr
    assert (tmp_path / "elsewhere.db").exists()


def test_an_installation_that_needs_attention_raises() -> None:
    done = program(HELLO, AGENT_LAUNCHER_PORT="many")
    assert done.returncode == 1
    assert "AGENT_LAUNCHER_PORT" in done.stderr.splitlines()[-1]


def test_processes_forked_after_a_call_have_a_store_of_their_own() -> None:
    done = program(
        HELLO
        + """
import os
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        answer = lambda_agent_service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt=f"{number}")
        assert "error" not in answer, answer
        raise SystemExit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
print(lambda_agent_service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Last")["response"])
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    with opened_application() as application:
        found = runs(application)
        assert len(found) == 6
        assert {run.status for run in found} == {RunStatus.SUCCEEDED}


def test_threads_share_it(service: LambdaAgentService, application: Application) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda number: service.invoke_agent(
                    provider="DEMO", model_name="demo-echo", prompt=f"Number {number}"
                ),
                range(40),
            )
        )
    assert [f'"Number {number}"' in answer["response"] for number, answer in enumerate(answers)] == [
        True
    ] * 40
    assert application.runs.count(LOCAL, RunFilter()) == 40
