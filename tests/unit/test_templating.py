import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.services.templating import MissingValues, literal, render, render_all, variables_of


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
    with pytest.raises(InvalidRequest, match=r"Give values for \{\{a\}\}, \{\{c\}\} in the prompt\."):
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


LOOP = "{% for i in range(99999) %}"
DOUBLED = "{% set a = 'x' * 10 %}" + "{% set a = a OP a %}" * 40 + "{{ a }}"
NESTED = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40


@pytest.mark.parametrize(
    "template",
    [
        LOOP * 2 + "{% endfor %}" * 2,
        LOOP * 4 + "{{ i }}" + "{% endfor %}" * 4,
        LOOP + "{% if 'zzz' in big %}{% endif %}{% endfor %}",
        LOOP + "{% if big is eq(big ~ '') %}{% endif %}{% endfor %}",
        LOOP + "{% set y = big[1:] %}{% endfor %}",
        LOOP + "{% set y = big|upper %}{% endfor %}",
        LOOP + "{% set y = big.upper() %}{% endfor %}",
        LOOP + "z" * 100_000 + "{% endfor %}",
        LOOP + "{{ '" + "z" * 100_000 + "' }}{% endfor %}",
        "{% set y %}" + LOOP + "z" * 100_000 + "{% endfor %}{% endset %}",
        LOOP + "{% set a = 1 %}" * 1_000 + "{% endfor %}",
        "{{ range(99999)|map('string')|map('center', 1000000)|list|length }}",
        "{% set ns = namespace(x=[]) %}" + LOOP + "{% set ns.x = [ns.x, 'x' * 2000000] %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}" + LOOP + "{% set ns.x = [ns.x, [1] * 2000000] %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}" + LOOP + "{% set ns.x = [ns.x, range(99999)|list] %}{% endfor %}",
        "{% set a = range(99999)|list %}{{ a|map('default', a)|list|length }}",
    ],
)
def test_a_template_that_would_go_on_and_on_ends(template: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"cannot be rendered: it takes more than 2,000,000 steps\. Shorten"
    ):
        render(template, {"big": "x" * 1_900_000})


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a'|center(999999999) }}",
        "{{ 'a'|indent(999999999) }}",
        "{{ 'a\n'|indent(999999999, true) }}",
        "{{ 'a\n'|indent(big, true) ~ big }}",
        "{% set ns = namespace(x=[1] * 9999) %}{% for i in range(90) %}{% set ns.x = [ns.x] %}{% endfor %}"
        "{{ ns.x|tojson(8) }}",
        "{{ 1.5|round(999999999, 'ceil') }}",
        "{{ range(99999)|join(big) }}",
        "{{ big.join(range(99999)) }}",
        "{{ big|replace('x', big) }}",
        "{{ big.replace('', big) }}",
        "{% filter center(999999999) %}a{% endfilter %}",
        "{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        DOUBLED.replace("OP", "~"),
        DOUBLED.replace("OP", "+"),
        NESTED + "{{ a }}",
        NESTED + "{{ a|string|length }}",
        NESTED + "{{ a ~ '' }}",
    ],
)
def test_what_would_make_much_of_little_is_not_made(template: str) -> None:
    with pytest.raises(InvalidRequest, match="would be longer than 2,000,000 characters"):
        render(template, {"big": "x" * 1_900_000})


def _within(depth: int, before: str, inside: str, after: str) -> str:
    return before * depth + inside + after * depth


DEEP = [
    ("{% for i in [1] %}", "x", "{% endfor %}", 10),
    ("{% for i in [1] if i %}", "x", "{% endfor %}", 10),
    ("{% if 1 %}", "x", "{% endif %}", 10),
    ("{% if 0 %}{% elif 1 %}", "x", "{% endif %}", 10),
    ("{% with a = 1 %}", "x", "{% endwith %}", 10),
    ("{% set a %}", "x", "{% endset %}", 10),
    ("{% filter upper %}", "x", "{% endfilter %}", 10),
]
"""What can be nested: how it begins, what is in the middle, how it ends, and how deep it may be."""


@pytest.mark.parametrize(("before", "inside", "after", "limit"), DEEP)
def test_blocks_may_be_nested_to_a_depth(before: str, inside: str, after: str, limit: int) -> None:
    render(_within(limit, before, inside, after), {})
    variables_of(_within(limit, before, inside, after))
    for depth in (limit + 1, 25, 101):
        template = _within(depth, before, inside, after)
        for read in (lambda: variables_of(template), lambda: render(template, {})):  # noqa: B023 - called at once
            with pytest.raises(InvalidRequest, match="more than 10 loops, conditions or other blocks"):
                read()


