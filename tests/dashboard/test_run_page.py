"""The page of one run, when the store and the process do not agree about it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.errors import StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import RunStatus
from tests.support.stored_runs import store_run

PAGE = "app_pages/run_detail.py"


def texts(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in (*app.markdown, *app.caption, *app.warning))


def test_an_end_that_is_not_stored_yet_is_shown_with_its_reason(
    application: Application, open_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = application.store.runs.finish

    def refuse(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable("The disk is full. Free some space.")

    monkeypatch.setattr(application.store.runs, "finish", refuse)
    config = AgentConfig(provider="DEMO", model_name="demo-echo")
    live = application.runs.start(LOCAL, RunSpec(config=config, prompt="Keep this"))
    outcome = live.wait(20)
    assert outcome is not None
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.RUNNING

    app = open_app()  # before the first run, the test runner does not know the page's address
    app.query_params["id"] = str(live.run_id)
    began = time.monotonic()
    app.switch_page(PAGE).run()
    assert time.monotonic() - began < 20, "the page draws itself again and again"
    assert not app.exception
    assert [warning.proto.title for warning in app.warning] == ["This run is not stored"]
    assert app.warning[0].value == "The disk is full. Free some space."
    assert "Keep this" in texts(app)

    monkeypatch.setattr(application.store.runs, "finish", finish)
    assert application.runs.settle() == 0
    app.run()
    assert not app.exception
    assert not app.warning
    assert "**Answer**" in texts(app)


def test_the_way_back_from_a_comparison_stands_with_the_other_buttons(
    application: Application, open_app: Callable[..., AppTest]
) -> None:
    older, newer = (store_run(application, at=utc_now()) for _ in range(2))
    app = open_app()
    app.query_params["id"] = str(newer)
    app.query_params["compare"] = str(older)
    app.switch_page(PAGE).run()
    labels = [button.label for button in app.button]
    assert labels.index("Back to the run") < labels.index("Edit in the playground")
    next(button for button in app.button if button.label == "Back to the run").click().run()
    assert "Back to the run" not in [button.label for button in app.button]
    assert "compare" not in app.query_params
