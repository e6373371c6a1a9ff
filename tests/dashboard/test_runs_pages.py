"""The runs' pages without a browser: what they ask of the services, and failing stores."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from core import ids
from core.contract import utc_now
from core.errors import ErrorCode, StoreUnavailable
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import Backend, NewRun, RunStatus, Trigger
from dashboard import formatting, routes
from dashboard.components.marks import by_whom
from tests.support.stored_runs import store_run

OpenApp = Callable[..., AppTest]


def open_run(open_app: OpenApp, run_id: UUID) -> AppTest:
    """A page with an address of its own can be opened only after a first run, which registers the pages."""
    app = open_app()
    app.switch_page(routes.RUN_DETAIL)
    app.query_params["id"] = str(run_id)
    return app.run()


def shown(app: AppTest) -> list[str]:
    """The models of the rows, from the top."""
    return list(app.dataframe[0].value["model"]) if app.dataframe else []


def texts(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(str(element.value) for element in elements)


def test_an_installation_without_runs_leads_to_the_playground(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(routes.RUNS)

    assert not app.exception
    assert "No runs in this range" in texts(app)


def test_the_range_leaves_out_what_is_older(application: Application, open_app: OpenApp) -> None:
    now = utc_now()
    store_run(application, at=now, model="new-model")
    store_run(application, at=now - timedelta(days=20), model="old-model")

    assert shown(open_app(routes.RUNS)) == ["new-model"]
    assert shown(open_app(routes.RUNS, range="30 days")) == ["new-model", "old-model"]
    assert shown(open_app(routes.RUNS, range="All")) == ["new-model", "old-model"]


@pytest.mark.parametrize(
    ("params", "models"),
    [
        ({"status": "Failed"}, ["failed"]),
        ({"status": ["Failed", "Succeeded"]}, ["failed", "unpriced", "priced"]),
        ({"provider": "Offline demo"}, []),
        ({"model": "priced"}, ["priced"]),
        ({"model": "never-used"}, []),
        ({"trigger": "Playground"}, ["failed", "unpriced", "priced"]),
        ({"trigger": "Command line"}, []),
        ({"error": "RATE_LIMITED"}, ["failed"]),
        ({"cost_min": "0.001"}, ["priced"]),
        ({"cost_max": "0.001"}, ["failed"]),
        ({"unpriced": "true"}, ["unpriced"]),
        ({"group": str(UUID(int=9))}, []),
        ({"group": "nonsense"}, ["failed", "unpriced", "priced"]),
        ({"status": "nonsense"}, ["failed", "unpriced", "priced"]),
    ],
)
def test_each_filter_in_the_address_filters(
    application: Application, open_app: OpenApp, params: dict[str, str | list[str]], models: list[str]
) -> None:
    now = utc_now()
    store_run(application, at=now - timedelta(minutes=3), model="priced", cost_nanousd=2_000_000)
    store_run(application, at=now - timedelta(minutes=2), model="unpriced", cost_nanousd=None)
    store_run(
        application,
        at=now - timedelta(minutes=1),
        model="failed",
        status=RunStatus.FAILED,
        error=ErrorCode.RATE_LIMITED,
        cost_nanousd=0,
    )

    app = open_app(routes.RUNS, **params)

    assert not app.exception
    assert shown(app) == models


def test_a_run_is_found_by_the_beginning_of_its_id_whatever_the_other_filters(
    application: Application, open_app: OpenApp
) -> None:
    now = utc_now()
    old = store_run(application, at=now - timedelta(days=60), model="old")
    store_run(application, at=now, model="new")

    assert shown(open_app(routes.RUNS, run=str(old)[:9], status="Failed")) == ["old"]
    assert shown(open_app(routes.RUNS, run=str(old).upper())) == ["old"]
    app = open_app(routes.RUNS, run="parcel")
    assert shown(app) == ["new"]
    assert "no run\\'s id" in texts(app) or "no run's id" in texts(app)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"status": ["Failed", "Broken"]}, "status=Broken"),
        ({"agent": "Nobody"}, "agent=Nobody"),
        ({"range": "Forever"}, "range=Forever"),
        ({"group": "nonsense"}, "group=nonsense"),
    ],
)
def test_what_the_address_asks_for_in_vain_is_said(
    application: Application, open_app: OpenApp, params: dict[str, str | list[str]], said: str
) -> None:
    store_run(application, at=utc_now())

    assert f"without it: {said}." in texts(open_app(routes.RUNS, **params)).replace("\\", "")
    assert "without it" not in texts(open_app(routes.RUNS, status="Failed", range="All", model="any"))


def test_a_cursor_that_is_none_is_an_error_in_words(application: Application, open_app: OpenApp) -> None:
    store_run(application, at=utc_now())

    app = open_app(routes.RUNS, cursor="nonsense")

    assert "start from the first page" in texts(app)


def test_unknown_money_is_said_and_a_run_under_way_has_none_yet(
    application: Application, open_app: OpenApp
) -> None:
    now = utc_now()
    store_run(application, at=now, cost_nanousd=None)
    application.store.runs.start(
        NewRun(
            id=ids.uuid7(),
            project_id=LOCAL.project_id,
            principal_id=LOCAL.id,
            worker_id=ids.uuid7(),
            created_at=now,
            trigger=Trigger.CLI,
            provider="OPENAI",
            model="gpt-5.4",
            backend=Backend.LOCAL,
            request={"provider": "OPENAI", "model_name": "gpt-5.4", "prompt": "Hello"},
        )
    )

    frame = open_app(routes.RUNS).dataframe[0].value

    assert list(frame["status"]) == ["● Running", "● Succeeded"]
    assert list(frame["cost"]) == [formatting.NO_VALUE, formatting.UNKNOWN]


def test_tokens_that_nobody_told_are_unknown_in_the_list_and_a_latency_to_come_is_none(
    application: Application, open_app: OpenApp
) -> None:
    store_run(application, at=utc_now(), input_tokens=None, output_tokens=None)
    table = open_app(routes.RUNS).dataframe[0]
    assert list(table.value["tokens"].isna()) == [True]
    assert table.proto.placeholder == formatting.UNKNOWN, "which stands where a cell has no value"
    assert list(table.value["latency"] > 0) == [True]


@pytest.mark.parametrize("page", [routes.RUNS, routes.RUN_DETAIL])
def test_a_store_that_fails_is_said_calmly(
    application: Application, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    run_id = store_run(application, at=utc_now())

    def fail(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("The database cannot be reached. Start it.")

    for name in ("page", "get"):
        monkeypatch.setattr(application.store.runs, name, fail)

    app = open_run(open_app, run_id) if page == routes.RUN_DETAIL else open_app(page)

    assert not app.exception
    assert "The database cannot be reached" in texts(app)


def test_a_run_of_another_project_is_not_shown(application: Application, open_app: OpenApp) -> None:
    theirs = ids.uuid7()
    application.store.runs.start(
        NewRun(
            id=theirs,
            project_id="another-project",
            principal_id=LOCAL.id,
            worker_id=ids.uuid7(),
            created_at=utc_now(),
            trigger=Trigger.CLI,
            provider="OPENAI",
            model="gpt-5.4",
            backend=Backend.LOCAL,
            request={"provider": "OPENAI", "model_name": "gpt-5.4", "prompt": "Theirs"},
        )
    )

    app = open_run(open_app, theirs)

    assert "There is no such run" in texts(app)
    assert "Theirs" not in texts(app)


def test_a_replay_of_a_run_that_needs_a_key_says_so(application: Application, open_app: OpenApp) -> None:
    run_id = store_run(application, at=utc_now())
    app = open_run(open_app, run_id)

    app.button(key="run-replay").click().run()
    # The page may be drawn before the run has ended, as it is for whoever looks.
    for live in application.runs.live.under_way():
        live.wait(20)
    app.run()

    assert "API key required for OPENAI" in texts(app)


def test_who_did_something_is_named_only_where_there_are_several() -> None:
    assert by_whom(LOCAL.id) == ""
    assert by_whom("ada") == " by ada"
