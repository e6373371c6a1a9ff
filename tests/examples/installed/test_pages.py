"""Every form, list and filter of the dashboard knows a provider that another package added."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import InvalidInput
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import AgentRecord, Dimension
from dashboard import palette, routes, state
from tests.support.stored_runs import store_run

OpenApp = Callable[..., AppTest]


def made(application: Application, **fields: object) -> AgentRecord:
    given = {"provider": "COHERE", "model_name": "command-a-03-2025", "prompt": "Hello"}
    return application.agents.create(LOCAL, name="Guide", config=AgentConfig.parse({**given, **fields}))


def offered(app: AppTest, label: str = "Provider") -> Sequence[str]:
    """What the choice with this label offers."""
    assert not app.exception
    (box,) = (box for box in (*app.selectbox, *app.multiselect) if box.label == label)
    return box.options


def texts(app: AppTest) -> str:
    assert not app.exception
    elements = [*app.title, *app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(str(element.value) for element in elements)


# Forms


def test_the_playground_offers_it(open_app: OpenApp) -> None:
    assert "Cohere" in offered(open_app(routes.PLAYGROUND))


def test_a_new_agent_can_be_of_it(open_app: OpenApp) -> None:
    app = open_app().switch_page(routes.AGENT).run()
    assert "Cohere" in offered(app)
    next(box for box in app.selectbox if box.label == "Provider").select("COHERE").run()
    assert "command-a-03-2025" in offered(app, "Model")
    assert "CO_API_KEY" in str(offered(app, "Credential"))


def test_the_settings_offer_it(open_app: OpenApp) -> None:
    app = open_app(routes.SETTINGS, section="Credentials")
    assert "`CO_API_KEY` is not set" in texts(app)
    next(button for button in app.button if button.label == "Add a credential").click().run()
    boxes = [box for box in app.selectbox if box.key == state.SETTINGS_CREDENTIAL_PROVIDER]
    assert [("Cohere" in box.options) for box in boxes] == [True]
    assert "Cohere" in offered(open_app(routes.SETTINGS, section="Defaults"), "Default provider")
    assert "Cohere" in offered(open_app(routes.SETTINGS, section="Prices"))


# Lists and filters


@pytest.mark.parametrize("page", [routes.RUNS, routes.USAGE, routes.COSTS])
def test_a_filter_offers_it(open_app: OpenApp, page: str) -> None:
    assert "Cohere" in offered(open_app(page))


def test_the_costs_list_its_models(open_app: OpenApp) -> None:
    (table,) = open_app(routes.COSTS).dataframe
    models = table.value[table.value["provider"] == "Cohere"]["model"]
    assert "command-a" in list(models)


def test_its_runs_are_listed_found_counted_and_opened(application: Application, open_app: OpenApp) -> None:
    run = store_run(application, at=datetime.now(UTC), provider="COHERE", model="command-a-03-2025")
    store_run(application, at=datetime.now(UTC), provider="OPENAI", model="gpt-5.4-mini")

    app = open_app(routes.RUNS, **{state.RUNS_PROVIDER: "Cohere"})
    shown = "\n".join(table.value.to_string() for table in app.dataframe)
    assert "command-a-03-2025" in shown
    assert "gpt-5.4-mini" not in shown

    page = open_app().switch_page(routes.RUN_DETAIL)
    page.query_params[state.RUN_ID] = str(run)
    assert "Cohere" in texts(page.run())
    assert not open_app(routes.USAGE, by="provider").exception


def test_its_colour_is_its_own_in_every_chart() -> None:
    names = list(registry.specs())
    colors = palette.series_colors(Dimension.PROVIDER, names, names)
    assert colors["COHERE"] == registry.get_spec("COHERE").color
    assert len(set(colors.values())) == len(names)


# Validation


def test_a_configuration_of_it_is_accepted(application: Application, open_app: OpenApp) -> None:
    agent = made(application, max_tokens=100, temperature=0.2, seed=7, top_p=0.5)
    app = open_app().switch_page(routes.AGENT)
    app.query_params[state.AGENT_PAGE_ID] = str(agent.id)
    app.run()
    assert not app.exception
    assert next(box for box in app.selectbox if box.label == "Provider").value == "COHERE"


def test_what_its_model_cannot_take_is_refused_by_name(application: Application) -> None:
    with pytest.raises(InvalidInput, match=r"command-a-03-2025 does not take reasoning_effort"):
        made(application, reasoning_effort="low")


def test_a_key_of_it_is_stored_and_serves(application: Application) -> None:
    application.credentials.add(LOCAL, name="Cohere", provider="COHERE", secret="cohere-key-0123456789")
    config = AgentConfig(provider="COHERE", model_name="command-a-03-2025")
    assert application.credentials.resolve(LOCAL, config=config, given=None).secret == "cohere-key-0123456789"
