"""Axes: round ticks with units, and buckets of a zone's days and hours."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.services.usage import Period, Span, span_of
from dashboard.chart_axes import Unit, buckets_of, figure_text, spread, ticks

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("unit", "maximum", "texts"),
    [
        (Unit.MONEY, 0.56e9, ["$0", "$0.20", "$0.40", "$0.60"]),
        (Unit.MONEY, 37_000, ["$0", "$0.00001", "$0.00002", "$0.00003", "$0.00004"]),
        (Unit.MONEY, 9_300e9, ["$0", "$2,500", "$5,000", "$7,500", "$10,000"]),
        (Unit.DURATION, 7.9e6, ["0", "2 s", "4 s", "6 s", "8 s"]),
        (Unit.DURATION, 340_000, ["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
        (Unit.COUNT, 2, ["0", "1", "2"]),
        (Unit.COUNT, 93, ["0", "25", "50", "75", "100"]),
        (Unit.COUNT, 260_000, ["0", "100 k", "200 k", "300 k"]),
    ],
)
def test_ticks_are_round_and_carry_their_unit(unit: Unit, maximum: float, texts: list[str]) -> None:
    assert list(ticks(unit, maximum).texts) == texts


@example(unit=Unit.MONEY, maximum=5e-324)
@example(unit=Unit.MONEY, maximum=1.0)
@given(unit=st.sampled_from(Unit), maximum=st.floats(min_value=0, max_value=1e15, allow_nan=False))
def test_ticks_cover_the_data_and_differ_from_one_another(unit: Unit, maximum: float) -> None:
    found = ticks(unit, maximum)
    assert found.values[0] == 0
    assert found.top >= maximum * (1 - 1e-6)
    assert len(set(found.texts)) == len(found.texts)
    assert 2 <= len(found.values) <= 7
    gaps = [high - low for low, high in pairwise(found.values)]
    assert max(gaps) <= min(gaps) * (1 + 1e-6)


def test_an_axis_without_data_has_a_scale_all_the_same() -> None:
    assert ticks(Unit.COUNT, 0).texts == ("0", "1")
    assert ticks(Unit.MONEY, 0).values[-1] > 0


def test_figures_beside_a_chart_are_written_as_everywhere() -> None:
    assert figure_text(Unit.MONEY, 420_000) == "$0.00042"
    assert figure_text(Unit.DURATION, 1_624_000) == "1.62 s"
    assert figure_text(Unit.COUNT, 12_345) == "12.3 k"
    assert figure_text(Unit.DURATION, None) == "\N{EN DASH}"


def test_a_week_has_a_bucket_for_each_day_of_the_zone() -> None:
    now = datetime(2026, 10, 28, 12, tzinfo=UTC)
    buckets = buckets_of(span_of(Period.DAYS_7, zone=PARIS, now=now))
    assert buckets.labels == tuple(f"2026-10-{day}" for day in range(22, 29))
    assert buckets.ticks[-1:] == (("Wed 28 Oct 2026", "Wed 28"),)
    # The day on which the clock was set back has 25 hours.
    lengths = {high - low for low, high in pairwise(buckets.starts)}
    assert lengths == {timedelta(hours=24), timedelta(hours=25)}


@pytest.mark.parametrize("period", [Period.DAYS_30, Period.DAYS_90])
def test_a_long_range_names_seven_days_at_most_and_always_the_last(period: Period) -> None:
    buckets = buckets_of(span_of(period, zone=PARIS, now=datetime(2026, 11, 22, 14, tzinfo=UTC)))
    assert len(buckets.ticks) <= 7
    assert buckets.ticks[-1:] == (("Sun 22 Nov 2026", "22 Nov"),)
    assert len(set(buckets.names)) == len(buckets.starts)


def test_a_young_day_shows_all_of_its_hours() -> None:
    buckets = buckets_of(span_of(Period.TODAY, zone=PARIS, now=datetime(2026, 11, 22, 0, 20, tzinfo=UTC)))
    assert len(buckets.starts) == 24
    assert buckets.ticks[0] == ("22 Nov, 00:00", "00:00")


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 3, 29, 12), 23), (datetime(2026, 10, 25, 12), 25)]
)
def test_a_day_on_which_the_clock_is_set_has_its_own_hours(day: datetime, hours: int) -> None:
    buckets = buckets_of(span_of(Period.TODAY, zone=PARIS, now=day.replace(tzinfo=UTC)))
    assert len(buckets.starts) == hours
    assert len(set(buckets.names)) == hours


def test_a_moment_belongs_to_the_bucket_that_has_begun() -> None:
    span = Span(
        since=datetime(2026, 11, 20, tzinfo=UTC),
        until=datetime(2026, 11, 22, 14, tzinfo=UTC),
        compared_until=datetime(2026, 11, 22, 14, tzinfo=UTC),
        previous_since=datetime(2026, 11, 17, tzinfo=UTC),
        previous_until=datetime(2026, 11, 19, 14, tzinfo=UTC),
        grain="day",
        zone=ZoneInfo("UTC"),
    )
    buckets = buckets_of(span)
    assert buckets.index(datetime(2026, 11, 20, tzinfo=UTC)) == 0
    assert buckets.index(datetime(2026, 11, 21, 23, 59, tzinfo=UTC)) == 1
    assert buckets.label(datetime(2026, 11, 22, 9, tzinfo=UTC)) == "2026-11-22"


@given(st.lists(st.floats(min_value=0, max_value=300), max_size=4))
def test_labels_that_would_overlap_move_apart_and_keep_their_order(heights: list[float]) -> None:
    moved = [height + move for height, move in zip(heights, spread(heights, gap=17), strict=True)]
    order = sorted(range(len(heights)), key=lambda index: (heights[index], -index))
    assert min(moved, default=0) >= 0
    for low, high in pairwise(moved[index] for index in order):
        assert high - low >= 17 - 1e-6


def test_labels_that_are_far_apart_stay_where_they_are() -> None:
    assert spread([10, 100, 200], gap=17) == [0, 0, 0]


def test_labels_that_end_at_the_bottom_stay_above_the_axis_in_their_order() -> None:
    heights = [8.0, 8.0, 0.1]
    moved = [height + move for height, move in zip(heights, spread(heights, gap=17), strict=True)]
    assert moved == pytest.approx([34, 17, 0])
