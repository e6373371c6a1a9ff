"""The costs page: the question in the address, the order of the table, and the way to the playground."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.errors import StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import AgentRecord
from dashboard import queries, routes, state
from tests.support.stored_runs import store_run

OpenApp = Callable[..., AppTest]


def table(app: AppTest) -> Any:
    assert not app.exception
    assert not app.error
    return app.dataframe[0].value


def metric(app: AppTest, label: str) -> str:
    return next(element for element in app.metric if element.label == label).value.replace("\\", "")


def row(app: AppTest, model: str, provider: str = "OpenAI") -> Any:
    frame = table(app)
    (found,) = [r for _, r in frame.iterrows() if (r["model"], r["provider"]) == (model, provider)]
    return found


def captions(app: AppTest) -> str:
    return "\n".join(str(caption.value) for caption in app.caption).replace("\\", "")


@pytest.fixture
def agent(application: Application) -> AgentRecord:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o", prompt="Hello")
    return application.agents.create(LOCAL, name="Sorter", config=config)


def test_a_first_visit_prices_an_assumed_run_on_every_model(open_app: OpenApp) -> None:
    app = open_app(routes.COSTS)
    frame = table(app)
    known = [cost for cost in frame["run"] if not math.isnan(cost)]
    assert len(known) > 50
    assert "1,000 input tokens (assumed)" in captions(app)
    assert row(app, "gpt-4o-mini")["run"] == pytest.approx(0.00045)
    assert "month_difference" not in frame
    assert list(frame["provider"])[-1] == "Offline demo"
    demo = row(app, "demo-echo", "Offline demo")
    assert (demo["run"], demo["good_for"]) == (0, ["offline demo, not a real price"])
    assert math.isnan(demo["bar"])


def test_the_question_and_the_filters_come_from_the_address(open_app: OpenApp) -> None:
    app = open_app(
        routes.COSTS,
        input="200000",
        output="0",
        runs_each="3",
        per="month",
        providers="OpenAI",
        find="gpt-4o",
    )
    frame = table(app)
    assert set(frame["provider"]) == {"OpenAI"}
    assert all("gpt-4o" in model for model in frame["model"])
    mini = row(app, "gpt-4o-mini")
    assert mini["run"] == pytest.approx(0.03)
    assert mini["month"] == pytest.approx(0.09)
    assert "needs 200 k tokens" in mini["note"]
    assert "too small" in app.metric[-1].proto.delta_description


def test_an_agent_is_compared_with_what_it_uses_now(
    application: Application, open_app: OpenApp, agent: AgentRecord
) -> None:
    store_run(application, at=utc_now(), agent=agent, model="gpt-4o", input_tokens=1_000, output_tokens=500)
    app = open_app(routes.COSTS, baseline="Sorter", runs_each="1", per="month")
    assert metric(app, "Now, a month") == "$0.0075"
    assert "1,000 input tokens (mean of 1 run)" in captions(app)
    assert row(app, "gpt-4o (now)")["run_difference"] == 0
    assert row(app, "gpt-4o-mini")["month_difference"] == pytest.approx(0.00045 - 0.0075)
    assert not app.text_area  # the agent has its own prompt


def test_an_agent_whose_cost_is_unknown_says_why(application: Application, open_app: OpenApp) -> None:
    config = AgentConfig(provider="OPENAI", model_name="own-model", prompt="Hello")
    application.agents.create(LOCAL, name="Own", config=config)
    app = open_app(routes.COSTS, baseline="Own")
    assert metric(app, "Now, a month") == "unknown"
    assert "What it costs now is unknown. The provider's list does not have this model" in captions(app)
    own = row(app, "own-model (now)")
    assert math.isnan(own["run"])
    assert "Settings > Prices" in own["note"]


def test_the_length_of_a_prompt_is_priced(open_app: OpenApp) -> None:
    app = open_app(routes.COSTS)
    app.text_area[0].set_value("Where is my order? " * 500).run()
    assert "by the prompt's length" in captions(app)
    assert "(assumed) a run" in captions(app)


def test_nothing_found_is_left_with_one_click(open_app: OpenApp) -> None:
    app = open_app(routes.COSTS, find="no-such-model")
    assert not app.dataframe
    next(button for button in app.button if button.label == "Clear filters").click().run()
    assert len(table(app)) > 50


def test_only_configured_providers(open_app: OpenApp, application: Application) -> None:
    before = set(table(open_app(routes.COSTS, configured="true"))["provider"])
    assert "OpenAI" not in before
    assert "Offline demo" in before
    application.credentials.add(LOCAL, name="Key", provider="OPENAI", secret="sk-1")
    queries.forget_all()  # as the settings page does
    assert "OpenAI" in set(table(open_app(routes.COSTS, configured="true"))["provider"])
    noted = table(open_app(routes.COSTS))
    assert not any("No key yet" in note for note in noted["note"][noted["provider"] == "OpenAI"])


def test_a_failing_database_is_a_clear_text(
    open_app: OpenApp, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("The database file cannot be opened. Check the disk, then reload.")

    monkeypatch.setattr(application.store.credentials, "list", fail)
    app = open_app(routes.COSTS)
    assert not app.exception
    assert [error.value for error in app.error] == [
        "The database file cannot be opened. Check the disk, then reload."
    ]


# The way to the playground

WITH = {state.PLAYGROUND_PROVIDER: "OPENAI", state.PLAYGROUND_MODEL: "gpt-4o-mini"}


def field(app: AppTest, name: str) -> Any:
    return app.session_state[state.playground_field(0, name)]


def query(app: AppTest, name: str) -> str | None:
    found = app.query_params.get(name)
    return found[0] if isinstance(found, list) else found


def test_the_playground_opens_with_the_model_of_the_address(open_app: OpenApp) -> None:
    app = open_app(routes.PLAYGROUND, **WITH)
    assert not app.exception
    assert (field(app, "provider"), field(app, "model")) == ("OPENAI", "gpt-4o-mini")
    assert field(app, "system") == ""  # none of the demo agent's
    assert query(app, state.AGENT_ID) is None
    assert {name: query(app, name) for name in WITH} == WITH
    app.run()
    assert {name: query(app, name) for name in WITH} == WITH


def test_the_address_forgets_a_model_that_was_changed(open_app: OpenApp) -> None:
    app = open_app(routes.PLAYGROUND, **WITH)
    app.session_state[state.playground_field(0, "model")] = "gpt-5.4"
    app.run()
    assert [query(app, name) for name in WITH] == [None, None]
    assert field(app, "model") == "gpt-5.4"


def test_an_agent_is_opened_with_another_model(
    application: Application, open_app: OpenApp, agent: AgentRecord
) -> None:
    application.credentials.add(LOCAL, name="Key", provider="ANTHROPIC", secret="sk-1")
    other = {state.PLAYGROUND_PROVIDER: "ANTHROPIC", state.PLAYGROUND_MODEL: "claude-opus-5"}
    app = open_app(routes.PLAYGROUND, **{state.AGENT_ID: str(agent.id)}, **other)
    assert not app.exception
    assert (field(app, "provider"), field(app, "model")) == ("ANTHROPIC", "claude-opus-5")
    assert app.session_state[state.PLAYGROUND_PROMPT] == "Hello"
    assert query(app, state.AGENT_ID) == str(agent.id)
    assert query(app, state.PLAYGROUND_MODEL) == "claude-opus-5"


def test_a_provider_that_is_not_here_is_said(open_app: OpenApp) -> None:
    app = open_app(routes.PLAYGROUND, **{state.PLAYGROUND_PROVIDER: "NOBODY"})
    assert not app.exception
    assert "not installed here" in app.warning[0].value