@pytest.mark.parametrize(
    ("before", "inside", "after"),
    [
        ("[", "1", "]"),
        ("{1: ", "1", "}"),
        ("(", "1", ",)"),
        ("", "1", " + 1"),
        ("", "1", " and 1"),
        ("-", "1", ""),
        ("not ", "1", ""),
        ("", "'a'", "|trim"),
        ("", "'a'", "|default('b')"),
        ("", "'a'", ".upper()"),
        ("", "'a'", "[:1]"),
        ("", "'a'", "[0]"),
        ("(", "1", " == 1)"),
        ("(", "'a'", " ~ 'b')"),
        ("(", "1", " is number)"),
        ("('b' is in(seq=[", "1", "]))"),
        ("(1 if ", "1", " else 2)"),
        ("range(", "1", ")|length"),
    ],
)
def test_expressions_may_be_nested_to_a_depth(before: str, inside: str, after: str) -> None:
    outcomes: list[str] = []
    for depth in (5, 10, 20, 30, 39, 60, 100, 150, 400):
        template = "{{ " + _within(depth, before, inside, after) + " }}"
        said: list[str] = []
        for read in (lambda: variables_of(template), lambda: render(template, {})):  # noqa: B023 - called at once
            try:
                read()
                said.append("")
            except InvalidRequest as exc:
                said.append(exc.message)
        assert said[0] == said[1]
        outcomes.append(said[0])
    assert outcomes[:2] == ["", ""]
    assert "nested too deep" in outcomes[-1] or "more than 40 operators" in outcomes[-1]


def test_conditions_beside_one_another_are_not_nested() -> None:
    template = "{% if n == '0' %}0" + "".join(f"{{% elif n == '{n}' %}}{n}" for n in range(1, 40))
    assert render(template + "{% endif %}", {"n": "31"}) == "31"


@pytest.mark.parametrize(
    "test", ["'bb' is in(seq=big)", "'bb' is in(*[big])", "'bb' is in(**{'seq': big})", "'bb' is in(big)"]
)
def test_what_a_test_goes_through_is_paid_for_however_it_is_given(test: str) -> None:
    with pytest.raises(InvalidRequest, match="more than 2,000,000 steps"):
        render(f"{LOOP}{{% if {test} %}}{{% endif %}}{{% endfor %}}", {"big": "x" * 1_900_000})
    assert render(f"{{{{ {test} }}}}", {"big": "abb"}) == "True"


@pytest.mark.parametrize("indent", ["100000000", "9", "-1", "'  '", "1.5", "indent=9"])
def test_json_is_indented_by_little(indent: str) -> None:
    with pytest.raises(InvalidRequest, match="tojson indents by 0 to 8 spaces"):
        render(f"{{{{ [[]]|tojson({indent}) }}}}", {})


def test_json_can_be_indented() -> None:
    assert render("{{ [[1]]|tojson(2) }}", {}) == "[\n  [\n    1\n  ]\n]"


def test_the_ends_of_lines_in_values_stay() -> None:
    assert render("a\r\n{{ b }}", {"b": "\r\n"}) == "a\n\r\n"


