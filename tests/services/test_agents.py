"""Agents on both databases: versions, conflicts, import and export, and the vendor's own list of models."""

import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
import yaml

from core.contract import utc_now
from core.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidInput,
    MissingApiKey,
    NotFound,
    ProviderUnavailable,
    UnknownProvider,
)
from core.services.agent_config import AgentConfig
from core.services.agent_import import ImportAction
from core.services.agent_yaml import EXPORT_FORMAT
from core.services.agents import config_of
from core.services.application import Application
from core.services.principal import LOCAL, Principal
from core.services.run_spec import RunSpec
from core.services.seeding import seed_demo_agents
from core.storage.records import AgentRecord, RunStatus
from tests.contract.dialects.base import Answer
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.stored_runs import store_run
from tests.support.vendor_server import Reply, VendorServer

OTHERS = Principal(id="someone", project_id="another-project")


def config(**fields: Any) -> AgentConfig:
    return AgentConfig.parse(
        {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello {{name}}", **fields}
    )


def made(application: Application, name: str = "Greeter", **fields: Any) -> AgentRecord:
    return application.agents.create(LOCAL, name=name, config=config(**fields))


def test_a_model_on_its_credentials_server_takes_what_that_server_takes(application: Application) -> None:
    there = application.credentials.add(
        LOCAL, name="There", provider="OPENAI", secret="sk-test-1234567890", base_url="https://gw.example/v1"
    )
    asked = {"provider": "OPENAI", "model_name": "gpt-4", "reasoning_effort": "low"}
    with pytest.raises(InvalidInput, match="gpt-4 does not take reasoning_effort"):
        made(application, **asked)
    agent = made(application, **asked, credential_id=str(there.id))
    text = application.agents.export_yaml(LOCAL, [agent.id])
    assert application.agents.import_yaml(LOCAL, text).unchanged == ("Greeter",)


# Versions


def test_a_new_agent_has_a_first_version(application: Application) -> None:
    agent = application.agents.create(
        LOCAL, name="  Greeter ", description=" Greets. ", config=config(temperature=0.5)
    )

    assert (agent.name, agent.description) == ("Greeter", "Greets.")
    assert (agent.version.number, agent.version.note, agent.version.created_by) == (
        1,
        "First version",
        "local",
    )
    assert config_of(agent.version) == config(temperature=0.5)
    assert application.agents.list(LOCAL) == [agent]
    assert application.agents.list(OTHERS) == []


def test_each_edit_is_a_version_and_the_same_configuration_again_is_none(application: Application) -> None:
    agents = application.agents
    agent = made(application)

    edited = agents.edit(
        LOCAL, agent.id, config=config(max_tokens=5), note=" Shorter ", expected_revision=agent.revision
    )
    again = agents.edit(
        LOCAL, agent.id, config=config(max_tokens=5), note="", expected_revision=edited.revision
    )

    assert (edited.version.number, edited.version.note) == (2, "Shorter")
    assert again == edited
    assert [version.number for version in agents.versions(LOCAL, agent.id)] == [2, 1]
    assert agents.version(LOCAL, agent.version.id).config == agent.version.config


def test_saving_a_form_renames_and_edits(application: Application) -> None:
    agent = made(application)

    saved = application.agents.save(
        LOCAL,
        agent.id,
        name="Host",
        description="Greets guests.",
        config=config(max_tokens=9),
        note="As a host",
        expected_revision=agent.revision,
    )

    assert (saved.name, saved.description, saved.version.number) == ("Host", "Greets guests.", 2)
    assert saved.revision == agent.revision + 1, "one change"
    only_renamed = application.agents.save(
        LOCAL,
        agent.id,
        name="Porter",
        description="Greets guests.",
        config=config(max_tokens=9),
        note="",
        expected_revision=saved.revision,
    )
    assert (only_renamed.name, only_renamed.version.number) == ("Porter", 2)


SAVED_AND_KILLED = """
import os, signal, sys
from uuid import UUID
from sqlalchemy import Engine, event
from core.services.agents import config_of
from core.services.application import Application
from core.services.principal import LOCAL
from core.settings import load_settings

@event.listens_for(Engine, "before_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if statement.startswith("INSERT INTO agent_version"):
        os.kill(os.getpid(), signal.SIGKILL)

application = Application.open(load_settings(), kind="test")
agent = application.agents.get(LOCAL, UUID(sys.argv[1]))
config = config_of(agent.version).model_copy(update={"max_tokens": 9})
application.agents.save(
    LOCAL, agent.id, name="Host", description="Greets guests.", config=config, note="",
    expected_revision=agent.revision,
)
"""


def test_a_save_that_is_killed_half_way_changes_nothing_not_even_the_name(application: Application) -> None:
    agent = made(application)

    killed = subprocess.run([sys.executable, "-c", SAVED_AND_KILLED, str(agent.id)], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert application.agents.get(LOCAL, agent.id) == agent
    assert application.agents.versions(LOCAL, agent.id) == [agent.version]


def test_a_form_with_a_taken_name_makes_no_version_either(application: Application) -> None:
    agent = made(application)
    made(application, "Host")

    with pytest.raises(Conflict, match="named 'Host' already"):
        application.agents.save(
            LOCAL,
            agent.id,
            name="Host",
            description="",
            config=config(max_tokens=9),
            note="",
            expected_revision=agent.revision,
        )

    assert application.agents.get(LOCAL, agent.id) == agent
    assert application.agents.versions(LOCAL, agent.id) == [agent.version]


def test_a_form_with_a_fault_changes_nothing_not_even_the_name(application: Application) -> None:
    agent = made(application)

    with pytest.raises(InvalidInput, match="template is wrong"):
        application.agents.save(
            LOCAL,
            agent.id,
            name="Host",
            description="",
            config=config(prompt="Hello {{name"),
            note="",
            expected_revision=agent.revision,
        )

    assert application.agents.get(LOCAL, agent.id) == agent


def test_whoever_saves_second_over_the_same_state_is_told(application: Application) -> None:
    agents = application.agents
    agent = made(application)
    theirs = agents.edit(
        LOCAL, agent.id, config=config(max_tokens=1), note="Theirs", expected_revision=agent.revision
    )

    with pytest.raises(Conflict, match="changed by somebody else"):
        agents.edit(
            LOCAL, agent.id, config=config(max_tokens=2), note="Mine", expected_revision=agent.revision
        )
    with pytest.raises(Conflict, match="changed by somebody else"):
        agents.describe(LOCAL, agent.id, name="Mine", description="", expected_revision=agent.revision)

    assert agents.get(LOCAL, agent.id) == theirs


def test_restoring_adds_a_version_and_rewrites_nothing(application: Application) -> None:
    agents = application.agents
    agent = made(application, max_tokens=1)
    edited = agents.edit(
        LOCAL, agent.id, config=config(max_tokens=2), note="", expected_revision=agent.revision
    )

    restored = agents.restore(LOCAL, agent.id, number=1, expected_revision=edited.revision)

    assert (restored.version.number, restored.version.note) == (3, "Restored version 1")
    assert restored.version.config == agent.version.config
    assert [version.number for version in agents.versions(LOCAL, agent.id)] == [3, 2, 1]
    with pytest.raises(NotFound, match="no version 7"):
        agents.restore(LOCAL, agent.id, number=7, expected_revision=restored.revision)


def test_a_clone_has_the_configuration_and_a_history_of_its_own(application: Application) -> None:
    agent = made(application, max_tokens=3)

    copy = application.agents.clone(LOCAL, agent.id, name="Greeter (copy)")

    assert copy.id != agent.id
    assert copy.version.config == agent.version.config
    assert (copy.version.number, copy.version.note) == (1, "Cloned from Greeter, version 1")
    with pytest.raises(Conflict, match="Greeter"):
        application.agents.clone(LOCAL, agent.id, name="Greeter")


def test_an_archived_agent_is_in_no_list_and_comes_back(application: Application) -> None:
    agents = application.agents
    agent = made(application)

    agents.archive(LOCAL, agent.id)

    assert agents.list(LOCAL) == []
    assert [archived.name for archived in agents.list(LOCAL, archived=True)] == ["Greeter"]
    with pytest.raises(Conflict, match="archived"):
        made(application)
    assert agents.unarchive(LOCAL, agent.id).archived_at is None
    assert [back.id for back in agents.list(LOCAL)] == [agent.id]


def test_an_agent_is_found_by_name_or_id_and_the_error_names_what_there_is(application: Application) -> None:
    agent = made(application)

    assert application.agents.find(LOCAL, "Greeter") == agent
    assert application.agents.find(LOCAL, str(agent.id)) == agent
    with pytest.raises(NotFound, match=r"No agent is called 'Gretter'\. There are: Greeter"):
        application.agents.find(LOCAL, "Gretter")
    with pytest.raises(NotFound):
        application.agents.get(OTHERS, agent.id)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"provider": "OPENAI", "model_name": "o3", "temperature": 0.5}, "o3 does not take temperature"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"prompt": "Hello {{name"}, "template is wrong in line 1"),
        ({"system_prompt": "{% if %}"}, "template is wrong"),
    ],
)
def test_what_no_run_could_be_made_of_is_not_saved(
    application: Application, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        application.agents.create(LOCAL, name="Greeter", config=config(**fields))

    assert application.agents.list(LOCAL) == []


def test_a_provider_that_is_not_registered_is_named(application: Application) -> None:
    with pytest.raises(UnknownProvider, match="openai"):
        made(application, provider="openai")


@pytest.mark.parametrize(
    ("name", "words"), [("  ", "Give the agent a name"), ("x" * 101, "at most 100"), ("a\nb", "one line")]
)
def test_a_name_is_one_line_of_at_most_100_characters(
    application: Application, name: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        made(application, name)


def test_what_differs_between_versions_names_the_credential(application: Application) -> None:
    agents = application.agents
    key = application.credentials.add(
        LOCAL, name="Production", provider="OPENAI", secret="sk-test-1234567890"
    )
    agent = application.agents.create(
        LOCAL, name="Reviewer", config=config(provider="OPENAI", model_name="gpt-4o", prompt="Be kind")
    )
    edited = agents.edit(
        LOCAL,
        agent.id,
        config=config(provider="OPENAI", model_name="gpt-4o", prompt="Be strict", credential_id=str(key.id)),
        note="",
        expected_revision=agent.revision,
    )

    diff = agents.diff(LOCAL, agent.version, edited.version)

    assert [(f.label, f.old, f.new) for f in diff.fields if f.changed] == [("Credential", None, "Production")]
    assert [text.label for text in diff.texts if not text.diff.same] == ["Prompt"]
    application.credentials.delete(LOCAL, key.id)
    gone = agents.diff(LOCAL, agent.version, edited.version)
    assert [f.new for f in gone.fields if f.changed] == ["(deleted)"]


def test_activity_counts_the_days_and_finds_the_last_run_of_all_time(application: Application) -> None:
    busy, idle = made(application, "Busy"), made(application, "Idle")
    now = utc_now()
    store_run(application, at=now - timedelta(days=40), agent=busy, cost_nanousd=9_000)
    store_run(application, at=now - timedelta(days=2), agent=busy, cost_nanousd=1_000)
    store_run(application, at=now - timedelta(days=1), agent=busy, cost_nanousd=None)
    last = store_run(application, at=now - timedelta(hours=1), agent=busy, status=RunStatus.FAILED)

    activity = application.agents.activity(LOCAL, [busy.id, idle.id], now=now)

    figures = activity[busy.id].figures
    assert (figures.runs, figures.failed, figures.unpriced_runs, figures.cost_nanousd) == (3, 1, 1, 1_001_000)
    found = activity[busy.id].last_run
    assert found is not None
    assert found.id == last
    assert (activity[idle.id].figures.runs, activity[idle.id].last_run) == (0, None)


# YAML


def test_an_export_imported_elsewhere_is_the_same_agents(application: Application) -> None:
    seed_demo_agents(application)
    made(application, system_prompt="Line one\n  Line two: {{x}}\n\nÜber 日本\n", context={"a": [1, None]})
    before = application.agents.list(LOCAL)

    text = application.agents.export_yaml(LOCAL)
    report = application.agents.import_yaml(OTHERS, text)

    assert report.created == tuple(agent.name for agent in before)
    after = application.agents.list(OTHERS)
    assert [(a.name, a.description, a.version.config) for a in after] == [
        (a.name, a.description, a.version.config) for a in before
    ]
    assert application.agents.export_yaml(OTHERS) == text
    assert application.agents.import_yaml(OTHERS, text).unchanged == report.created


def test_an_export_reads_well_and_names_the_credential_without_its_key(application: Application) -> None:
    key = application.credentials.add(
        LOCAL, name="Production", provider="OPENAI", secret="sk-canary-1234567890"
    )
    application.agents.create(
        LOCAL,
        name="Reviewer",
        config=config(
            provider="OPENAI", model_name="gpt-4o", system_prompt="One\nTwo", credential_id=str(key.id)
        ),
    )

    text = application.agents.export_yaml(LOCAL)

    assert "    system_prompt: |-\n      One\n      Two\n" in text
    assert "  credential: Production\n" in text
    assert "canary" not in text
    assert str(key.id) not in text
    assert yaml.safe_load(text)["format"] == EXPORT_FORMAT


def test_an_export_of_some_holds_archived_ones_too(application: Application) -> None:
    made(application, "One")
    two = made(application, "Two")
    application.agents.archive(LOCAL, two.id)

    exported = yaml.safe_load(application.agents.export_yaml(LOCAL, [two.id]))

    assert [entry["name"] for entry in exported["agents"]] == ["Two"]


def file_of(*entries: dict[str, Any]) -> str:
    return yaml.safe_dump({"format": EXPORT_FORMAT, "agents": list(entries)})


def entry(name: str, *, description: str = "", **fields: Any) -> dict[str, Any]:
    settings = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello {{name}}", **fields}
    return {"name": name, "description": description, "config": settings}


def test_a_plan_says_what_an_import_would_do_and_does_nothing(application: Application) -> None:
    agents = application.agents
    made(application, "Same")
    made(application, "Changed")
    made(application, "Described")
    gone = made(application, "Archived")
    agents.archive(LOCAL, gone.id)
    before = [*agents.list(LOCAL), *agents.list(LOCAL, archived=True)]

    plan = agents.plan_import(
        LOCAL,
        file_of(
            entry("New"),
            entry("Same"),
            entry("Changed", max_tokens=7),
            entry("Described", description="Now with a text"),
            entry("Archived"),
        ),
    )

    assert [(item.entry.name, item.action.value, item.unarchives) for item in plan] == [
        ("New", "create", False),
        ("Same", "unchanged", False),
        ("Changed", "update", False),
        ("Described", "update", False),
        ("Archived", "update", True),
    ]
    assert [*agents.list(LOCAL), *agents.list(LOCAL, archived=True)] == before


def test_an_import_does_what_its_plan_says(application: Application) -> None:
    agents = application.agents
    made(application, "Same")
    made(application, "Changed")
    gone = made(application, "Archived")
    agents.archive(LOCAL, gone.id)

    report = agents.import_yaml(
        LOCAL,
        file_of(
            entry("New"),
            entry("Same"),
            entry("Changed", description="Told", max_tokens=7),
            entry("Archived", max_tokens=8),
        ),
    )

    assert (report.created, report.updated, report.unchanged, report.failed) == (
        ("New",),
        ("Changed", "Archived"),
        ("Same",),
        (),
    )
    found = {agent.name: agent for agent in agents.list(LOCAL)}
    assert [(name, found[name].version.number) for name in sorted(found)] == [
        ("Archived", 2),
        ("Changed", 2),
        ("New", 1),
        ("Same", 1),
    ]
    assert (found["Changed"].description, found["Changed"].version.note) == ("Told", "Imported")


def test_an_agent_that_changes_during_an_import_is_reported_and_the_others_are_imported(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = application.agents
    raced = made(application, "Raced")
    text = file_of(entry("Raced", max_tokens=1), entry("Calm"))
    plan = agents.plan_import(LOCAL, text)
    assert plan[0].action is ImportAction.UPDATE
    agents.edit(LOCAL, raced.id, config=config(max_tokens=2), note="", expected_revision=raced.revision)
    # The plan that the import works by was made a moment before the other's change.
    monkeypatch.setattr(agents, "plan_import", lambda principal, text: plan)

    report = agents.import_yaml(LOCAL, text)

    assert report.created == ("Calm",)
    assert [name for name, _ in report.failed] == ["Raced"]
    assert agents.get(LOCAL, raced.id).version.config["max_tokens"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "This is not YAML: line 1, column 2"),
        ("- just\n- a list", "must have 'format: agent-launcher/agents/v1'"),
        ("format: agent-launcher/agents/v9\nagents: [{}]", "must have 'format"),
        (file_of(), "must have 'format"),
        (file_of(entry("Fine"), {"name": "No config"}), "Agent 2: config: is missing"),
        (file_of(entry("Fine"), {**entry("Extra"), "colour": "red"}), "Agent 2: unknown field .colour"),
        (file_of(entry("Fine"), entry("")), "Agent 2: Give the agent a name"),
        (file_of(entry("Fine"), entry("Hot", temperature=7)), r"Agent 2 \(Hot\): .*temperature"),
        (file_of(entry("Fine"), entry("Odd", sampling="x")), r"Agent 2 \(Odd\): .*sampling"),
        (file_of(entry("Fine"), entry("Where", provider="NOWHERE")), r"Agent 2 \(Where\): Invalid provider"),
        (file_of(entry("Fine"), entry("Broken", prompt="{{")), r"Agent 2 \(Broken\): .*template is wrong"),
        (
            file_of(entry("Fine"), {**entry("Keyed"), "credential": "Production"}),
            r"Agent 2 \(Keyed\): it names the credential 'Production', which does not exist here",
        ),
        (file_of(entry("Twice"), entry("Twice")), "names the same agent twice: Twice"),
    ],
)
def test_a_file_with_a_fault_names_it_and_changes_nothing(
    application: Application, text: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        application.agents.import_yaml(LOCAL, text)

    assert str(caught.value).count("Nothing was imported.") == 1
    assert application.agents.list(LOCAL) == []


# The vendor


def openai_config(vendor: VendorServer) -> dict[str, Any]:
    return {"provider": "OPENAI", "base_url": f"{vendor.url}/v1"}


def test_a_connection_is_tested_with_the_only_stored_key(
    application: Application, vendor: VendorServer
) -> None:
    added = application.credentials.add(
        LOCAL, name="Production", provider="OPENAI", secret="sk-test-1234567890", base_url=f"{vendor.url}/v1"
    )
    vendor.will(OpenAIDialect().models(["gpt-4o", "gpt-5.4"]))

    result = application.agents.test_connection(LOCAL, provider="OPENAI", base_url=f"{vendor.url}/v1")

    assert [model.name for model in result.models] == ["gpt-4o", "gpt-5.4"]
    assert result.key.label == "the stored credential 'Production' (ends in 7890)"
    assert result.key.credential_id == added.id
    assert result.seconds > 0
    (request,) = vendor.requests
    assert request.headers["authorization"] == "Bearer sk-test-1234567890"


def test_the_demo_needs_no_key(application: Application) -> None:
    result = application.agents.test_connection(LOCAL, provider="DEMO")

    assert result.key.label == "no key needed"
    assert "demo-echo" in [model.name for model in result.models]


def test_without_a_key_the_error_says_what_to_do(application: Application) -> None:
    with pytest.raises(MissingApiKey, match="API key required for OPENAI"):
        application.agents.test_connection(LOCAL, provider="OPENAI")


def test_a_key_that_is_refused_and_a_server_that_is_not_there_are_told_apart(
    application: Application, vendor: VendorServer, nobody_url: str
) -> None:
    application.credentials.add(LOCAL, name="Old", provider="OPENAI", secret="sk-test-1234567890")
    refusal = {
        "error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}
    }
    vendor.will(Reply.json(refusal, status=401))

    with pytest.raises(AuthenticationFailed):
        application.agents.test_connection(LOCAL, **openai_config(vendor))
    with pytest.raises(ProviderUnavailable):
        application.agents.test_connection(LOCAL, provider="OPENAI", base_url=f"{nobody_url}/v1")


def test_a_run_of_an_agent_uses_the_credential_that_it_names(
    application: Application, vendor: VendorServer
) -> None:
    for name in ("First", "Second"):
        added = application.credentials.add(
            LOCAL, name=name, provider="OPENAI", secret=f"sk-test-{name}-1234567890"
        )
    vendor.will(OpenAIDialect().whole(Answer()))
    agent = application.agents.create(
        LOCAL,
        name="Keyed",
        config=config(**openai_config(vendor), model_name="gpt-4o", prompt="Hi", credential_id=str(added.id)),
    )

    outcome = application.runs.run(LOCAL, RunSpec(config=config_of(agent.version)))

    assert outcome.status is RunStatus.SUCCEEDED
    assert vendor.requests[0].headers["authorization"] == "Bearer sk-test-Second-1234567890"
