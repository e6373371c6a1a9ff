import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.services.json_text import parse_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4))
def test_any_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value), what="The context") == value


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parse_object(text, what="The context")
    except InvalidInput as exc:
        assert str(exc).startswith("The context ")


@pytest.mark.parametrize("text", ["", "  \n", "{}", " { } "])
def test_nothing_is_no_object(text: str) -> None:
    assert parse_object(text, what="The context") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n  "a": 1,\n  "b" 2\n}', "Line 3, column 7: expecting ':' delimiter."),
        ('{"a": 1,\n}', "Line 2, column 1"),
        ('{"a": 1,\n}', "comma"),
        ("{'a': 1}", "(JSON uses double quotes)"),
        ('{"a": 1} trailing', "Line 1, column 10: extra data."),
        ("[1, 2]", 'must be a JSON object, such as {"customer": 7}, not a list.'),
        ('"text"', "not a text."),
        ("null", "not null."),
        ("12", "not a number."),
        ('{"a": NaN}', "has NaN, which is no JSON number."),
        ('{"a": {"b": 1, "b": 2}}', "has the name 'b' twice"),
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' + "1" * 5_000 + "}", "too many digits"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_object(text, what="The context")
    assert says in str(caught.value)
    assert str(caught.value).startswith("The context ")
