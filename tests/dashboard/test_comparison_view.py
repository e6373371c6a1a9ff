"""The cards of columns side by side: one height for all answers, in which nothing is cut."""

from dataclasses import replace
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from core.services.run_view import RunView
from core.storage.records import RunStatus
from dashboard import formatting
from dashboard.components.playground_comparison import answer_height
from dashboard.components.playground_result import facts_line


def run(*, text: str = "", code: str | None = None, status: RunStatus = RunStatus.SUCCEEDED) -> RunView:
    return RunView(
        run_id=UUID(int=1),
        status=RunStatus.FAILED if code else status,
        provider="DEMO",
        model="demo-error",
        text=text,
        error_code=code,
        error_message="The demo model demo-error always fails." if code else None,
    )


def test_the_longest_answer_gives_the_height_within_bounds() -> None:
    assert answer_height([], 3) == answer_height([run(text="Short.")], 3) == 96
    assert 96 < answer_height([run(text="Short."), run(text="word " * 60)], 3) < 420
    assert answer_height([run(text="word " * 2_000)], 3) == 420
    # Six in one row of a window of 1920 pixels: these are 13 lines there.
    assert answer_height([run(text="Answer word " * 29)], 6) >= 13 * 24
    assert answer_height([run(text="word " * 60)], 2) < answer_height([run(text="word " * 60)], 3)


@pytest.mark.parametrize("code", ["PROVIDER_UNAVAILABLE", "A_CODE_OF_LATER"])
def test_a_failure_has_room_for_its_remedy(code: str) -> None:
    # In a card of three columns at 1280 pixels the box and its remedy take 241 pixels.
    known = code == "PROVIDER_UNAVAILABLE"
    assert answer_height([run(code=code)], 3) >= (260 if known else 128)
    assert answer_height([run(code=code, text="Half. " * 10)], 3) > answer_height([run(code=code)], 3)


def test_a_stopped_run_needs_no_room_for_a_remedy() -> None:
    stopped = run(text="Half.", status=RunStatus.CANCELLED)
    assert answer_height([stopped], 3) == 96


def test_the_facts_break_between_words_and_leave_out_what_is_not() -> None:
    retried = replace(run(text="Done."), attempt=2, retry_reason="PROVIDER_UNAVAILABLE", elapsed_us=2_000_000)
    assert facts_line(retried).startswith("2.00 s (2 attempts\\: provider unavailable)")
    nothing_sent = replace(run(code="RATE_LIMITED"), input_tokens=0, output_tokens=0, elapsed_us=19_000)
    assert formatting.NO_VALUE not in facts_line(nothing_sent)
    assert "tokens" not in facts_line(nothing_sent)


def shown_figures() -> None:
    from dataclasses import replace
    from uuid import UUID

    from core.services.run_view import RunView
    from core.storage.records import RunStatus
    from dashboard.components.playground_result import figures

    done = RunView(
        run_id=UUID(int=1), status=RunStatus.SUCCEEDED, provider="DEMO", model="demo-flaky", text="Done."
    )
    figures(
        replace(done, attempt=2, retry_reason="PROVIDER_UNAVAILABLE", elapsed_us=2_000_000, cost_nanousd=0)
    )


def test_what_is_long_to_say_of_a_figure_stands_below_all_of_them() -> None:
    app = AppTest.from_function(shown_figures, default_timeout=30).run()
    assert not app.exception
    latency = next(element.value for element in app.markdown if "Latency" in element.value)
    assert "attempts" not in latency
    assert [element.value for element in app.caption] == ["2 attempts\\: provider unavailable"]
    # What is short stays with its figure.
    assert any("offline demo" in element.value for element in app.markdown)
