"""The operator's prices: which one is taken, what is refused, and the file that is shipped."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contract import TokenUsage
from core.errors import InvalidInput
from core.pricing.cost import TokenCost, price_tokens
from core.pricing.overrides import (
    NO_OVERRIDES,
    SHIPPED_FILE,
    PriceOverride,
    PriceOverrides,
    load_overrides,
    shipped_overrides,
    utc_day,
)

TODAY = date(2026, 11, 1)
THOUSAND = TokenUsage(
    input_tokens=1_000,
    output_tokens=100,
    total_tokens=1_100,
    cached_input_tokens=400,
    cache_write_input_tokens=100,
)


def override(
    model_pattern: str,
    *,
    provider: str = "OPENAI",
    usd: str = "1",
    cached: str | None = None,
    valid_from: date | None = None,
    source: str = "",
) -> PriceOverride:
    return PriceOverride(
        provider=provider,
        model_pattern=model_pattern,
        input_usd_per_mtok=Decimal(usd),
        output_usd_per_mtok=Decimal(usd) * 2,
        cached_input_usd_per_mtok=None if cached is None else Decimal(cached),
        valid_from=valid_from,
        source=source,
    )


def cost(
    model: str, rows: PriceOverrides, *, base_url: str | None = None, answered_by_model: str | None = None
) -> TokenCost | None:
    return price_tokens(
        "OPENAI",
        model,
        THOUSAND,
        at=datetime(2026, 11, 1, tzinfo=UTC),
        overrides=rows,
        base_url=base_url,
        answered_by_model=answered_by_model,
    )


# Which one.


def test_the_most_specific_is_taken() -> None:
    everything, family, longer, exact = (override(p) for p in ("*", "gpt-*", "gpt-4o*", "gpt-4o"))
    rows = PriceOverrides([everything, family, longer, exact])
    assert rows.find("OPENAI", "gpt-4o", on=TODAY) is exact
    assert rows.find("OPENAI", "gpt-4o-mini", on=TODAY) is longer
    assert rows.find("OPENAI", "GPT-5", on=TODAY) is family
    assert rows.find("OPENAI", "o3", on=TODAY) is everything
    assert rows.find("DEMO", "gpt-4o", on=TODAY) is None
    assert rows.rows == (exact, longer, family, everything)


def test_an_exact_name_is_not_a_beginning() -> None:
    assert PriceOverrides([override("gpt-4o")]).find("OPENAI", "gpt-4o-mini", on=TODAY) is None


def test_of_several_days_the_latest_that_has_begun() -> None:
    always = override("m")
    spring = override("m", valid_from=date(2026, 3, 1))
    autumn = override("m", valid_from=date(2026, 10, 1))
    rows = PriceOverrides([always, spring, autumn])
    assert rows.find("OPENAI", "m", on=date(2026, 2, 28)) is always
    assert rows.find("OPENAI", "m", on=date(2026, 3, 1)) is spring
    assert rows.find("OPENAI", "m", on=date(2026, 10, 1)) is autumn


def test_one_that_has_not_begun_leaves_room_for_a_less_specific_one() -> None:
    family, exact = override("m*"), override("m", valid_from=date(2026, 12, 1))
    assert PriceOverrides([exact, family]).find("OPENAI", "m", on=TODAY) is family


def test_among_equals_the_first_is_taken() -> None:
    first, second = override("m", usd="1"), override("m", usd="2")
    assert PriceOverrides([first, second]).find("OPENAI", "m", on=TODAY) is first


def test_an_operators_word_goes_before_a_shipped_one_however_specific() -> None:
    shipped_exact, shipped_other = override("m-1", valid_from=date(2026, 1, 1)), override("other")
    mine = override("m*")
    rows = PriceOverrides([mine], below=PriceOverrides([shipped_exact, shipped_other]))
    assert rows.find("OPENAI", "m-1", on=TODAY) is mine
    assert rows.find("OPENAI", "other", on=TODAY) is shipped_other


@given(st.permutations([override(p, valid_from=d) for p in ("a", "ab*", "a*", "*") for d in (None, TODAY)]))
def test_the_order_given_matters_only_among_equals(rows: list[PriceOverride]) -> None:
    found = PriceOverrides(rows).find("OPENAI", "ab", on=TODAY)
    assert found is not None
    assert (found.model_pattern, found.valid_from) == ("ab*", TODAY)


# What it costs.


def test_an_override_goes_before_the_catalogue_and_names_its_source() -> None:
    rows = PriceOverrides(
        [override("gpt-4o*", usd="2", valid_from=date(2026, 1, 1), source="contract of January 2026")]
    )
    assert cost("gpt-4o-mini", rows) == TokenCost(
        input_nanousd=500 * 2_000,
        cached_input_nanousd=400 * 2_000,
        cache_write_nanousd=100 * 2_000,
        output_nanousd=100 * 4_000,
        source="override: OPENAI/gpt-4o*, contract of January 2026, since 2026-01-01",
    ), "cached tokens without a price of their own cost as much as other input"


def test_a_cached_price_is_used_where_it_is_given() -> None:
    priced = cost("m", PriceOverrides([override("m", usd="2", cached="0.5")]))
    assert priced is not None
    assert priced.cached_input_nanousd == 400 * 500


def test_an_own_server_has_a_price_when_the_operator_says_so() -> None:
    local = "http://127.0.0.1:8000/v1"
    assert cost("gpt-4o", NO_OVERRIDES, base_url=local) is None
    free = cost("gpt-4o", PriceOverrides([override("*", usd="0", source="our own machines")]), base_url=local)
    assert free is not None
    assert (free.total_nanousd, free.source) == (0, "override: OPENAI/*, our own machines")


def test_the_models_name_in_the_answer_counts_too() -> None:
    rows = PriceOverrides([override("gpt-4o"), override("gpt-4o-2024-08-06", usd="3")])
    priced = cost("gpt-4o", rows, answered_by_model="gpt-4o-2024-08-06")
    assert priced is not None
    assert priced.source == "override: OPENAI/gpt-4o-2024-08-06"
    asked_only = cost("gpt-4o", PriceOverrides([override("gpt-4o")]), answered_by_model="gpt-4o-2024-08-06")
    assert asked_only is not None
    assert asked_only.source == "override: OPENAI/gpt-4o"


# As JSON and YAML.


BASE = {"provider": "OPENAI", "model_pattern": "m", "input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input_usd_per_mtok": 0.15}, 'in quotes, such as "0.15"'),
        ({"input_usd_per_mtok": True}, "in quotes"),
        ({"input_usd_per_mtok": "a lot"}, "is not a decimal number"),
        ({"input_usd_per_mtok": "-1"}, "give US dollars per million tokens, 0 to 100000"),
        ({"input_usd_per_mtok": "NaN"}, "give US dollars"),
        ({"input_usd_per_mtok": "Infinity"}, "give US dollars"),
        ({"cached_input_usd_per_mtok": "100001"}, "cached_input_usd_per_mtok is 100001"),
        ({"output_usd_per_mtok": None}, "needs output_usd_per_mtok"),
        ({"provider": ""}, "needs provider"),
        ({"model_pattern": "  "}, "needs a provider and a model"),
        ({"model_pattern": "gpt*mini"}, "only at the end"),
        ({"valid_from": "soon"}, "is not a day such as 2026-01-31"),
        ({"note": "x" * 501}, "longer than 500"),
        ({"price": "1"}, "has no field price"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_remedy(change: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        PriceOverride.from_mapping({**BASE, **change})


def test_a_time_as_first_day_becomes_its_day_in_utc() -> None:
    row = override("m", valid_from=datetime.fromisoformat("2026-01-31T20:00:00-05:00"))
    assert row.valid_from == date(2026, 2, 1)
    assert type(row.valid_from) is date
    assert utc_day(datetime(2026, 1, 31, 23, 59)) == date(2026, 1, 31)


def test_a_file_is_read_and_its_faults_are_found_by_number(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(
        'overrides:\n- {provider: OPENAI, model_pattern: "m*", valid_from: 2026-01-31,'
        ' input_usd_per_mtok: "0.15", output_usd_per_mtok: 2}\n'
    )
    (row,) = load_overrides(file).rows
    assert (row.input_usd_per_mtok, row.output_usd_per_mtok) == (Decimal("0.15"), 2)
    assert row.valid_from == date(2026, 1, 31)
    file.write_text(file.read_text() + "- {provider: OPENAI}\n")
    with pytest.raises(InvalidInput, match=r"prices\.yaml, entry 2: A price override needs model_pattern"):
        load_overrides(file)


@pytest.mark.parametrize(
    "text", ["", "[]", "overrides: {}", "overrides: [1]", "overrides: [", "overrides: [{1: 2}]"]
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"prices\.yaml"):
        load_overrides(file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_overrides(tmp_path / "missing.yaml")


def test_each_shipped_override_says_where_and_when_it_was_read() -> None:
    assert SHIPPED_FILE.exists()
    for row in shipped_overrides().rows:
        assert "https://" in row.source, row
        assert ", read 20" in row.source, row


def test_the_example_in_the_shipped_file_is_valid(tmp_path: Path) -> None:
    lines = SHIPPED_FILE.read_text().splitlines()
    example = [line.removeprefix("#") for line in lines if line.startswith("#   ")]
    file = tmp_path / "example.yaml"
    file.write_text("\n".join(["overrides:", *example]))
    (row,) = load_overrides(file).rows
    assert row.model_pattern == "gpt-4o-mini*"
