"""The agents' pages without a browser: what is rare in a browser, and failing stores."""

from collections.abc import Callable
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextArea

from core.errors import StoreNotWritable, StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import AgentRecord
from dashboard import queries, routes, state
from tests.support.places import place_of

OpenApp = Callable[..., AppTest]


def made(application: Application, name: str = "Greeter", **fields: object) -> AgentRecord:
    config = AgentConfig.parse({"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello", **fields})
    return application.agents.create(LOCAL, name=name, config=config)


def open_agent(open_app: OpenApp, agent_id: UUID | str, **params: str) -> AppTest:
    """A page with an address of its own can be opened only after a first run, which registers the pages."""
    app = open_app()
    app.switch_page(routes.AGENT)
    for name, value in {state.AGENT_PAGE_ID: str(agent_id), **params}.items():
        app.query_params[name] = value
    return app.run()


def field(app: AppTest, label: str) -> str:
    boxes = [*app.text_input, *app.text_area]
    return next(box for box in boxes if box.label == label).value or ""


def texts(app: AppTest) -> str:
    elements = [*app.title, *app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(str(element.value) for element in elements)


def names(app: AppTest) -> list[str]:
    return [
        str(element.value).removeprefix("#### ")
        for element in app.markdown
        if str(element.value).startswith("#### ")
    ]


def test_the_form_offers_only_the_efforts_that_the_model_knows(
    application: Application, open_app: OpenApp
) -> None:
    agent = made(application, provider="ANTHROPIC", model_name="claude-mythos-5-2", reasoning_effort="medium")
    app = open_agent(open_app, agent.id, edit="true")
    (efforts,) = [box for box in app.selectbox if box.label == "Reasoning effort"]
    assert efforts.value == "medium"
    assert efforts.options == ["minimal", "low", "medium", "high", "xhigh", "max"]


def test_many_agents_come_in_pages(application: Application, open_app: OpenApp) -> None:
    for number in range(30):
        made(application, f"Agent {number:02}")

    app = open_app(routes.AGENTS)

    assert not app.exception
    assert len(names(app)) == 24
    assert names(app)[0] == "Agent 00"


def test_archived_agents_are_shown_when_asked_for(application: Application, open_app: OpenApp) -> None:
    agent = made(application)
    application.agents.archive(LOCAL, agent.id)

    assert "Greeter" not in names(open_app(routes.AGENTS))
    assert names(open_app(routes.AGENTS, archived="true")) == ["Greeter"]
    assert "Archived" in texts(open_agent(open_app, agent.id)) or "in no list" in texts(
        open_agent(open_app, agent.id)
    )


def test_a_configuration_of_a_provider_that_is_gone_can_still_be_read_and_mended(
    application: Application, open_app: OpenApp
) -> None:
    gone = application.store.agents.create(
        LOCAL.project_id,
        name="Old",
        description="",
        config={"provider": "GONE", "model_name": "gone-1", "prompt": "Hello", "added_later": True},
        note="",
        by=LOCAL.id,
    )

    app = open_agent(open_app, gone.id)

    assert not app.exception
    assert field(app, "Prompt") == "Hello"
    assert next(box for box in app.selectbox if box.label == "Provider").value == "GONE"
    assert "Old" in names(open_app(routes.AGENTS))


def test_the_form_of_ones_own_server_asks_for_no_key_and_says_that_it_is_free(
    application: Application, open_app: OpenApp
) -> None:
    agent = made(application, provider="OLLAMA", model_name="gemma4")

    app = open_agent(open_app, agent.id)

    assert not app.exception
    assert "Its tokens cost nothing\\: self-hosted." in texts(app)
    credential = next(box for box in app.selectbox if box.label == "Credential")
    assert credential.options == ["None stored: OLLAMA_API_KEY if it is set"]
    assert "No price is known" in texts(
        open_agent(open_app, made(application, "Far", provider="OLLAMA", model_name="gemma4:cloud").id)
    )


def test_the_form_says_of_a_key_for_another_server_what_a_run_would(
    application: Application, open_app: OpenApp
) -> None:
    server = "http://127.0.0.1:9"
    prod = application.credentials.add(
        LOCAL, name="Prod", provider="OPENAI", secret="sk-abcdefgh4f2a", base_url=server
    )
    agent = made(application, provider="OPENAI", model_name="gpt-5.4-mini")
    app = open_agent(open_app, agent.id)
    credential = next(box for box in app.selectbox if box.label == "Credential")
    assert credential.options[0] == f"None chosen: Prod is for {server}"
    assert "US dollars per million tokens" in texts(app)
    credential.set_value(str(prod.id)).run()
    assert not app.exception
    assert f"No price is known for gpt-5.4-mini at `{server}`" in texts(app).replace("\\", "")
    assert "US dollars per million tokens" not in texts(app)
    base_url = next(box for box in app.text_input if box.label == "Base URL")
    assert base_url.placeholder == f"{server}, the credential's"
    application.credentials.add(LOCAL, name="Own", provider="OPENAI", secret="sk-abcdefgh9999")
    queries.forget_all()
    other = open_agent(open_app, agent.id)
    credential = next(box for box in other.selectbox if box.label == "Credential")
    assert credential.options[0] == "The only one for this server: Own"


@pytest.mark.parametrize("given", ["", "nonsense", str(UUID(int=4))])
def test_an_address_that_leads_nowhere_says_so(
    application: Application, open_app: OpenApp, given: str
) -> None:
    assert "There is no such agent" in texts(open_agent(open_app, given))


def test_without_an_id_the_page_is_the_form_for_a_new_agent(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app()
    app.switch_page(routes.AGENT).run()

    assert "New agent" in texts(app)


@pytest.mark.parametrize("page", [routes.AGENTS, routes.AGENT])
def test_a_store_that_fails_is_said_calmly(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    agent = made(application)

    def fail(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("The database cannot be reached. Start it.")

    for name in ("list", "get"):
        monkeypatch.setattr(application.store.agents, name, fail)

    app = open_app(page) if page == routes.AGENTS else open_agent(open_app, agent.id)

    assert not app.exception
    assert "The database cannot be reached" in texts(app)


def test_a_save_that_the_store_refuses_loses_nothing(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = made(application)
    app = open_agent(open_app, agent.id)
    prompt = next(box for box in app.text_area if box.label == "Prompt")
    prompt.set_value("Typed for an hour").run()

    def fail(*args: object, **kwargs: object) -> None:
        raise StoreNotWritable("The disk is full. Free some space.")

    monkeypatch.setattr(application.store.agents, "add_version", fail)
    next(button for button in app.button if button.label == "Save version 2").click().run()

    assert not app.exception
    assert "The disk is full" in texts(app)
    assert field(app, "Prompt") == "Typed for an hour"
    monkeypatch.undo()


def system_prompt_of(app: AppTest) -> TextArea:
    return next(box for box in app.text_area if box.label == "System prompt")


def test_the_form_stays_in_its_place_when_somebody_else_was_faster(
    application: Application, open_app: OpenApp
) -> None:
    agent = made(application, system_prompt="Answer.")
    app = open_agent(open_app, agent.id)
    usual = place_of(app, system_prompt_of(app))
    system_prompt_of(app).set_value("Mine").run()
    config = AgentConfig.parse({**agent.version.config, "system_prompt": "Theirs"})
    application.agents.edit(LOCAL, agent.id, config=config, note="", expected_revision=agent.revision)

    app.run()

    assert "Somebody else has changed this agent" in "".join(found.proto.title for found in app.warning)
    assert place_of(app, system_prompt_of(app)) == usual
    next(button for button in app.button if button.label == "Take theirs and drop mine").click().run()
    assert (field(app, "System prompt"), place_of(app, system_prompt_of(app))) == ("Theirs", usual)


def test_where_an_agent_runs_is_chosen_in_its_form_and_kept_by_any_other_change(
    application: Application, open_app: OpenApp
) -> None:
    agent = made(application)
    app = open_agent(open_app, agent.id)
    backend = next(group for group in app.segmented_control if group.label == "Backend")
    assert backend.value == "AUTO"
    backend.set_value("LOCAL").run()
    next(toggle for toggle in app.toggle if toggle.label.startswith("Run again where")).set_value(True).run()
    next(button for button in app.button if button.label == "Save version 2").click().run()
    assert not app.exception
    saved = application.agents.get(LOCAL, agent.id).version.config
    assert (saved["backend"], saved["retry_on_unknown"]) == ("LOCAL", True)

    again = open_agent(open_app, agent.id)
    system_prompt_of(again).set_value("Be brief.").run()
    next(button for button in again.button if button.label == "Save version 3").click().run()
    kept = application.agents.get(LOCAL, agent.id).version.config
    assert (kept["system_prompt"], kept["backend"], kept["retry_on_unknown"]) == ("Be brief.", "LOCAL", True)
