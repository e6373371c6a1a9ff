"""What figures look like on every page."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import formatting as f
from dashboard.components.settings_prices import usd_per_mtok

USD = 1_000_000_000


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (1, "$0.0000000010"),
        (420_000, "$0.00042"),
        (425_000, "$0.00043"),
        (9_949_999, "$0.0099"),
        (9_999_999, "$0.01"),
        (10_000_000, "$0.01"),
        (15_000_000, "$0.02"),
        (USD, "$1.00"),
        (12_340_000_000, "$12.34"),
        (999_994_999_999, "$999.99"),
        (999_995_000_000, "$1,000"),
        (1_234_567 * USD, "$1,234,567"),
        (-420_000, "-$0.00042"),
        (-3 * USD, "-$3.00"),
    ],
)
def test_money(nanousd: int | None, text: str) -> None:
    assert f.money(nanousd) == text


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (420_000, "$0.00042"),
        (12_900_000, "$0.013"),
        (-12_900_000, "-$0.013"),
        (99_400_000, "$0.099"),
        (100_000_000, "$0.10"),
        (12_340_000_000, "$12.34"),
    ],
)
def test_fine_money(nanousd: int | None, text: str) -> None:
    assert f.fine_money(nanousd) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpt-5.4-mini", "gpt-5.4-mini"),
        ("twenty characters ok", "twenty characters ok"),
        ("global.anthropic.claude-haiku-4-5", "global.ant…haiku-4-5"),
    ],
)
def test_a_long_name_keeps_both_ends(name: str, text: str) -> None:
    assert f.shortened(name, 20) == text
    assert len(text) <= 20


@given(st.integers(min_value=1, max_value=10**15))
def test_money_that_was_spent_never_looks_like_nothing(nanousd: int) -> None:
    shown = f.money(nanousd)
    assert shown.startswith("$")
    assert any(digit in shown for digit in "123456789")
    value = float(shown[1:].replace(",", ""))
    # Two significant digits below a cent, half a cent above it, half a dollar from a thousand on.
    tolerance = 0.5 * USD if nanousd >= 999 * USD else 5_000_001 if nanousd >= 10_000_000 else nanousd * 0.051
    assert abs(value * USD - nanousd) <= tolerance


def test_a_sum_of_which_nothing_has_a_price_is_unknown() -> None:
    assert f.money_known(0, 3) == "unknown"
    assert f.money_known(0, 0) == "$0.00"
    assert f.money_known(5 * USD, 3) == "$5.00"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "unknown"),
        (0, "0"),
        (987, "987"),
        (9_999, "9,999"),
        (10_000, "10 k"),
        (12_345, "12.3 k"),
        (99_960, "100 k"),
        (123_456, "123 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (4_560_000, "4.56 M"),
        (1_000_000_000, "1 G"),
        (2_500_000_000_000, "2.5 T"),
        (-12_345, "-12.3 k"),
    ],
)
def test_count(number: int | None, text: str) -> None:
    assert f.count(number) == text


@given(st.integers(min_value=0, max_value=10**14))
def test_count_is_within_half_a_percent(number: int) -> None:
    text, _, unit = f.count(number).partition(" ")
    value = float(text.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit]
    assert abs(value - number) <= number * 0.0051


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "<1 ms"),
        (999, "<1 ms"),
        (1_000, "1 ms"),
        (340_400, "340 ms"),
        (999_499, "999 ms"),
        (999_500, "1.00 s"),
        (1_624_000, "1.62 s"),
        (12_340_000, "12.3 s"),
        (99_940_000, "99.9 s"),
        (99_950_000, "1 min 40 s"),
        (125_000_000, "2 min 5 s"),
        (3_599_600_000, "1 h 0 min"),
        (3 * 3_600_000_000 + 5 * 60_000_000, "3 h 5 min"),
    ],
)
def test_duration(microseconds: float | None, text: str) -> None:
    assert f.duration(microseconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "\N{EN DASH}"),
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 3, "33.3 %"),
        (987, 1000, "98.7 %"),
        (99_999, 100_000, ">99.9 %"),
        (1, 100_000, "<0.1 %"),
    ],
)
def test_percent(part: int, whole: int, text: str) -> None:
    assert f.percent(part, whole) == text


@given(whole=st.integers(min_value=1, max_value=10**9), data=st.data())
def test_100_percent_means_all_and_0_percent_means_none(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(min_value=0, max_value=whole))
    assert (f.percent(part, whole) == "100 %") == (part == whole)
    assert (f.percent(part, whole) == "0 %") == (part == 0)


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (None, 5, None),
        (5, None, None),
        (5, 0, None),
        (0, 5, "-100 %"),
        (5, 5, "0 %"),
        (112, 100, "+12 %"),
        (96.6, 100, "-3.4 %"),
        (101, 100, "+1 %"),
        (1200, 100, "12 times"),
    ],
)
def test_change(now: float | None, before: float | None, text: str | None) -> None:
    assert f.change(now, before) == text


def test_a_share_changes_in_points() -> None:
    assert f.points((99, 100), (97, 100)) == "+2.0 points"
    assert f.points((97, 100), (99, 100)) == "-2.0 points"
    assert f.points((9, 10), (90, 100)) == "0 points"
    assert f.points((0, 0), (90, 100)) is None
    assert f.points((9, 10), (0, 0)) is None


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=44), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=46), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=3, minutes=10), "3 h ago"),
        (timedelta(hours=24), "yesterday"),
        (timedelta(days=4), "4 days ago"),
        (timedelta(days=40), "2026-10-13"),
    ],
)
def test_ago(age: timedelta, text: str) -> None:
    now = datetime(2026, 11, 22, 14, 5, 9, tzinfo=UTC)
    assert f.ago(now - age, now) == text


def test_the_exact_time_and_the_day_are_in_the_zone_that_is_asked_for() -> None:
    moment = datetime(2026, 11, 22, 23, 5, 9, tzinfo=UTC)
    assert f.exact_time(moment, ZoneInfo("Europe/Paris")) == "2026-11-23 00:05:09 CET"
    assert f.day(moment, ZoneInfo("Europe/Paris")) == "23 Nov"
    assert f.day(moment, ZoneInfo("UTC")) == "22 Nov"


@pytest.mark.parametrize(
    ("names", "text"), [(["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")]
)
def test_listed(names: list[str], text: str) -> None:
    assert f.listed(names) == text


def test_tokens_are_none_or_unknown_or_a_figure() -> None:
    assert [f.tokens(number, of=(0, 0)) for number in (0, 0)] == ["\u2013", "\u2013"]
    assert [f.tokens(number, of=(None, None)) for number in (None, None)] == ["unknown", "unknown"]
    assert [f.tokens(number, of=(9, 0)) for number in (9, 0)] == ["9", "0"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1.5", "$1.50"), ("3", "$3.00"), ("0.075", "$0.075"), ("1.50000", "$1.50"), (None, "unknown")],
)
def test_a_price_has_two_decimals_and_more_only_if_it_needs_them(given: str | None, shown: str) -> None:
    assert usd_per_mtok(None if given is None else Decimal(given)) == shown