def test_what_comes_out_has_a_limit_too() -> None:
    with pytest.raises(InvalidRequest, match="makes a text of 2,400,000 characters; the limit is 2,000,000"):
        render("{{ big }}" * 2, {"big": "x" * 1_200_000})
    assert len(render("{{ big }}" * 2, {"big": "x" * 1_000_000})) == 2_000_000


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}", "{% macro %}"),
        ("{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}", "{% block %}"),
        ("{% call x() %}{% endcall %}", "{% callblock %}"),
        ("{% for i in [1] recursive %}{{ loop([1, 2]) }}{% endfor %}", "recursive"),
        ("{{ '%1000000000d'|format(5) }}", "the filter 'format'"),
        ("{{ [1]|slice(999999999)|list }}", "the filter 'slice'"),
        ("{{ x|no_such_filter }}", "There are abs, capitalize, center,"),
    ],
)
def test_what_no_prompt_may_have_is_refused_when_it_is_read(template: str, named: str) -> None:
    for read in (lambda: variables_of(template), lambda: render(template, {"x": "text"})):
        with pytest.raises(InvalidRequest, match=r"wrong in line 1") as caught:
            read()
        assert named in caught.value.message


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ '%1000000000d' % 5 }}", "% on a text"),
        ("{{ '{:1000000000}'.format(5) }}", "format()"),
        ("{{ 'x'.ljust(999999999) }}", "ljust()"),
        ("{{ 'x'.zfill(999999999) }}", "zfill()"),
        ("{{ '\t'.expandtabs(999999999) }}", "expandtabs()"),
        ("{{ (5).to_bytes(99999999, 'big') }}", "to_bytes()"),
        ("{{ lipsum(n=99999999) }}", "{{lipsum}}"),
        ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "Namespace"),
    ],
)
def test_methods_and_functions_that_are_not_known_are_not_called(template: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        render(template, {})
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for l in lines.split(';') if l %}{{ loop.index }}. {{ l|trim }}\n{% endfor %}", "1. a\n2. b\n"),
        ("{% for l in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for l in 'ab' %}{{ l }}{% if not loop.last %}, {% endif %}{% endfor %}", "a, b"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{{ lines.split(';')|map('upper')|map('trim')|join('|') }}", "A|B|"),
        ("{{ [3, 1]|sort|reverse|join(' ') }} {{ 'ab'|reverse }} {{ [1, 1]|unique|list }}", "3 1 ba [1]"),
        ("{{ 'ab'|center(6) }}|{{ 'a\nb'|indent(2) }}|{{ 'aXb'.replace('X', '-') }}", "  ab  |a\n  b|a-b"),
        ("{{ 'a' ~ (1 + 2) }} {{ [1] + [2] }} {{ 7 % 4 }} {{ 1 + 2.5 }}", "a3 [1, 2] 3 3.5"),
        ("{{ missing|default('-') }} {{ missing is defined }} {{ 'a' in lines }}", "- False True"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }} {{ 2.567|round(1) }}", "ab 2.6"),
        ("{{ {'a': [1, none, true]}|tojson }} {{ lines[:1] }}{{ lines[-1] }}", '{"a": [1, null, true]} a;'),
        ("{% set t %}x{{ 1 }}{% endset %}{{ t }}{% with y = 2 %}{{ y }}{% endwith %}", "x12"),
    ],
)
def test_what_prompts_are_written_with_works(template: str, text: str) -> None:
    assert render(template, {"lines": "a; b;"}) == text


def test_long_lists_and_texts_are_fine() -> None:
    lines = "\n".join(f"line {number}" for number in range(10_000))
    template = "{% for l in lines.splitlines() %}{% if '7' in l %}- {{ l|upper }}{% endif %}\n{% endfor %}"
    assert render(template, {"lines": lines}).count("- LINE") == 3_439
    assert len(render("{{ text|trim|upper|replace('X', 'y') }}", {"text": "x" * 1_900_000})) == 1_900_000


def test_small_products_are_fine() -> None:
    assert render("{{ '-' * 5 }} {{ 2 ** 10 }} {{ 3 * 4 }}", {}) == "----- 1024 12"


@given(st.lists(st.sampled_from([*"{}%#a \r\n'\\", "\r\n", "endraw"])).map("".join))
def test_a_literal_renders_to_itself_and_asks_for_nothing(text: str) -> None:
    assert variables_of(literal(text)) == ()
    assert render(literal(text), {}) == text


@pytest.mark.parametrize(
    "text", ["{% endraw %}{{x}}", "{{{x}}}", "{%{{#", "{", "{% raw %}", "plain", "{}\r\n", "{\r{{\r\n", "\r"]
)
def test_a_literal_survives_its_own_marks(text: str) -> None:
    assert render(literal(text), {}) == text


def test_all_templates_without_values_are_named_together() -> None:
    templates = {"prompt": "{{a}} {{b}}", "system prompt": "{{b}} {{c}}"}
    assert render_all(templates, {"a": "1", "b": "2", "c": "3"}) == {"prompt": "1 2", "system prompt": "2 3"}
    with pytest.raises(MissingValues) as caught:
        render_all(templates, {"b": "2"})
    assert caught.value.names == {"prompt": ["a"], "system prompt": ["c"]}
    assert caught.value.message == (
        "Variables have no value. Give values for {{a}} in the prompt and {{c}} in the system prompt."
    )
    with pytest.raises(MissingValues) as caught:
        render_all(templates, {"a": "1", "c": "3"})
    assert caught.value.message == (
        "A variable has no value. Give a value for {{b}} in the prompt and in the system prompt."
    )
