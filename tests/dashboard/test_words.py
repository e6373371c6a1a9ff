"""One word for one thing: the forms, the run's page and the comparison name the same field alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.request_diff import FIELD_LABELS, JSON_LABELS, TEXT_LABELS
from core.storage.records import RunStatus
from dashboard import routes, state
from dashboard.components.marks import STATUS_LABELS
from tests.support.environment import ROOT

_LABELS = {**TEXT_LABELS, **JSON_LABELS, **FIELD_LABELS}
_TYPED = (
    *("provider", "model_name", "system_prompt", "prompt", "context", "response_schema", "temperature"),
    *("top_p", "max_tokens", "stop", "seed", "base_url"),
)


@pytest.mark.parametrize("page", ["playground", "agent"])
def test_a_forms_fields_are_called_as_on_the_runs_page(
    page: str, application: Application, open_app: Callable[..., AppTest]
) -> None:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o", prompt="Hello")
    agent = application.agents.create(LOCAL, name="Words", config=config)
    if page == "agent":
        app = open_app()
        app.switch_page(routes.AGENT)
        app.query_params[state.AGENT_PAGE_ID] = str(agent.id)
        app.run()
    else:
        app = open_app(routes.PLAYGROUND, agent=str(agent.id))
    fields = [*app.selectbox, *app.text_area, *app.text_input, *app.number_input, *app.multiselect]
    labels = {field.label for field in fields}
    assert {_LABELS[name] for name in _TYPED} - labels == set()


def test_a_status_is_shown_as_its_own_word() -> None:
    assert {status: status.value.replace("_", " ").capitalize() for status in RunStatus} == STATUS_LABELS


def test_no_page_and_no_text_calls_them_otherwise() -> None:
    files = [*(ROOT / "dashboard").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    others = (
        "Stop texts",
        "stop texts",
        "Context as JSON",
        "Add a key",
        "offline DEMO",
        "DEMO provider works",
    )
    found = [
        (str(Path(file).relative_to(ROOT)), other)
        for file in files
        for other in others
        if other in file.read_text(encoding="utf-8")
    ]
    assert found == []
