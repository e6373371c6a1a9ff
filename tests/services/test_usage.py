"""The figures behind the overview and the usage page, against runs whose figures are known."""

from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.errors import ErrorCode
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.usage import Period, Span, span_of
from core.storage.records import Dimension, RunFilter, RunStatus, UsageFigures
from tests.support.sample_data import fill
from tests.support.stored_runs import opened_application, store_run

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def total(figures: list[UsageFigures], name: str) -> int:
    return sum(getattr(part, name) for part in figures)


def test_today_begins_at_the_zones_midnight_and_is_compared_with_as_much_of_yesterday() -> None:
    span = span_of(Period.TODAY, zone=PARIS, now=NOW)
    assert span.since == datetime(2026, 11, 21, 23, tzinfo=UTC)
    assert span.until == NOW
    assert span.previous_since == datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert span.compared_until == datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
    assert span.previous_until == datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    assert span.grain == timedelta(hours=1)


@pytest.mark.parametrize(("period", "days"), [(Period.DAYS_7, 7), (Period.DAYS_30, 30), (Period.DAYS_90, 90)])
def test_a_range_of_days_is_today_and_the_days_before(period: Period, days: int) -> None:
    span = span_of(period, zone=ZoneInfo("UTC"), now=NOW)
    assert span.since == datetime(2026, 11, 22, tzinfo=UTC) - timedelta(days=days - 1)
    assert span.compared_until - span.since == span.previous_until - span.previous_since
    assert span.since - span.previous_since == timedelta(days=days)
    assert span.grain == "day"


def test_the_period_before_ends_at_the_same_time_of_day_across_a_change_of_the_clock() -> None:
    # Paris went from UTC+2 to UTC+1 on 25 October 2026.
    after = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
    span = span_of(Period.DAYS_7, zone=PARIS, now=after)
    assert span.since.astimezone(PARIS).isoformat() == "2026-10-22T00:00:00+02:00"
    assert span.previous_until.astimezone(PARIS).isoformat() == "2026-10-21T13:00:00+02:00"
    assert span.previous_since.astimezone(PARIS).isoformat() == "2026-10-15T00:00:00+02:00"


def test_the_overview_counts_each_run_once_in_its_period(application: Application) -> None:
    store_run(application, at=NOW - timedelta(hours=1), cost_nanousd=4_000_000, seconds=2)
    store_run(application, at=NOW - timedelta(days=3), cost_nanousd=None)
    failed = store_run(
        application,
        at=NOW - timedelta(days=2),
        status=RunStatus.FAILED,
        error=ErrorCode.RATE_LIMITED,
        cost_nanousd=0,
    )
    store_run(application, at=NOW - timedelta(days=8), cost_nanousd=1_000_000)
    store_run(application, at=NOW - timedelta(days=20), cost_nanousd=9_000_000)
    overview = application.usage.overview(LOCAL, Period.DAYS_7, zone=ZoneInfo("UTC"), now=NOW)
    now, before = overview.figures, overview.previous
    assert (now.runs, now.succeeded, now.failed, now.unpriced_runs) == (3, 2, 1, 1)
    assert now.cost_nanousd == 4_000_000
    assert (before.runs, before.cost_nanousd, before.unpriced_runs) == (1, 1_000_000, 0)
    assert [run.id for run in overview.last_failures] == [failed]
    assert overview.latency is not None
    assert overview.latency.runs == 3
    assert sum(point.figures.runs for point in overview.series) == 3
    assert [point.start.date().isoformat() for point in overview.series] == [
        "2026-11-19",
        "2026-11-20",
        "2026-11-22",
    ]


@pytest.mark.parametrize(
    ("time", "compared"),
    [((0, 1), 0), ((0, 16), 15), ((23, 59), 23 * 60 + 45)],
    ids=["00:01", "00:16", "23:59"],
)
def test_a_day_is_compared_with_exactly_as_much_of_the_day_before(
    local_application: Application, time: tuple[int, int], compared: int
) -> None:
    """Some runs in each minute around, on both days, in a zone whose midnight is not UTC's."""
    zone = ZoneInfo("Asia/Kolkata")
    hour, minute = time
    now = datetime(2026, 11, 22, hour, minute, 30, tzinfo=zone)
    minutes = (0, 1, 2, 10, 14, 15, 16, 29, 30, *range(23 * 60 + 40, 24 * 60))
    midnight = datetime(2026, 11, 22, tzinfo=zone)
    for offset in minutes:
        at = midnight + timedelta(minutes=offset, seconds=5)
        store_run(local_application, at=at - timedelta(days=1), seconds=1)
        if at <= now:
            store_run(local_application, at=at, seconds=2)
    overview = local_application.usage.overview(LOCAL, Period.TODAY, zone=zone, now=now)
    alike = sum(offset < compared for offset in minutes)
    assert (overview.compared.runs, overview.previous.runs) == (alike, alike)
    assert overview.figures.runs == sum(offset <= hour * 60 + minute for offset in minutes)
    for latency in (overview.compared_latency, overview.previous_latency):
        assert (latency.runs if latency else 0) == alike


