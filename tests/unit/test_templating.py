import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.services.templating import literal, render, variables_of


def test_variables_come_once_in_order_of_appearance_over_all_templates() -> None:
    assert variables_of("You serve {{product}}.", "{{ message }} for {{product}}, {{a}}") == (
        "product",
        "message",
        "a",
    )


def test_a_name_that_is_part_of_a_word_before_it_keeps_its_place() -> None:
    assert variables_of("banana {{b}} then {{a}}") == ("b", "a")


@pytest.mark.parametrize("template", [None, "", "no braces", 'JSON: {"a": 1}', "{% raw %}{{x}}{% endraw %}"])
def test_what_asks_for_nothing_has_no_variables(template: str | None) -> None:
    assert variables_of(template) == ()


def test_loop_variables_and_what_the_template_sets_are_not_asked_for() -> None:
    assert variables_of("{% set n = 1 %}{% for line in lines.split(';') %}{{line}}{{n}}{% endfor %}") == (
        "lines",
    )


def test_values_are_filled_in() -> None:
    template = "Hello {{ name|upper }}{% if city %} of {{ city }}{% endif %}\n"
    assert render(template, {"name": "ada", "city": "London"}) == "Hello ADA of London\n"


def test_values_are_text_and_no_templates() -> None:
    assert render("{{ text }}", {"text": "{{ secret }} <b>"}) == "{{ secret }} <b>"


def test_all_missing_values_are_named() -> None:
    with pytest.raises(InvalidRequest, match=r"Give a value for \{\{a\}\}, \{\{c\}\}\."):
        render("{{a}} {{b}} {{c}}", {"b": "here"})


def test_a_default_in_the_template_stands_in() -> None:
    assert render("{{ tone | default('friendly') }}", {}) == "friendly"


@pytest.mark.parametrize("template", ["{{ name", "{% if %}", "{{ a b }}", "line 1\n{% endfor %}", "{{ }}"])
def test_wrong_syntax_says_the_line_and_how_to_write_it(template: str) -> None:
    for read in (lambda: variables_of(template), lambda: render(template, {})):
        with pytest.raises(InvalidRequest, match=r"wrong in line \d") as caught:
            read()
        assert "{% raw %}" in caught.value.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.format.__globals__ }}",
        "{{ range(10**9) | list }}",
        "{{ 'a' * 10**10 }}",
        "{{ 10**10**10 }}",
        "{{ 1 / 0 }}",
        "{{ x + 1 }}",
        "{{ x | no_such_filter }}",
        "{% include 'etc' %}",
    ],
)
def test_what_a_template_may_not_do_is_an_error_and_no_crash(template: str) -> None:
    with pytest.raises(InvalidRequest):
        render(template, {"x": "text"})


def test_small_products_are_fine() -> None:
    assert render("{{ '-' * 5 }} {{ 2 ** 10 }} {{ 3 * 4 }}", {}) == "----- 1024 12"


@given(st.text(alphabet=st.sampled_from("{}%#a \n'endraw")).filter(lambda text: "\r" not in text))
def test_a_literal_renders_to_itself_and_asks_for_nothing(text: str) -> None:
    assert variables_of(literal(text)) == ()
    assert render(literal(text), {}) == text


@pytest.mark.parametrize("text", ["{% endraw %}{{x}}", "{{{x}}}", "{%{{#", "{", "{% raw %}", "plain"])
def test_a_literal_survives_its_own_marks(text: str) -> None:
    assert render(literal(text), {}) == text
