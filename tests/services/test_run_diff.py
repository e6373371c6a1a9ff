from core.contract import utc_now
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.run_diff import Quantity, RunDiff, diff_runs
from core.services.run_spec import RunSpec
from tests.support.stored_runs import store_run


def compared(application: Application, old: RunSpec, new: RunSpec) -> RunDiff:
    first, second = (application.runs.run(LOCAL, spec).run_id for spec in (old, new))
    return diff_runs(application.runs.get(LOCAL, first), application.runs.get(LOCAL, second))


def test_two_runs_differ_in_request_answer_and_figures(application: Application) -> None:
    config = AgentConfig(provider="DEMO", model_name="demo-echo", system_prompt="Be kind")

    diff = compared(
        application,
        RunSpec(config=config, prompt="One"),
        RunSpec(config=config.model_copy(update={"temperature": 0.5}), prompt="One and two"),
    )

    assert [(f.label, f.old, f.new) for f in diff.request.fields if f.changed] == [
        ("Temperature", None, "0.5")
    ]
    assert [text.label for text in diff.request.texts if not text.diff.same] == ["Prompt"]
    assert not diff.answer.diff.same
    figures = {figure.label: figure for figure in diff.figures}
    assert figures["Cost"].quantity is Quantity.MONEY_NANOUSD
    assert (figures["Cost"].old, figures["Cost"].change) == (0, 0)
    assert figures["Input tokens"].change == (figures["Input tokens"].new or 0) - (
        figures["Input tokens"].old or 0
    )
    assert (figures["Input tokens"].change or 0) > 0


def test_a_replay_asks_for_the_same(application: Application) -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo"), prompt="One", context={"a": 1}
    )
    first = application.runs.run(LOCAL, spec).run_id
    live = application.runs.replay(LOCAL, first)
    assert live.wait(20) is not None

    diff = diff_runs(application.runs.get(LOCAL, first), application.runs.get(LOCAL, live.run_id))

    assert diff.request.same
    assert diff.answer.diff.same


def test_an_unknown_figure_has_no_change(application: Application) -> None:
    priced = store_run(application, at=utc_now(), cost_nanousd=5)
    unpriced = store_run(application, at=utc_now(), cost_nanousd=None)

    diff = diff_runs(application.runs.get(LOCAL, priced), application.runs.get(LOCAL, unpriced))

    cost = next(figure for figure in diff.figures if figure.label == "Cost")
    assert (cost.old, cost.new, cost.change) == (5, None, None)
    reasoning = next(figure for figure in diff.figures if figure.label == "Reasoning tokens")
    assert (reasoning.old, reasoning.new) == (None, None)
