"""The playground without a browser: what is asked is what is run, and nothing typed is lost."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from core.contract import Message, utc_now
from core.errors import Conflict, StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.live_runs import LiveRun, LiveRuns
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import AgentRecord, RunDetail, RunFilter, RunStatus, Trigger
from dashboard import routes, state
from dashboard.playground.dialogs import MenuItem
from dashboard.playground.unsaved import Composed, Drafts
from tests.support.places import place_of
from tests.support.stored_runs import opened_application, store_run
from tests.support.vendor_server import Reply, VendorServer

OpenApp = Callable[..., AppTest]
PAGE = "app_pages/playground.py"
EVERY = RunFilter()


def button(app: AppTest, label: str) -> Any:
    return next(found for found in app.button if found.label == label)


def labels(app: AppTest) -> list[str]:
    return [found.label for found in app.button]


def text_area(app: AppTest, label: str) -> Any:
    return next(found for found in app.text_area if found.label == label)


def selectbox(app: AppTest, label: str, number: int = 0) -> Any:
    return [found for found in app.selectbox if found.label == label][number]


def texts(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def choose_model(app: AppTest, provider: str, model: str, column: int = 0) -> AppTest:
    selectbox(app, "Provider", column).set_value(provider).run()
    return selectbox(app, "Model", column).set_value(model).run()


def opened_with(application: Application, open_app: OpenApp, model: str) -> AppTest:
    """The page with an agent of that OpenAI model: the test runner cannot type a name that is not in the list."""
    config = AgentConfig(provider="OPENAI", model_name=model, prompt="Hello")
    agent = application.agents.create(LOCAL, name=f"Agent on {model}", config=config)
    return open_app(PAGE, agent=str(agent.id))


def settled(app: AppTest, application: Application) -> AppTest:
    """Waits for what is under way, as the page's fragment does."""
    for live in application.runs.live.under_way():
        assert live.wait(30) is not None
    return app.run()


def run(app: AppTest, application: Application) -> AppTest:
    return settled(button(app, "Run").click().run(), application)


def stored(application: Application) -> list[RunDetail]:
    """All runs, oldest first."""
    page = application.runs.page(LOCAL, EVERY)
    return [application.runs.get(LOCAL, found.id) for found in reversed(page.runs)]


