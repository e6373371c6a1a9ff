"""What a page shows when something goes wrong: the remedy, or an id that the log knows; never a trace."""

import logging
import re

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.components.failure import told


def broken_page() -> None:
    from core.errors import StoreNotWritable
    from dashboard.components.failure import show_failure

    show_failure(StoreNotWritable("The disk is full ($0 free in data_dir/*). Free some space."))


def faulty_page() -> None:
    from dashboard.components.failure import show_failure

    def inner() -> None:
        raise ZeroDivisionError("a detail that only the log may have")

    try:
        inner()
    except ZeroDivisionError as exc:
        assert show_failure(exc) is True


def test_an_error_of_ours_is_its_text_with_nothing_taken_for_markup() -> None:
    app = AppTest.from_function(broken_page, default_timeout=30).run()
    assert [error.proto.title for error in app.error] == ["The database cannot be used right now"]
    assert app.error[0].value == r"The disk is full (\$0 free in data\_dir/\*). Free some space."


def test_a_fault_shows_an_id_under_which_the_log_has_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="agent_launcher.dashboard"):
        app = AppTest.from_function(faulty_page, default_timeout=30).run()
    assert not app.exception
    shown = app.error[0].value
    assert "detail" not in shown
    assert "ZeroDivisionError" not in shown
    found = re.search(r"`([0-9a-f]{8})`", shown)
    assert found is not None
    logged = caplog.text[caplog.text.index(found.group(1)) :]
    assert "ZeroDivisionError: a detail that only the log may have" in logged
    assert "in inner" in logged


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Costs $1 in *a_file*.", r"Costs \$1 in \*a\_file\*."),
        # A plain address would become a link to the server that did not answer.
        (
            "http://127.0.0.1:8080/v1 cannot be reached: refused.",
            r"`http://127.0.0.1:8080/v1` cannot be reached\: refused.",
        ),
        ("Ask https://host.example/a_b?c=d. Then wait.", "Ask `https://host.example/a_b?c=d`. Then wait."),
        (
            "Start it (`ollama serve`), or correct OLLAMA_HOST.",
            r"Start it (`ollama serve`), or correct OLLAMA\_HOST.",
        ),
        ("One ` alone, and [a link](javascript:1)", r"One \` alone, and \[a link\](javascript\:1)"),
        ("", ""),
    ],
)
def test_an_error_shows_its_commands_and_addresses_as_code_and_the_rest_as_it_is(
    text: str, markdown: str
) -> None:
    assert told(text) == markdown
