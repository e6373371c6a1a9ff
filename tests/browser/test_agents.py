"""Agents in a real browser: made, edited, compared, restored, cloned, archived, taken to a file and back."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from core.providers.rows_openai import OPENAI
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.seeding import seed_demo_agents
from core.storage.records import Trigger
from tests.support.app_server import AppServer
from tests.support.browser import VIEWPORT_1920, choose, choose_action, downloaded, drawn
from tests.support.browser import write as write_into
from tests.support.stored_runs import opened_application


@dataclass(frozen=True)
class Installation:
    """A server with agents; the ids by their names."""

    server: AppServer
    agents: dict[str, UUID]

    def url(self, path: str = "/agents") -> str:
        return self.server.url + path

    def agent_url(self, name: str) -> str:
        return self.url(f"/agent?id={self.agents[name]}")


NAMES = ("Edited", "Contested", "Renamed", "Copied", "Retired", "Kept", "Typed")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    server = AppServer(tmp_path_factory.mktemp("agents"))
    agents: dict[str, UUID] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        patch.chdir(server.folder)
        with opened_application() as application:
            seed_demo_agents(application)
            for name in NAMES:
                config = AgentConfig(
                    provider="DEMO",
                    model_name="demo-echo",
                    system_prompt="Answer in five sentences.",
                    prompt="Hello {{name}}",
                    max_tokens=100,
                )
                made = application.agents.create(LOCAL, name=name, description=f"{name} one", config=config)
                agents[name] = made.id
            support = next(a for a in application.agents.list(LOCAL) if "Support" in a.name)
            agents[support.name] = support.id
            spec = RunSpec(
                config=config_of(support.version),
                agent_id=support.id,
                agent_version_id=support.version.id,
                agent_name=support.name,
                trigger=Trigger.PLAYGROUND,
            )
            application.runs.run(LOCAL, spec)
    with server:
        yield Installation(server, agents)


def card(page: Page, name: str) -> Locator:
    cards = page.locator(".st-key-agent-cards > div")
    return cards.filter(has=page.get_by_role("heading", name=name, exact=True))


def write(page: Page, field: str, text: str) -> None:
    write_into(page.get_by_role("textbox", name=field, exact=True), text)


def save_bar(page: Page) -> Locator:
    return page.get_by_test_id("stBottomBlockContainer")


# The list


@pytest.mark.parametrize("dark", [False, True])
def test_the_list_shows_what_each_agent_asks_and_did_lately(
    installed: Installation, open_page: Callable[..., Page], dark: bool
) -> None:
    page = open_page(dark=dark, viewport=VIEWPORT_1920)
    page.goto(installed.url())
    support = card(page, "Support reply (demo)")
    expect(support).to_contain_text("Offline demo · demo-echo · v1")
    expect(support).to_contain_text("Runs, 7 days")
    expect(support).to_contain_text("Succeeded, just now")
    expect(card(page, "Kept")).to_contain_text("never")


def test_agents_are_found_by_words_and_the_search_is_in_the_address(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.url())
    write(page, "Search", "kept one")
    expect(card(page, "Kept")).to_be_visible()
    expect(card(page, "Support reply (demo)")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"search=kept(\+|%20)one"))
    write(page, "Search", "nothing like it")
    expect(page.get_by_text("No agent matches")).to_be_visible()


def test_an_agent_is_tried_in_the_playground(installed: Installation, page: Page) -> None:
    page.goto(installed.url())
    card(page, "Kept").get_by_role("button", name="Playground").click()
    expect(page).to_have_url(re.compile(f"/playground.*{installed.agents['Kept']}"))
    expect(page.get_by_role("heading", name="Playground", exact=True)).to_be_visible()


# Making and editing


def test_an_agent_is_made_edited_compared_and_restored(installed: Installation, page: Page) -> None:
    page.goto(installed.url())
    page.get_by_role("button", name="New agent").click()
    bar = save_bar(page)
    expect(bar.get_by_text("Give the agent a name.")).to_be_visible()
    expect(bar.get_by_role("button", name="Create agent")).to_be_disabled()
    write(page, "Name", "Contract review")
    write(page, "Description", "Reads a contract.")
    write(page, "System prompt", "You are a lawyer.\nBe careful.")
    write(page, "Prompt", "Review {{contract}}")
    expect(page.get_by_role("textbox", name="contract")).to_be_visible()
    bar.get_by_role("button", name="Create agent").click()
    expect(page.get_by_text("Contract review was created.")).to_be_visible()
    expect(page).to_have_url(re.compile("/agent[?]id=[0-9a-f-]{36}"))
    expect(page.get_by_role("heading", name="Contract review")).to_be_visible()

    write(page, "System prompt", "You are a strict lawyer.\nBe careful.")
    expect(bar.get_by_text("Unsaved changes")).to_be_visible()
    expect(bar.get_by_text("System prompt")).to_be_visible()
    write_into(page.get_by_placeholder("Note: why, in a few words"), "Stricter")
    bar.get_by_role("button", name="Save version 2").click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    expect(page.get_by_text("Unsaved changes")).to_have_count(0)

    page.get_by_role("tab", name="Versions").click()
    expect(page.get_by_text("What changed")).to_be_visible()
    expect(page.get_by_text("Stricter").first).to_be_visible()
    marked = page.locator(".stMarkdownColoredBackground")
    expect(marked.filter(has_text="strict")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore version 1").click()
    expect(page.get_by_text("Version 1 is current again, as version 3.")).to_be_visible()
    expect(page.get_by_text("Restored version 1").first).to_be_visible()
    page.get_by_role("tab", name="Configuration").click()
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("You are a lawyer.\nBe careful.")


def test_a_name_that_is_taken_is_refused_and_nothing_typed_is_lost(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.agent_url("Renamed"))
    write(page, "Name", "Kept")
    write(page, "Prompt", "A long prompt that took an hour")
    save_bar(page).get_by_role("button", name="Save version 2").click()
    expect(page.get_by_text("It was not saved")).to_be_visible()
    expect(page.get_by_text("There is an agent named", exact=False)).to_be_visible()
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value(
        "A long prompt that took an hour"
    )
    write(page, "Name", "Renamed twice")
    save_bar(page).get_by_role("button", name="Save version 2").click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    expect(page.get_by_role("heading", name="Renamed twice")).to_be_visible()


def test_what_is_typed_outlives_other_tabs_and_other_pages(installed: Installation, page: Page) -> None:
    page.goto(installed.agent_url("Typed"))
    write(page, "Prompt", "Not saved yet")
    write_into(page.get_by_role("spinbutton", name="Max tokens"), "77")
    expect(save_bar(page).get_by_text("Max tokens")).to_be_visible()
    expect(save_bar(page).get_by_text("Prompt")).to_be_visible()
    page.get_by_role("tab", name="Versions").click()
    expect(page.get_by_text("What changed")).to_be_visible()
    page.get_by_role("tab", name="Configuration").click()
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("Not saved yet")
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    page.get_by_role("link", name="Agents", exact=True).click()
    card(page, "Typed").get_by_role("button", name="Edit").click()
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("Not saved yet")
    expect(page.get_by_role("spinbutton", name="Max tokens")).to_have_value("77")
    save_bar(page).get_by_role("button", name="Discard").click()
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("Hello {{name}}")
    expect(page.get_by_role("spinbutton", name="Max tokens")).to_have_value("100")


def test_two_who_edit_at_once_both_keep_what_they_wrote(
    installed: Installation, open_page: Callable[..., Page]
) -> None:
    mine, theirs = open_page(), open_page()
    for page in (mine, theirs):
        page.goto(installed.agent_url("Contested"))
        expect(page.get_by_role("textbox", name="System prompt")).to_be_visible()
    write(mine, "System prompt", "Answer in three sentences.")
    write(theirs, "System prompt", "Answer in nine sentences.")
    write_into(theirs.get_by_placeholder("Note: why, in a few words"), "Theirs")
    save_bar(theirs).get_by_role("button", name="Save version 2").click()
    expect(theirs.get_by_text("Version 2 is saved.")).to_be_visible()

    save_bar(mine).get_by_role("button", name="Save version 2").click()
    expect(mine.get_by_text("Somebody else has changed this agent since you began")).to_be_visible()
    expect(mine.get_by_text("Theirs", exact=False).first).to_be_visible()
    marked = mine.locator(".stMarkdownColoredBackground")
    expect(marked.filter(has_text="nine")).to_be_visible()
    expect(marked.filter(has_text="three")).to_be_visible()
    expect(mine.get_by_role("textbox", name="System prompt")).to_have_value("Answer in three sentences.")
    mine.get_by_role("button", name="Save mine as version 3").click()
    expect(mine.get_by_text("Version 3 is saved.")).to_be_visible()

    write(theirs, "System prompt", "Answer in ten sentences.")
    expect(theirs.get_by_text("Somebody else has changed this agent since you began")).to_be_visible()
    theirs.get_by_role("button", name="Take theirs and drop mine").click()
    expect(theirs.get_by_text("Somebody else has changed this agent since you began")).to_be_hidden()
    expect(theirs.get_by_role("textbox", name="System prompt")).to_have_value("Answer in three sentences.")
    theirs.get_by_role("tab", name="Versions").click()
    for version in ("Version 1", "Version 2", "Version 3"):
        expect(theirs.get_by_text(version, exact=True).first).to_be_visible()


def test_faults_are_said_before_saving(installed: Installation, page: Page) -> None:
    page.goto(installed.agent_url("Edited"))
    bar = save_bar(page)
    write(page, "Prompt", "Hello {{name")
    expect(bar.get_by_text("template is wrong in line 1", exact=False)).to_be_visible()
    expect(bar.get_by_role("button", name="Save version 2")).to_be_disabled()
    write(page, "Prompt", "Hello {{name}}, {{other}}")
    expect(bar.get_by_role("button", name="Save version 2")).to_be_enabled()
    expect(page.get_by_role("textbox", name="other")).to_be_visible()
    page.get_by_text("Context and form of the answer").click()
    write(page, "Context (JSON)", '{"tier": gold}')
    expect(bar.get_by_text("Line 1, column 10", exact=False)).to_be_visible()
    write(page, "Context (JSON)", '{"tier": "gold"}')
    expect(bar.get_by_role("button", name="Save version 2")).to_be_enabled()
    write(page, "other", "a standing value")
    bar.get_by_role("button", name="Save version 2").click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("textbox", name="other")).to_have_value("a standing value")


# Model and connection


def test_a_model_has_its_price_and_a_parameter_that_it_does_not_take_is_not_offered(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.url("/agent?id=new"))
    expect(page.get_by_text("Offline demo: no key, no network, no cost.")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Temperature")).to_be_visible()
    choose(page, "Provider", "OpenAI")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(OPENAI.default_model)
    choose(page, "Model", "gpt-4o-mini", typed=True)
    expect(page.get_by_text("US dollars per million tokens", exact=False)).to_be_visible()
    expect(page.get_by_text("128 k tokens")).to_be_visible()
    choose(page, "Model", "o3", typed=True)
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_count(0)
    choose(page, "Model", "a-model-of-ours", new=True)
    expect(page.get_by_text("No price is known for this model", exact=False)).to_be_visible()


def test_a_connection_is_tested_and_its_error_says_what_to_do(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/agent?id=new"))
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("Offline demo answers")).to_be_visible()
    expect(page.get_by_text("models for no key needed", exact=False)).to_be_visible()
    choose(page, "Provider", "OpenAI")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("There is no API key for this provider")).to_be_visible()
    expect(page.get_by_text("API key required for OPENAI", exact=False)).to_be_visible()
    page.get_by_role("link", name="Open the credentials").click()
    expect(page).to_have_url(re.compile("/settings"))


# Clone, archive, YAML


def test_an_agent_is_cloned(installed: Installation, page: Page) -> None:
    page.goto(installed.agent_url("Copied"))
    choose_action(page, page.get_by_role("button", name="More"), "Clone")
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_role("textbox", name="Name")
    expect(name).to_have_value("Copied (copy)")
    write_into(name, "Kept")
    dialog.get_by_role("button", name="Clone").click()
    expect(dialog.get_by_text("There is an agent named", exact=False)).to_be_visible()
    write_into(name, "Copied again")
    dialog.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", name="Copied again")).to_be_visible()
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Answer in five sentences.")


def test_an_archived_agent_leaves_the_list_and_comes_back(installed: Installation, page: Page) -> None:
    page.goto(installed.agent_url("Retired"))
    choose_action(page, page.get_by_role("button", name="More"), "Archive")
    expect(page.get_by_text("Retired is archived", exact=False)).to_be_visible()
    page.get_by_role("link", name="Agents", exact=True).first.click()
    expect(card(page, "Kept")).to_be_visible()
    expect(card(page, "Retired")).to_have_count(0)
    drawn(page).get_by_text("Archived", exact=True).click()
    expect(page).to_have_url(re.compile("archived=true"))
    card(page, "Retired").get_by_role("button", name="Bring back").click()
    expect(page.get_by_text("Nothing is archived")).to_be_visible()
    page.get_by_text("Archived", exact=True).click()
    expect(card(page, "Retired")).to_be_visible()


def test_agents_go_to_a_file_and_come_back_changed(
    installed: Installation, page: Page, tmp_path: Path
) -> None:
    page.goto(installed.agent_url("Kept"))
    export = downloaded(page, page.get_by_role("button", name="Export"))
    file = tmp_path / export.suggested_filename
    export.save_as(file)
    assert file.name == "kept.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    (entry,) = document["agents"]
    assert entry["name"] == "Kept"
    entry["config"]["system_prompt"] = "Answer in two sentences."
    document["agents"].append({**entry, "name": "From a file", "description": "New"})
    file.write_text(yaml.safe_dump(document), encoding="utf-8")

    page.goto(installed.url())
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog.get_by_text("New version 2")).to_be_visible()
    expect(dialog.get_by_text("New agent")).to_be_visible()
    dialog.get_by_text("What changes").click()
    marked = dialog.locator(".stMarkdownColoredBackground")
    expect(marked.filter(has_text="five")).to_be_visible()
    expect(marked.filter(has_text="two")).to_be_visible()
    dialog.get_by_role("button", name="Import 2 agents").click()
    expect(page.get_by_text("Import: 1 created, 1 updated.")).to_be_visible()
    expect(card(page, "Kept")).to_contain_text("v2")
    expect(card(page, "From a file")).to_contain_text("v1")


def test_a_file_that_is_wrong_says_where_and_changes_nothing(installed: Installation, page: Page) -> None:
    page.goto(installed.url())
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Text").click()
    text = "format: agent-launcher/agents/v1\nagents:\n- name: Odd\n  config: {provider: NOWHERE, model_name: x}\n"
    write_into(dialog.get_by_role("textbox", name="YAML"), text)
    expect(dialog.get_by_text("This file cannot be imported")).to_be_visible()
    expect(dialog.get_by_text("Agent 1 (Odd): Invalid provider", exact=False)).to_be_visible()
    expect(dialog.get_by_role("button", name=re.compile("Import"))).to_have_count(0)


def test_an_agent_that_does_not_exist_has_a_clear_page(installed: Installation, page: Page) -> None:
    page.goto(installed.url(f"/agent?id={UUID(int=1)}"))
    expect(page.get_by_text("There is no such agent")).to_be_visible()
    page.get_by_role("link", name="All agents").click()
    expect(card(page, "Kept")).to_be_visible()


def test_the_runs_of_an_agent_are_one_click_away(installed: Installation, page: Page) -> None:
    page.goto(installed.agent_url("Support reply (demo)"))
    expect(page.get_by_test_id("stMetric").filter(has_text="Runs, 7 days")).to_contain_text("1")
    choose_action(page, page.get_by_role("button", name="More"), "See its runs")
    expect(page).to_have_url(re.compile("/runs[?].*agent=Support"))
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