def query(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


# The first visit


def test_one_click_runs_the_demo_agent_and_stores_it_with_its_cost(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "Press **Run**" in texts(app)
    assert "free (offline demo)" in texts(app)
    run(app, application)
    assert not app.exception
    (detail,) = stored(application)
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    assert detail.summary.agent_version_id == agent.version.id
    assert detail.summary.cost_nanousd == 0
    assert detail.request["system_prompt"].startswith("You answer customers of Alpine Post")
    assert detail.response is not None
    assert detail.response.split('"')[0] in texts(app)
    assert "**$0.00**" in texts(app)
    assert query(app, state.PLAYGROUND_RUNS) == str(detail.summary.id)


def test_without_agents_it_starts_with_the_projects_defaults(
    application: Application, open_app: OpenApp
) -> None:
    for agent in application.agents.list(LOCAL):
        application.agents.archive(LOCAL, agent.id)
    app = open_app(PAGE)
    assert not app.exception
    assert (selectbox(app, "Agent").value, selectbox(app, "Model").value) == ("", "demo-echo")
    assert "Before this can run" in [found.proto.title for found in app.warning]
    text_area(app, "Prompt").set_value("Hello").run()
    run(app, application)
    assert stored(application)[0].summary.agent_id is None


# What is asked


def test_variables_get_fields_as_they_are_written_and_keep_their_values(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("Compare {{a}} with {{b}}").run()
    assert [found.label for found in app.text_area][2:5] == ["product", "a", "b"]
    text_area(app, "a").set_value("tea").run()
    app = button(app, "Run").click().run()
    assert "Give a value for {{b}}" in texts(app)
    assert stored(application) == []
    text_area(app, "Prompt").set_value("Compare {{b}} and {{a}}").run()
    text_area(app, "b").set_value("coffee").run()
    run(app, application)
    assert stored(application)[0].request["prompt"] == "Compare coffee and tea"
    assert not app.error


def test_all_missing_values_are_said_at_once_and_their_fields_marked(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    text_area(app, "System prompt").set_value("Serve {{house}} and {{given}}.").run()
    text_area(app, "Prompt").set_value("{{one}} and {{two}} of {{given}}").run()
    text_area(app, "given").set_value("here").run()
    assert (
        "Variables have no value. Give values for {{one}}, {{two}} in the prompt and {{house}} in the system prompt."
    ) in texts(app)
    marked = [found.value.split("`")[1] for found in app.markdown if "needs a value" in found.value]
    assert sorted(marked) == ["house", "one", "two"]
    for name in ("one", "two"):
        text_area(app, name).set_value("x").run()
    assert "A variable has no value. Give a value for {{house}} in the system prompt." in texts(app)
    text_area(app, "house").set_value("x").run()
    assert "needs a value" not in texts(app)


def test_a_wrong_template_names_its_line_and_loses_nothing(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("Hello\n{{ oops").run()
    app = button(app, "Run").click().run()
    assert not app.exception
    assert "wrong in line 2" in texts(app)
    assert text_area(app, "Prompt").value == "Hello\n{{ oops"
    assert text_area(app, "product").value == "Alpine Post"
    assert stored(application) == []


def test_the_context_is_checked_where_it_is_typed_and_reaches_the_run(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Context (JSON)").set_value('{"a": 1,\n "b" 2}').run()
    assert texts(app).count("Line 2, column 6") >= 1
    button(app, "Run").click().run()
    assert stored(application) == []
    text_area(app, "Context (JSON)").set_value('{"a": 1}').run()
    run(app, application)
    assert stored(application)[0].request["context"] == {"a": 1}


def test_only_what_the_model_takes_is_offered_and_what_is_not_sent_is_said(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    next(found for found in app.number_input if found.label == "Temperature").set_value(0.4).run()
    choose_model(app, "OPENAI", "o3")
    assert not app.exception
    assert "Temperature" not in [found.label for found in app.number_input]
    assert "Not sent, because o3 does not take it: temperature." in texts(app)
    choose_model(app, "DEMO", "demo-echo")
    assert next(found for found in app.number_input if found.label == "Temperature").value == 0.4
    run(app, application)
    assert stored(application)[0].request["temperature"] == 0.4


def test_a_missing_key_is_said_before_the_run_with_what_it_would_cost(
    application: Application, open_app: OpenApp
) -> None:
    app = choose_model(open_app(PAGE), "OPENAI", "gpt-4o-mini")
    assert "API key required for OPENAI" in texts(app)
    assert "Before running" in texts(app)
    assert "cost unknown" not in texts(app)
    app = opened_with(application, open_app, "a-model-nobody-knows")
    assert "cost unknown: this model has no known price" in texts(app)


def test_a_key_for_another_server_is_chosen_without_an_agent_and_brings_its_server(
    application: Application, open_app: OpenApp, vendor: VendorServer
) -> None:
    vendor.otherwise(Reply.json({"error": {"message": "no"}}, status=401))
    server = f"{vendor.url}/v1"
    application.credentials.add(
        LOCAL, name="Prod", provider="OPENAI", secret="sk-abcdefgh4f2a", base_url=server
    )
    app = open_app(PAGE)
    choose_model(app, "OPENAI", "gpt-5.4-mini")
    field = selectbox(app, "Credential")
    assert field.options == [f"None chosen: Prod is for {server}", f"Prod (ends in 4f2a), {server}"]
    assert "Choose that credential, which also asks its server" in texts(app)
    assert "per million tokens" in texts(app)
    field.set_value(str(application.credentials.list(LOCAL)[0].id)).run()
    assert not app.exception
    assert f"No price is known for gpt-5.4-mini at `{server}`" in texts(app)
    assert "cost unknown: this model has no known price" in texts(app)
    assert "per million tokens" not in texts(app)
    base_url = next(found for found in app.text_input if found.label == "Base URL")
    assert base_url.placeholder == f"{server}, the credential's"
    run(app, application)
    assert vendor.last.headers["authorization"] == "Bearer sk-abcdefgh4f2a"
    # As it was typed: the credential, and no base URL of its own.
    application.runs.live = LiveRuns()
    other = open_app(PAGE, runs=query(app, state.PLAYGROUND_RUNS) or "")
    assert selectbox(other, "Credential").value == str(application.credentials.list(LOCAL)[0].id)
    assert next(found for found in other.text_input if found.label == "Base URL").value == ""


def test_tokens_of_what_was_never_sent_are_none_and_of_what_may_have_been_unknown(
    application: Application, open_app: OpenApp, vendor: VendorServer
) -> None:
    closed = "http://127.0.0.1:9"
    config = AgentConfig(provider="OLLAMA", model_name="gemma4", prompt="Hello", base_url=closed)
    agent = application.agents.create(LOCAL, name="Nobody there", config=config)
    app = run(open_app(PAGE, agent=str(agent.id)), application)
    assert ":small[:gray[Tokens in]]  \n**\u2013**" in texts(app)
    assert ":small[:gray[Tokens out]]  \n**\u2013**" in texts(app)
    assert "tokens/s" not in texts(app)
    vendor.otherwise(Reply.json({"error": "slow"}, status=504))
    config = config.model_copy(update={"base_url": vendor.url})
    agent = application.agents.create(LOCAL, name="Somebody", config=config)
    app = run(open_app(PAGE, agent=str(agent.id)), application)
    assert ":small[:gray[Tokens in]]  \n**unknown**" in texts(app)
    # The run's page says the same, and each attempt of it.
    for found, said in zip(stored(application), ("\u2013", "unknown"), strict=True):
        page = open_app()
        page.query_params["id"] = str(found.summary.id)
        page.switch_page("app_pages/run_detail.py").run()
        figures = {metric.label: metric.value for metric in page.metric}
        assert (figures["Tokens in"], figures["Tokens out"]) == (said, said)
        assert set(page.table[0].value["Tokens in / out"]) == {said}
        assert list(page.table[1].value["Tokens"])[:2] == [said, said]


def test_an_answer_says_so_when_another_model_was_chosen_since(
    application: Application, open_app: OpenApp
) -> None:
    app = run(open_app(PAGE), application)
    assert "run before the change" not in texts(app)
    choose_model(app, "DEMO", "demo-slow")
    assert "The answer of demo-echo, run before the change" in texts(app)


def test_files_go_along_and_are_refused_by_name(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.file_uploader[0].set_value([("dot.png", b"\x89PNG picture", "image/png")]).run()
    run(app, application)
    (attachment,) = stored(application)[0].request["attachments"]
    assert (attachment["name"], attachment["media_type"]) == ("dot.png", "image/png")
    choose_model(app, "OPENAI", "gpt-3.5-turbo")
    assert "The model gpt-3.5-turbo does not take images" in texts(app)


def test_files_of_a_type_that_only_this_vendor_does_not_read_are_refused_by_type(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    del application
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-that-is-never-sent")
    app = open_app(PAGE)
    app.file_uploader[0].set_value([("dot.gif", b"GIF89a", "image/gif")]).run()
    selectbox(app, "Provider").set_value("GEMINI").run()
    assert "The model gemini-3.8-flash does not take image/gif images" in texts(app)
    assert "The chosen model reads png, jpg, jpeg, webp and pdf files." in texts(app)


def test_files_stay_when_another_model_reads_other_ones(open_app: OpenApp) -> None:
    app = choose_model(open_app(PAGE), "OPENAI", "gpt-4o")
    files = [("dot.png", b"\x89PNG picture", "image/png"), ("terms.pdf", b"%PDF terms", "application/pdf")]
    app.file_uploader[0].set_value(files).run()
    choose_model(app, "OPENAI", "gpt-3.5-turbo")
    assert "does not take images. Remove dot.png and terms.pdf, or choose another model." in texts(app)
    assert not app.file_uploader[0].proto.disabled, "they can be taken away"
    choose_model(app, "DEMO", "demo-echo")
    choose_model(app, "OPENAI", "gpt-4o")
    assert [file.name for file in app.file_uploader[0].value] == ["dot.png", "terms.pdf"]
    assert "does not take" not in "".join(str(found.value) for found in app.warning)


def test_only_the_efforts_that_the_model_knows_are_offered(
    application: Application, open_app: OpenApp
) -> None:
    del application
    app = open_app(PAGE)
    choose_model(app, "GEMINI", "gemini-3.8-flash")
    efforts = selectbox(app, "Reasoning effort")
    assert efforts.options == ["low", "medium", "high"]
    efforts.set_value("low").run()
    # What was chosen is neither dropped in silence nor sent in silence.
    choose_model(app, "GEMINI", "gemini-3-pro-preview")
    assert selectbox(app, "Reasoning effort").value == "low"
    choose_model(app, "GEMINI", "gemini-3.8-flash")
    selectbox(app, "Reasoning effort").set_value("medium").run()
    choose_model(app, "GEMINI", "gemini-3-pro-preview")
    efforts = selectbox(app, "Reasoning effort")
    assert efforts.value == "medium"
    assert efforts.options == ["low", "high", "medium (not for this model)"]


# The agent that it is of


def test_choosing_an_agent_brings_its_texts_but_not_over_what_was_typed(
    application: Application, open_app: OpenApp
) -> None:
    notes = application.agents.find(LOCAL, "Release notes (demo)")
    app = open_app(PAGE)
    selectbox(app, "Agent").set_value(str(notes.id)).run()
    assert text_area(app, "Prompt").value == "Commits: {{commits}}"
    assert text_area(app, "commits").value.startswith("fix time zone")
    text_area(app, "Prompt").set_value("My own {{commits}}").run()
    support = application.agents.find(LOCAL, "Support reply (demo)")
    selectbox(app, "Agent").set_value(str(support.id)).run()
    assert text_area(app, "Prompt").value == "My own {{commits}}"
    button(app, "Use the agent's prompt").click().run()
    assert text_area(app, "Prompt").value.startswith("A customer writes")


def test_a_run_counts_for_a_version_only_as_long_as_it_is_that_version(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "System prompt").set_value("Be brief, {{product}}.").run()
    assert "Differs from version 1" in texts(app)
    run(app, application)
    summary = stored(application)[0].summary
    assert summary.agent_name == "Support reply (demo)"
    assert summary.agent_version_id is None
    button(app, "Undo").click().run()
    assert "Differs" not in texts(app)
    assert text_area(app, "System prompt").value.startswith("You answer customers")


def test_an_older_version_can_be_run(application: Application, open_app: OpenApp) -> None:
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    first = agent.version
    config = AgentConfig.parse({**first.config, "system_prompt": "Changed."})
    application.agents.edit(LOCAL, agent.id, config=config, note="", expected_revision=agent.revision)
    app = open_app(PAGE)
    assert text_area(app, "System prompt").value == "Changed."
    selectbox(app, "Version").set_value(1).run()
    assert text_area(app, "System prompt").value.startswith("You answer customers")
    run(app, application)
    assert stored(application)[0].summary.agent_version_id == first.id


def test_an_agent_opens_by_its_address(application: Application, open_app: OpenApp) -> None:
    notes = application.agents.find(LOCAL, "Release notes (demo)")
    app = open_app(PAGE, agent=str(notes.id))
    assert selectbox(app, "Agent").value == str(notes.id)
    assert selectbox(app, "Model").value == "demo-slow"
    gone = open_app(PAGE, agent="nonsense")
    assert "does not exist here" in texts(gone)
    assert not gone.exception


def test_a_chat_agent_opens_as_a_chat(application: Application, open_app: OpenApp) -> None:
    config = AgentConfig(provider="DEMO", model_name="demo-echo", agent_type="chat", system_prompt="Be kind.")
    agent = application.agents.create(LOCAL, name="Companion", config=config)
    app = open_app(PAGE, agent=str(agent.id))
    assert len(app.chat_input) == 1
    ask(app, application, "Hello")
    summary = stored(application)[0].summary
    assert (summary.agent_name, summary.agent_version_id) == ("Companion", agent.version.id)


# Saving


@pytest.mark.parametrize("kept", [False, True])
def test_saving_a_version_keeps_the_values_of_the_variables_only_if_it_is_asked_to(
    application: Application, open_app: OpenApp, *, kept: bool
) -> None:
    before = application.agents.find(LOCAL, "Support reply (demo)").version.config["variables"]
    app = open_app(PAGE)
    text_area(app, "product").set_value("Summit Bank").run()
    text_area(app, "System prompt").set_value("Serve {{product}}.").run()
    app.menu_button[0].click(MenuItem.SAVE_VERSION).run()
    assert not app.exception
    (choice,) = app.checkbox
    assert (choice.label, choice.value) == ("Keep the present value of product", False)
    if kept:
        choice.check()
    next(found for found in app.text_input if found.label == "Note").set_value("Shorter")
    button(app, "Save version").click().run()
    assert not app.exception
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    assert (agent.version.number, agent.version.note) == (2, "Shorter")
    assert agent.version.config["system_prompt"] == "Serve {{product}}."
    assert agent.version.config["variables"] == (before | {"product": "Summit Bank"} if kept else before)
    assert text_area(app.run(), "product").value == "Summit Bank"
    assert selectbox(app.run(), "Version").value == 2
    assert "Differs" not in texts(app)


def test_a_version_saved_meanwhile_by_somebody_else_is_not_overwritten(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "System prompt").set_value("Mine.").run()
    app.menu_button[0].click(MenuItem.SAVE_VERSION).run()
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    theirs = AgentConfig.parse({**agent.version.config, "system_prompt": "Theirs."})
    application.agents.edit(LOCAL, agent.id, config=theirs, note="", expected_revision=agent.revision)
    button(app, "Save version").click().run()
    assert not app.exception
    assert "see what changed" in app.session_state[state.PLAYGROUND_SAVED]
    assert application.agents.get(LOCAL, agent.id).version.config["system_prompt"] == "Theirs."
    assert text_area(app, "System prompt").value == "Mine."


def test_saving_as_a_new_agent_asks_for_a_free_name(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.menu_button[0].click(MenuItem.SAVE_AGENT).run()
    name = next(found for found in app.text_input if found.label == "Name")
    assert name.value == "Support reply (demo) (copy)"
    name.set_value("Release notes (demo)")
    button(app, "Save agent").click().run()
    assert "Release notes (demo)" in app.session_state[state.PLAYGROUND_SAVED]
    app.menu_button[0].click(MenuItem.SAVE_AGENT).run()
    next(found for found in app.text_input if found.label == "Name").set_value("Mine")
    button(app, "Save agent").click().run()
    assert not app.exception
    saved = application.agents.find(LOCAL, "Mine")
    assert selectbox(app.run(), "Agent").value == str(saved.id)
    assert application.agents.find(LOCAL, "Support reply (demo)").version.number == 1


def test_the_code_to_copy_is_of_what_is_on_the_page(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.menu_button[0].click(MenuItem.COPY).run()
    assert not app.exception
    codes = [found.value for found in app.code]
    assert codes[-1] == "agent-launcher run --agent 'Support reply (demo)'"
    assert "A customer writes: My parcel" in codes[-2]
    assert "has no API to ask with curl" in texts(app)


# Side by side


def test_columns_run_together_and_each_with_its_own_configuration(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    for number, model in ((1, "demo-flaky"), (2, "demo-error")):
        button(app, "Compare").click().run()
        selectbox(app, "Model", number).set_value(model).run()
    run(app, application)
    assert not app.exception
    details = stored(application)
    assert sorted(detail.summary.model for detail in details) == ["demo-echo", "demo-error", "demo-flaky"]
    assert len({detail.summary.group_id for detail in details}) == 1
    assert details[0].summary.group_id is not None
    assert len({detail.request["prompt"] for detail in details}) == 1
    assert "3 of 3 done" in texts(app)
    assert "fastest A" in texts(app)
    assert "2 attempts: rate limited" in texts(app)
    assert app.error[0].proto.title == "The provider could not be reached, or is overloaded"
    assert len((query(app, state.PLAYGROUND_RUNS) or "").split(",")) == 3


def test_a_column_may_have_a_prompt_of_its_own(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    button(app, "Compare").click().run()
    next(found for found in app.toggle if found.label == "A prompt of its own").set_value(True).run()
    text_area(app, "Prompt of this column").set_value("Another {{thing}}").run()
    text_area(app, "thing").set_value("one").run()
    run(app, application)
    prompts = sorted(detail.request["prompt"] for detail in stored(application))
    assert prompts[1] == "Another one"
    assert prompts[0].startswith("A customer writes")


def test_six_columns_are_the_most_and_each_can_go(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    for _ in range(5):
        button(app, "Compare").click().run()
    assert not app.exception
    assert len(app.menu_button) == 6
    assert button(app, "Compare").disabled
    selectbox(app, "Model", 5).set_value("demo-flaky").run()
    app.menu_button[2].click(MenuItem.REMOVE).run()
    assert not app.exception
    models = [found.value for found in app.selectbox if found.label == "Model"]
    assert models == ["demo-echo"] * 4 + ["demo-flaky"]
    run(app, application)
    assert len(stored(application)) == 5


def test_removing_the_first_column_keeps_the_next_ones_own_prompt(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    button(app, "Compare").click().run()
    next(found for found in app.toggle if found.label == "A prompt of its own").set_value(True).run()
    text_area(app, "Prompt of this column").set_value("Mine").run()
    app.menu_button[0].click(MenuItem.REMOVE).run()
    assert not app.exception
    assert text_area(app, "Prompt").value == "Mine"


def test_one_column_that_is_not_right_keeps_all_from_starting(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    button(app, "Compare").click().run()
    choose_model(app, "OPENAI", "gpt-4o-mini", column=1)
    app = button(app, "Run").click().run()
    assert "Nothing was started. Change column B first, or remove it." in texts(app)
    assert "API key required for OPENAI" in texts(app)
    assert stored(application) == []
    choose_model(app, "DEMO", "demo-echo", column=1)
    assert not app.error
    run(app, application)
    assert len(stored(application)) == 2


# While it runs, and afterwards


def test_a_run_under_way_can_be_stopped_and_keeps_its_text(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("[[chunk_delay=10]] Hello").run()
    app = button(app, "Run").click().run()
    (live,) = application.runs.live.under_way()
    while not live.text:
        live.wait(0.01)
    app.run()
    assert "You" in [found.value for found in app.markdown]
    assert "Run" not in labels(app)
    app = settled(button(app, "Stop").click().run(), application)
    assert [found.proto.title for found in app.info] == ["Cancelled"]
    assert "You" in [found.value for found in app.markdown]
    assert "Run" in labels(app)


def test_a_second_visitor_finds_the_run_and_what_was_typed(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("[[delay=20]] About {{topic}}").run()
    text_area(app, "topic").set_value("foxes").run()
    app = button(app, "Run").click().run()
    address = {name: query(app, name) for name in (state.PLAYGROUND_RUNS, state.AGENT_ID)}
    other = open_app(PAGE, **address)
    assert not other.exception
    assert text_area(other, "Prompt").value == "[[delay=20]] About {{topic}}"
    assert text_area(other, "topic").value == "foxes"
    assert "Stop" in labels(other)
    button(other, "Stop").click().run()
    settled(other, application)
    settled(app, application)
    assert [found.proto.title for found in app.info] == ["Cancelled"]
    assert len(stored(application)) == 1


def test_a_run_opens_as_it_was_typed_after_a_restart_too(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    text_area(app, "product").set_value("Summit Bank").run()
    run(app, application)
    application.runs.live = LiveRuns()  # as after a restart
    other = open_app(PAGE, runs=query(app, state.PLAYGROUND_RUNS) or "")
    assert not other.exception
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    assert text_area(other, "System prompt").value == agent.version.config["system_prompt"]
    assert text_area(other, "Prompt").value == agent.version.config["prompt"]
    assert text_area(other, "product").value == "Summit Bank"
    assert "Differs" not in texts(other)
    run(other, application)
    first, again = stored(application)
    assert again.request == first.request
    assert again.summary.agent_version_id == agent.version.id


def test_a_run_without_what_was_typed_opens_with_its_final_texts(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.runs.asked_of", lambda *_: None)  # as it was stored before
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo", system_prompt="{{s}}", temperature=0.5),
        prompt="{{p}}",
        variables={"s": "System {{braces}}", "p": "Prompt"},
        context={"n": 1},
    )
    run_id = application.runs.run(LOCAL, spec).run_id
    application.runs.live = LiveRuns()  # as after a restart
    app = open_app(PAGE, runs=str(run_id))
    assert not app.exception
    assert "You asked" in texts(app)
    assert text_area(app, "Prompt").value == "Prompt"
    assert text_area(app, "Context (JSON)").value == '{\n  "n": 1\n}'
    assert [found.label for found in app.text_area][:3] == [
        "System prompt",
        "Prompt",
        "JSON schema of the answer",
    ]
    run(app, application)
    again = stored(application)[1]
    assert again.request["system_prompt"] == "System {{braces}}"
    assert again.request == {**stored(application)[0].request}


def test_several_runs_open_side_by_side_again(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    button(app, "Compare").click().run()
    selectbox(app, "Model", 1).set_value("demo-flaky").run()
    run(app, application)
    other = open_app(PAGE, runs=query(app, state.PLAYGROUND_RUNS) or "")
    assert [found.value for found in other.selectbox if found.label == "Model"] == ["demo-echo", "demo-flaky"]
    assert "2 of 2 done" in texts(other)


@pytest.mark.parametrize("address", ["nonsense", "01a20435-558a-7610-be38-3c6be35dc9ce"])
def test_a_run_that_is_not_there_is_said_and_the_page_still_works(
    application: Application, open_app: OpenApp, address: str
) -> None:
    app = open_app(PAGE, runs=address)
    assert "does not exist here" in texts(app)
    place = place_of(app, text_area(app, "Prompt"))
    run(app, application)
    assert "does not exist here" not in texts(app)
    assert place_of(app, text_area(app, "Prompt")) == place
    assert len(stored(application)) == 1


def of_a_removed_package(application: Application) -> AgentRecord:
    """An agent whose provider a package had added that is not there any more."""
    config = {"provider": "GONE", "model_name": "gone-1", "prompt": "Hello", "temperature": 0.5}
    return application.store.agents.create(
        LOCAL.project_id, name="Old", description="", config=config, note="", by=LOCAL.id
    )


@pytest.mark.parametrize("mode", ["prompt", "chat"])
def test_an_agent_whose_provider_is_gone_opens_and_another_can_be_chosen(
    application: Application, open_app: OpenApp, mode: str
) -> None:
    agent = of_a_removed_package(application)
    app = open_app(PAGE, agent=str(agent.id), mode=mode)
    assert not app.exception
    assert "Invalid provider: 'GONE'" in texts(app)
    assert "Differs from version" not in texts(app)
    provider = selectbox(app, "Provider")
    assert (provider.value, provider.options[-1]) == ("GONE", "GONE (not installed)")
    choose_model(app, "DEMO", "demo-echo")
    assert "Invalid provider" not in texts(app)
    if mode == "prompt":
        run(app, application)
        (detail,) = stored(application)
        assert (detail.summary.provider, detail.request["temperature"]) == ("DEMO", 0.5)
        assert detail.summary.agent_version_id is None


def test_a_run_whose_provider_is_gone_is_not_called_missing(
    application: Application, open_app: OpenApp
) -> None:
    run_id = store_run(application, at=utc_now(), provider="GONE", model="gone-1")
    app = open_app(PAGE, runs=str(run_id))
    assert not app.exception
    assert "cannot be opened here. Invalid provider: 'GONE'" in texts(app)
    assert "does not exist" not in texts(app)
    there = open_app(PAGE, runs=f"{run_id},nonsense")
    assert "does not exist here. A run of this address cannot" in texts(there)


def test_a_run_that_the_database_does_not_give_is_not_called_missing(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise StoreUnavailable("The database is away.")

    run_id = store_run(application, at=utc_now())
    monkeypatch.setattr(application.store.runs, "get", refuse)
    app = open_app(PAGE, runs=str(run_id))
    assert "does not exist" not in texts(app)
    assert "The database is away." in texts(app)


def started(application: Application) -> LiveRun:
    """A run that would take half a minute."""
    config = AgentConfig(provider="DEMO", model_name="demo-echo", prompt="[[delay=30]] Hello")
    return application.runs.start(LOCAL, RunSpec(config=config, trigger=Trigger.PLAYGROUND))


def test_stop_leaves_another_processs_run_alone_and_every_tab_says_so(
    application: Application, open_app: OpenApp
) -> None:
    with opened_application() as other:
        theirs, ours = started(other), started(application)
        address = f"{theirs.run_id},{ours.run_id}"
        app = open_app(PAGE, runs=address)
        assert labels(app).count("Stop") == 2  # the page's, and that of the one column whose run is ours
        assert "Another process works on this run: stop it there" in texts(app)
        app = settled(button(app, "Stop").click().run(), application)
        assert not app.exception
        assert application.runs.view(LOCAL, ours.run_id).status is RunStatus.CANCELLED
        assert not theirs.cancel.cancelled
        for tab in (app, open_app(PAGE, runs=address)):
            assert not tab.exception
            assert button(tab, "Stop").disabled
            assert "Another process works on this run: stop it there" in texts(tab)
        other.runs.stop(LOCAL, theirs.run_id)
        assert theirs.wait(30) is not None


def test_why_a_run_could_not_be_stopped_is_said_once(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = started(application)
    app = open_app(PAGE, runs=str(live.run_id))

    def refuse(*args: object, **kwargs: object) -> None:
        raise Conflict("Another process works on this run: stop it there.")

    monkeypatch.setattr(application.runs, "stop", refuse)
    button(app, "Stop").click().run()
    assert not app.exception
    assert [found.proto.title for found in app.warning] == ["Not stopped"]
    app.run()
    assert "Not stopped" not in [found.proto.title for found in app.warning]
    live.cancel.cancel()
    assert live.wait(30) is not None


def test_a_database_that_refuses_is_said_and_loses_nothing(
    application: Application, open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("Precious text").run()
    file = next((tmp_path / "data").glob("*.db"))
    with sqlite3.connect(file) as other:
        other.execute("ALTER TABLE run_content RENAME TO hidden")
    app = button(app, "Run").click().run()
    with sqlite3.connect(file) as other:
        other.execute("ALTER TABLE hidden RENAME TO run_content")
    other.close()
    assert not app.exception
    assert "Not started" in [found.proto.title for found in app.error]
    assert text_area(app, "Prompt").value == "Precious text"
    run(app, application)
    assert not app.error
    assert stored(application)[0].request["prompt"] == "Precious text"


def test_an_answers_pictures_are_not_fetched_and_its_code_stays(
    application: Application, open_app: OpenApp, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "See ![secret](http://evil.example/?q=1) and\n```rust\nlet v = vec![1];\n```"
    chunk = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": answer}, "finish_reason": "stop"}],
    }
    vendor.will(Reply.sse([chunk]))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-12345678")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")
    app = run(opened_with(application, open_app, "gpt-4o-mini"), application)
    shown = next(found.value for found in app.markdown if "secret" in str(found.value))
    assert "![secret]" not in shown.replace("\\![", "")
    assert "vec![1]" in shown
    next(found for found in app.toggle if found.label == "Plain text").set_value(True).run()
    assert answer in [found.value for found in app.code]
    assert "**cost unknown**" in texts(app)


# Chat


def ask(app: AppTest, application: Application, text: str) -> AppTest:
    return settled(app.chat_input[0].set_value(text).run(), application)


def test_each_turn_of_a_chat_is_a_run_that_carries_the_turns_before(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE, mode="chat")
    ask(app, application, "Hello {{not a variable}}")
    ask(app, application, "[[fail=PROVIDER_TIMEOUT]] lost")
    ask(app, application, "And then?")
    assert not app.exception
    first, failed, last = stored(application)
    assert first.request["prompt"] == "Hello {{not a variable}}"
    assert first.request["agent_type"] == "chat"
    assert first.request["system_prompt"].startswith("You answer customers of Alpine Post")
    assert "messages" not in first.request
    assert failed.summary.status is RunStatus.FAILED
    assert last.request["messages"] == [
        {"role": "user", "content": "Hello {{not a variable}}"},
        {"role": "assistant", "content": first.response},
    ]
    assert texts(app).count("Not part of what the model reads") == 1
    assert len((query(app, state.PLAYGROUND_RUNS) or "").split(",")) == 3
    button(app, "New chat").click().run()
    assert query(app, state.PLAYGROUND_RUNS) is None
    ask(app, application, "Fresh")
    assert "messages" not in stored(application)[-1].request


def test_a_chat_opens_again_by_its_address(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE, mode="chat")
    ask(app, application, "One")
    ask(app, application, "Two")
    other = open_app(PAGE, mode="chat", runs=query(app, state.PLAYGROUND_RUNS) or "")
    assert not other.exception
    assert [found.value for found in other.text] == ["One", "Two"]
    ask(other, application, "Three")
    assert [message["content"] for message in stored(application)[-1].request["messages"]][::2] == [
        "One",
        "Two",
    ]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_chat_that_is_only_opened_again_is_still_of_its_version(
    application: Application, open_app: OpenApp, *, restarted: bool
) -> None:
    app = open_app(PAGE, mode="chat")
    assert "Differs" not in texts(app)
    text_area(app, "Context (JSON)").set_value('{"n": 1}').run()
    ask(app, application, "One")
    if restarted:
        application.runs.live = LiveRuns()
    # From the run's page too, whose link does not say that it was a chat.
    for mode in ({"mode": "chat"}, {}):
        other = open_app(PAGE, runs=query(app, state.PLAYGROUND_RUNS) or "", **mode)
        assert [found.value for found in other.text] == ["One"]
        assert '"n": 1' in text_area(other, "Context (JSON)").value
        text_area(other, "Context (JSON)").set_value("").run()
        assert "Differs" not in texts(other)
    ask(other, application, "Two")
    agent = application.agents.find(LOCAL, "Support reply (demo)")
    one, two = stored(application)
    assert [found.request["agent_type"] for found in (one, two)] == ["chat", "chat"]
    assert two.summary.agent_version_id == agent.version.id
    other.menu_button[0].click(MenuItem.SAVE_VERSION).run()
    assert "Nothing differs from version 1" in "".join(found.value for found in other.info)


def test_a_run_that_was_part_of_a_chat_opens_as_one(application: Application, open_app: OpenApp) -> None:
    before = [Message(role="user", content="Early"), Message(role="assistant", content="Bird")]
    config = AgentConfig(provider="DEMO", model_name="demo-echo")
    run_id = application.runs.run(LOCAL, RunSpec(config=config, prompt="Late", messages=before)).run_id
    app = open_app(PAGE, runs=str(run_id))
    assert not app.exception
    assert "Bird" in texts(app)
    ask(app, application, "And now?")
    sent = [message["content"] for message in stored(application)[-1].request["messages"]]
    assert sent[:3] == ["Early", "Bird", "Late"]


def test_what_cannot_be_sent_in_a_chat_is_kept(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE, mode="chat")
    text_area(app, "product").set_value("").run()
    ask(app, application, "A long question")
    assert not app.exception
    assert stored(application) == []
    assert "Give a value for {{product}}" in texts(app)
    assert "A long question" in [found.value for found in app.text]
    text_area(app, "product").set_value("Post").run()
    settled(button(app, "Send again").click().run(), application)
    assert stored(application)[0].request["prompt"] == "A long question"
    assert "Send again" not in labels(app)


def test_changing_the_mode_keeps_what_was_typed(application: Application, open_app: OpenApp) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("Typed before").run()
    app.button_group[0].set_value("chat").run()
    assert query(app, state.PLAYGROUND_MODE_PARAMETER) == "chat"
    ask(app, application, "Hello")
    app.button_group[0].set_value("prompt").run()
    assert not app.exception
    assert text_area(app, "Prompt").value == "Typed before"
    assert query(app, state.PLAYGROUND_RUNS) is None
    assert isinstance(stored(application)[0].summary.id, UUID)


# A reload


def reloaded(open_app: OpenApp, app: AppTest) -> AppTest:
    """A new session at the same address, as a reload of the tab makes it."""
    params = {name: app.query_params[name] for name in app.query_params}
    return open_app(PAGE, **params)


def test_what_was_typed_comes_back_after_a_reload_of_the_tab(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert dict(app.query_params) == {}, "the page as it opens needs no address of its own"
    text_area(app, "Prompt").set_value("Is {{thing}} paid?").run()
    text_area(app, "thing").set_value("parcel 7").run()
    text_area(app, "System prompt").set_value("Answer briefly.").run()
    button(app, "Compare").click().run()
    selectbox(app, "Model", 1).set_value("demo-slow").run()
    again = reloaded(open_app, app)
    assert not again.exception
    assert not again.warning
    assert text_area(again, "Prompt").value == "Is {{thing}} paid?"
    assert text_area(again, "thing").value == "parcel 7"
    assert text_area(again, "System prompt").value == "Answer briefly."
    assert [selectbox(again, "Model", column).value for column in (0, 1)] == ["demo-echo", "demo-slow"]
    text_area(again, "Prompt").set_value("And now?").run()
    assert text_area(reloaded(open_app, again), "Prompt").value == "And now?", "it goes on under its id"


def test_another_tab_has_a_draft_of_its_own(open_app: OpenApp) -> None:
    app, other = open_app(PAGE), open_app(PAGE)
    text_area(app, "Prompt").set_value("Mine").run()
    text_area(other, "Prompt").set_value("Theirs").run()
    ids = [query(one, state.PLAYGROUND_DRAFT) for one in (app, other)]
    assert None not in ids
    assert ids[0] != ids[1]
    assert text_area(reloaded(open_app, app), "Prompt").value == "Mine"
    assert text_area(open_app(PAGE), "Prompt").value not in ("Mine", "Theirs")


def test_typing_after_a_run_comes_back_with_the_run(application: Application, open_app: OpenApp) -> None:
    app = run(open_app(PAGE), application)
    text_area(app, "Prompt").set_value("Another question").run()
    again = reloaded(open_app, app)
    assert not again.exception
    assert text_area(again, "Prompt").value == "Another question"
    (detail,) = stored(application)
    assert query(again, state.PLAYGROUND_RUNS) == str(detail.summary.id)
    assert (detail.response or "").split('"')[0] in texts(again)


def test_a_step_back_leaves_the_run_and_the_menu_comes_back_to_it(
    application: Application, open_app: OpenApp
) -> None:
    app = run(open_app(PAGE), application)
    assert query(app, state.PLAYGROUND_RUNS) is not None
    app.switch_page(routes.SETTINGS).run()
    app.switch_page(PAGE)
    app.query_params.clear()
    app.run()
    assert query(app, state.PLAYGROUND_RUNS) is not None, "by the menu: as it was left"
    app.query_params.clear()
    app.run()
    assert "Press **Run**" in texts(app)
    assert dict(app.query_params) == {}


def test_a_step_back_to_another_agent_brings_back_what_was_typed_there(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(PAGE)
    text_area(app, "Prompt").set_value("Typed {{here}}").run()
    text_area(app, "here").set_value("value").run()
    before = {name: app.query_params[name] for name in app.query_params}
    other = application.agents.find(LOCAL, "Release notes (demo)")
    app.query_params.clear()
    app.query_params[state.AGENT_ID] = str(other.id)
    app.run()
    assert text_area(app, "Prompt").value != "Typed {{here}}"
    app.query_params.clear()
    for name, value in before.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert text_area(app, "Prompt").value == "Typed {{here}}"
    assert text_area(app, "here").value == "value"


def test_a_draft_that_is_gone_is_said(open_app: OpenApp) -> None:
    app = open_app(PAGE, draft="not-an-id-of-this-server")
    assert "is not kept any more" in texts(app)
    text_area(app, "Prompt").set_value("Hello").run()
    assert query(app, state.PLAYGROUND_DRAFT) != "not-an-id-of-this-server", "nobody else chooses the id"


def test_drafts_are_bounded_in_number_and_size() -> None:
    def of(prompt: str) -> Composed:
        return Composed(
            link=(None,),
            mode="prompt",
            slots=[0],
            fields={},
            prompt=prompt,
            context="",
            variables={},
            loaded={},
        )

    drafts = Drafts(max_drafts=2, max_bytes=1_000)
    assert drafts.put("a", of("1"))
    assert drafts.put("b", of("2"))
    assert drafts.get("a") == of("1"), "and is now the one that was used last"
    assert drafts.put("c", of("3"))
    assert drafts.get("b") is None
    assert not drafts.put("a", of("4" * 1_000))
    assert drafts.get("a") is None, "an earlier text would come back in its place"
    assert drafts.get("c") == of("3")
