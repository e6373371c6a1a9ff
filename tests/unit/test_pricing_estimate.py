"""What a request may cost before it is sent."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pricing.estimate import TOKENS_PER_MESSAGE_AT_MOST, Estimate, estimate
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides

AT = datetime(2026, 11, 1, tzinfo=UTC)


def openai(
    *texts: str,
    model: str = "gpt-4o-mini",
    max_tokens: int | None = None,
    expected_output_tokens: int | None = None,
    attachments: int = 0,
) -> Estimate:
    return estimate(
        "OPENAI",
        model,
        texts=texts,
        overrides=NO_OVERRIDES,
        max_tokens=max_tokens,
        expected_output_tokens=expected_output_tokens,
        attachments=attachments,
        at=AT,
    )


def test_a_prompt_with_a_limit_has_a_range() -> None:
    found = openai("x" * 600, "", max_tokens=1_000)
    # 0.15 and 0.60 dollars per million are 150 and 600 nano-dollars a token.
    assert found == Estimate(
        input_tokens_low=101,
        input_tokens_high=310,
        output_tokens_low=0,
        output_tokens_high=1_000,
        cost_low_nanousd=101 * 150,
        cost_high_nanousd=310 * 150 + 1_000 * 600,
        source=found.source,
    )
    assert found.priced
    assert found.source is not None
    assert "openai/gpt-4o-mini" in found.source


def test_an_expectation_narrows_the_output_and_a_limit_ends_it() -> None:
    assert (openai("x", expected_output_tokens=100).output_tokens_low) == 50
    assert (openai("x", expected_output_tokens=100).output_tokens_high) == 200
    assert (openai("x", expected_output_tokens=100, max_tokens=120).output_tokens_high) == 120
    limited = openai("x", expected_output_tokens=1_000, max_tokens=100)
    assert (limited.output_tokens_low, limited.output_tokens_high) == (100, 100)


def test_without_a_limit_there_is_a_low_end_only() -> None:
    found = openai("x" * 600)
    assert found.output_tokens_high is None
    assert found.cost_low_nanousd == 101 * 150
    assert found.cost_high_nanousd is None
    assert found.priced


def test_attachments_have_no_known_end() -> None:
    found = openai("x", max_tokens=10, attachments=1)
    assert found.input_tokens_high is None
    assert found.cost_high_nanousd is None
    assert found.cost_low_nanousd == 150


def test_an_unknown_price_has_tokens_but_no_cost() -> None:
    found = openai("x" * 600, model="a-model-nobody-lists", max_tokens=10)
    assert found.input_tokens_high == 310
    assert (found.cost_low_nanousd, found.cost_high_nanousd, found.source, found.priced) == (
        None,
        None,
        None,
        False,
    )


def test_the_demo_is_free_without_any_limit() -> None:
    found = estimate("DEMO", "demo-echo", texts=["hello"], overrides=NO_OVERRIDES, attachments=2)
    assert (found.cost_low_nanousd, found.cost_high_nanousd, found.source) == (0, 0, "offline demo")


def test_an_override_and_a_server_count_as_in_a_run() -> None:
    row = PriceOverride(
        provider="OPENAI", model_pattern="*", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(1)
    )
    local = "http://127.0.0.1:8000/v1"
    unknown = estimate("OPENAI", "gpt-4o", texts=["x"], overrides=NO_OVERRIDES, base_url=local)
    assert not unknown.priced
    found = estimate(
        "OPENAI", "gpt-4o", texts=["x"], overrides=PriceOverrides([row]), base_url=local, max_tokens=5
    )
    assert (found.cost_low_nanousd, found.cost_high_nanousd) == (1_000, 16_000)


def test_a_limit_that_nothing_can_cost_has_no_upper_price() -> None:
    found = openai("x", max_tokens=10**15)
    assert found.cost_high_nanousd is None
    assert found.output_tokens_high == 10**15


@given(
    st.lists(st.text(max_size=400), max_size=5), st.integers(1, 10_000), st.none() | st.integers(0, 20_000)
)
def test_the_range_is_a_range(texts: list[str], max_tokens: int, expected: int | None) -> None:
    found = openai(*texts, max_tokens=max_tokens, expected_output_tokens=expected)
    assert found.input_tokens_high is not None
    assert found.output_tokens_high is not None
    assert found.cost_low_nanousd is not None
    assert found.cost_high_nanousd is not None
    assert 0 <= found.input_tokens_low <= found.input_tokens_high
    assert 0 <= found.output_tokens_low <= found.output_tokens_high <= max_tokens
    assert 0 <= found.cost_low_nanousd <= found.cost_high_nanousd


# Text, and its tokens as tiktoken 0.14.0 counts them with o200k_base and cl100k_base.
COUNTED = [
    ("Summarise the following report in three sentences and name the largest risk for the operator.", 18, 18),
    ("Berlin ist die Hauptstadt und zugleich ein Land der Bundesrepublik Deutschland.", 14, 17),
    ("请用三句话总结下面的报告，并指出其中最大的风险。", 14, 25),  # noqa: RUF001 - Chinese punctuation
    ("Кратко изложите следующий отчёт и назовите главный риск.", 15, 24),
    ("निम्नलिखित रिपोर्ट को तीन वाक्यों में संक्षेप में बताइए।", 21, 54),
    ("def total(rows: list[int]) -> int:\n    return sum(row * 2 for row in rows if row > 0)\n", 27, 27),
    (
        '[\n  {\n    "id": 17,\n    "price": 25.5,\n    "tags": [\n      "a",\n      "b"\n    ]\n  }\n]',
        37,
        37,
    ),
]


@pytest.mark.parametrize(("text", "o200k", "cl100k"), COUNTED)
def test_real_texts_lie_in_the_band(text: str, o200k: int, cl100k: int) -> None:
    found = openai(text, max_tokens=1)
    assert found.input_tokens_high is not None
    band = range(found.input_tokens_low, found.input_tokens_high - TOKENS_PER_MESSAGE_AT_MOST + 1)
    assert o200k in band
    assert cl100k in band