def test_an_overview_of_nothing_knows_no_latency(application: Application) -> None:
    overview = application.usage.overview(LOCAL, Period.TODAY, zone=PARIS, now=NOW)
    assert overview.figures == UsageFigures()
    assert overview.latency is None
    assert overview.series == []
    assert overview.last_failures == ()


def test_a_stopped_run_is_not_among_the_failures_and_an_unknown_outcome_is(application: Application) -> None:
    store_run(application, at=NOW, status=RunStatus.CANCELLED, error=ErrorCode.CANCELLED)
    lost = store_run(application, at=NOW, status=RunStatus.OUTCOME_UNKNOWN, error=ErrorCode.OUTCOME_UNKNOWN)
    overview = application.usage.overview(LOCAL, Period.DAYS_7, zone=PARIS, now=NOW)
    assert [run.id for run in overview.last_failures] == [lost]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def _month(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Application]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgresql":
            postgres = request.getfixturevalue("postgres")
            template = request.getfixturevalue("migrated_template")
            patch.setenv("DATABASE_URL", postgres.create_database(template=template))
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path_factory.mktemp("month")))
        patch.chdir(tmp_path_factory.mktemp("empty"))
        with opened_application() as application:
            fill(application, days=31, runs_per_day=20, now=NOW)
            store_run(application, at=NOW - timedelta(hours=2), model="not-folded-yet", cost_nanousd=77)
            yield application


@pytest.fixture
def span() -> Span:
    return span_of(Period.DAYS_30, zone=PARIS, now=NOW)


@pytest.mark.parametrize("split", [Dimension.PROVIDER, Dimension.MODEL, Dimension.AGENT])
def test_every_part_of_a_report_adds_up_to_its_totals(
    _month: Application, span: Span, split: Dimension
) -> None:
    report = _month.usage.report(LOCAL, span, by=split)
    assert report.figures.runs > 300
    for name in UsageFigures.__dataclass_fields__:
        whole = getattr(report.figures, name)
        assert total([point.figures for point in report.breakdown], name) == whole, name
        assert total([point.figures for point in report.series], name) == whole, name
    decided = report.figures.succeeded + report.figures.failed
    assert sum(point.runs for point in report.latency_by) == decided
    assert sum(point.runs for point in report.latency_series) == decided
    ended_badly = report.figures.failed + report.figures.cancelled + report.figures.outcome_unknown
    assert sum(runs for _, runs in report.errors) == ended_badly
    costs = [point.figures.cost_nanousd for point in report.breakdown]
    assert costs == sorted(costs, reverse=True)
    counts = [runs for _, runs in report.errors]
    assert counts == sorted(counts, reverse=True)


def test_a_filter_holds_for_every_part_of_a_report(_month: Application, span: Span) -> None:
    agent = next(agent for agent in _month.agents.list(LOCAL) if agent.name == "Support triage")
    wanted = RunFilter(agent_ids=(agent.id,))
    report = _month.usage.report(LOCAL, span, by=Dimension.MODEL, run_filter=wanted)
    runs = list(_month.runs.iterate(LOCAL, RunFilter(since=span.since, agent_ids=(agent.id,))))
    by_code = Counter(run.summary.error_code for run in runs if run.summary.error_code)
    assert report.figures.runs == len(runs) > 50
    assert report.figures.cost_nanousd == sum(run.summary.cost_nanousd or 0 for run in runs)
    assert {point.key for point in report.breakdown} == {"OPENAI/gpt-5.4-mini"}
    assert sum(point.figures.runs for point in report.series) == len(runs)
    assert dict(report.errors) == dict(by_code)
    decided = [run for run in runs if run.summary.status in (RunStatus.SUCCEEDED, RunStatus.FAILED)]
    assert sum(point.runs for point in report.latency_series) == len(decided)


def test_a_run_that_is_not_folded_yet_is_in_the_figures_at_once(_month: Application, span: Span) -> None:
    report = _month.usage.report(LOCAL, span, by=Dimension.MODEL)
    found = next(point for point in report.breakdown if point.key == "OPENAI/not-folded-yet")
    assert (found.figures.runs, found.figures.cost_nanousd) == (1, 77)
    assert (found.figures.input_cost_nanousd, found.figures.output_cost_nanousd) == (19, 58)
