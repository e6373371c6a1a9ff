"""The table in `docs/faults.md` is true: each of its cells is run, stored and compared, for each provider.

Time is the tests' where a run waits between two requests (`Clock`), and real everywhere else.
"""

import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pytest

from core.errors import ErrorCode
from core.execution.local import LocalExecutor
from core.execution.retrying import MAX_REQUESTS_PER_RUN, RetryPolicy
from core.interruption import Limits
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.live_runs import RunOutcome
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.runs import RunService
from core.settings import ensure_data_dir, load_settings
from core.storage.records import AttemptRecord, RunDetail, RunStatus
from tests.contract.conftest import CANARY
from tests.contract.dialects import BUILT_IN, DIALECTS
from tests.contract.dialects.base import Answer, Dialect, Failure
from tests.contract.fault_scenes import SCENES, Scene
from tests.support.environment import ROOT
from tests.support.vendor_server import VendorServer

PAGE: Final = ROOT / "docs" / "faults.md"
WAYS: Final = ("whole", "streamed")
GRACE_S: Final = 1.0


@dataclass(frozen=True)
class Cell:
    """What one fault comes to, in the table's words."""

    code: str
    retryable: str
    requests: str
    attempts: str
    tokens: str
    text: str

    @classmethod
    def of(cls, row: Mapping[str, str]) -> "Cell":
        return cls(
            *(row[name].strip("`") for name in ("Code", "Retry", "Requests", "Attempts", "Tokens", "Text"))
        )


def _tables() -> Iterator[list[dict[str, str]]]:
    text = PAGE.read_text(encoding="utf-8")
    for found in re.finditer(r"(?m)(?:^\|.*\|\n)+", text):
        head, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()
        )
        yield [dict(zip(head, row, strict=True)) for row in rows]


def _ways(row: Mapping[str, str]) -> Sequence[str]:
    return WAYS if row["Asked"] == "both" else (row["Asked"],)


COMMON, APART = (table for table in _tables() if table and "Code" in table[0])
DIFFERS: Final = {
    (row["Fault"], name.strip(), way): Cell.of(row)
    for row in APART
    for name in row["Provider"].split(",")
    for way in _ways(row)
}
TABLE: Final = {
    (row["Fault"], name, way): DIFFERS.get((row["Fault"], name, way), Cell.of(row))
    for row in COMMON
    for name, dialect in DIALECTS.items()
    for way in _ways(row)
    # Of a package's provider the tables do not say what its vendor has no sign for.
    if name in BUILT_IN or SCENES[row["Fault"]](dialect, way == "streamed") is not None
}
CANNOT: Final = "cannot happen"


@dataclass
class Clock:
    """Lets the time between two requests pass at once: the deadline comes nearer by as much.

    Attributes:
        waited: Each wait of the run, in seconds.
    """

    waited: list[float] = field(default_factory=list[float])

    def pause(self, limits: Limits, seconds: float) -> None:
        """See `RetryPolicy.pause`."""
        self.waited.append(seconds)
        assert limits.deadline is not None
        limits.deadline -= seconds
        limits.check()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Generator[Application]:
    """An installation on SQLite that knows a price for each vendor's model."""
    settings = load_settings({"AGENT_LAUNCHER_DATA_DIR": str(tmp_path_factory.mktemp("faults"))})
    ensure_data_dir(settings)
    application = Application.open(settings, kind="test")
    for dialect in DIALECTS.values():
        if not registry.get_spec(dialect.provider).self_hosted:
            application.prices.add_override(
                LOCAL,
                provider=dialect.provider,
                model_pattern=dialect.model,
                input_usd_per_mtok="1",
                output_usd_per_mtok="2",
            )
    yield application
    application.close()


@pytest.fixture(scope="module")
def waste() -> Generator[Executor]:
    """Where servers are ended that nobody asks any more: it takes a moment, for each of the cells."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def vendor(waste: Executor) -> Generator[VendorServer]:
    """A server for one cell; it may be asked more often than it answers well."""
    server = VendorServer().start()
    yield server
    waste.submit(server.stop)


def runs_of(application: Application, policy: RetryPolicy | None = None) -> RunService:
    return RunService(
        store=application.store,
        executor=LocalExecutor(),
        credentials=application.credentials,
        prices=application.prices,
        presence=application.presence,
        default_timeout_seconds=30,
        retry_policy=policy,
    )


def spec_for(dialect: Dialect, url: str, deadline_s: float) -> RunSpec:
    config = AgentConfig(
        provider=dialect.provider,
        model_name=dialect.model,
        timeout_seconds=deadline_s,
        **dialect.connection(url),
    )
    return RunSpec(config=config, prompt="What is the capital of France?", api_key=CANARY)


def test_the_table_has_a_row_for_each_fault_and_no_other() -> None:
    assert {row["Fault"] for row in COMMON} == set(SCENES)
    once = [(row["Fault"], way) for row in COMMON for way in _ways(row)]
    assert len(set(once)) == len(once)


def test_what_is_said_to_differ_differs_and_has_its_reason() -> None:
    common = {(row["Fault"], way): row for row in COMMON for way in _ways(row)}
    for (fault, name, way), cell in DIFFERS.items():
        assert cell != Cell.of(common[fault, way]), (fault, name, way)
        assert name in common[fault, way]["Differs"], (fault, name, way)
    named = {(row["Fault"], n.strip()) for row in COMMON for n in row["Differs"].split(",") if n.strip()}
    assert named == {(fault, name) for fault, name, _ in DIFFERS}
    assert all(len(row["Why"]) > 15 for row in APART)


def test_the_table_promises_no_more_than_three_requests() -> None:
    counts = [
        int(c) for cell in TABLE.values() if cell.code != CANNOT for c in (cell.requests, cell.attempts)
    ]
    assert max(counts) == MAX_REQUESTS_PER_RUN


@pytest.mark.parametrize(("fault", "name", "way"), TABLE, ids=lambda value: re.sub(r"[^\w]+", "-", value))
def test_cell(
    application: Application, vendor: VendorServer, nobody_url: str, fault: str, name: str, way: str
) -> None:
    expected, dialect, streamed = TABLE[fault, name, way], DIALECTS[name], way == "streamed"
    scene = SCENES[fault](dialect, streamed)
    if scene is None:
        assert expected.code == CANNOT
        return
    clock, deltas = Clock(), list[str]()
    runs = runs_of(application, RetryPolicy(pause=clock.pause))
    if scene.replies:
        vendor.will(*scene.replies[:-1])
        vendor.otherwise(scene.replies[-1])
    spec = spec_for(dialect, nobody_url if scene.nobody else vendor.url, scene.deadline_s)
    began = time.monotonic()
    outcome = runs.run(LOCAL, spec, on_delta=deltas.append if streamed else None)
    took = time.monotonic() - began
    requests, connections = len(vendor.requests), vendor.connections
    detail = runs.get(LOCAL, outcome.run_id)
    assert seen(outcome, detail, requests, scene) == expected

    assert took + sum(clock.waited) <= scene.deadline_s + GRACE_S
    assert len(clock.waited) == len(detail.attempts) - 1
    if scene.waits is not None:
        assert clock.waited == list(scene.waits)
    assert_agree(outcome, detail)
    assert max(requests, connections) <= MAX_REQUESTS_PER_RUN
    if scene.read:
        assert len(detail.attempts) == requests
    elif not scene.nobody:
        assert len(detail.attempts) == connections
    if streamed:
        assert "".join(deltas) == (detail.response or "")


def seen(outcome: RunOutcome, detail: RunDetail, requests: int, scene: Scene) -> Cell:
    """What happened, in the table's words; the run as it is stored."""
    error, response = outcome.response.error, detail.response
    whole = scene.answer.text
    if response == whole:
        text = "all"
    elif response:
        assert whole.startswith(response)
        text = "part"
    else:
        text = "none"
    known = {tokens_of(attempt) for attempt in detail.attempts}
    return Cell(
        code=detail.summary.error_code or detail.summary.status.value,
        retryable="" if error is None else "yes" if error.retryable else "no",
        requests=str(requests),
        attempts=str(len(detail.attempts)),
        tokens=next(word for word in ("unknown", "known", "none") if word in known),
        text=text,
    )


def tokens_of(attempt: AttemptRecord) -> str:
    """What is known of an attempt's tokens."""
    if attempt.input_tokens is None:
        assert attempt.output_tokens is None
        return "unknown"
    return "known" if attempt.input_tokens else "none"


def assert_agree(outcome: RunOutcome, detail: RunDetail) -> None:
    """The run's caller and the store say the same, and no attempt is priced that cannot be."""
    error, attempts, summary = outcome.response.error, detail.attempts, detail.summary
    assert outcome.stored
    assert summary.error_code == (error.code if error else None)
    assert summary.error_code != ErrorCode.INTERNAL_ERROR
    assert summary.status is (RunStatus.FAILED if error else RunStatus.SUCCEEDED)
    assert (detail.response or "") == (outcome.response.response or "")
    assert summary.attempts == outcome.attempts == len(attempts)
    assert [attempt.ordinal for attempt in attempts] == list(range(1, len(attempts) + 1))
    assert [attempt.final for attempt in attempts] == [False] * (len(attempts) - 1) + [True]
    assert attempts[-1].error_code == summary.error_code
    assert all(attempt.error_retryable for attempt in attempts[:-1])
    if error is not None:
        assert outcome.response.finish_reason not in {
            "stop",
            "length",
        }  # a cut answer is never called complete

    free = registry.get_spec(summary.provider).self_hosted
    for attempt in attempts:
        cost, tokens = attempt.tokens_cost_nanousd, tokens_of(attempt)
        if free or tokens == "none":
            assert cost == 0
        elif tokens == "unknown":
            assert cost is None
        else:
            assert cost is not None
            assert cost > 0
    costs = [attempt.tokens_cost_nanousd for attempt in attempts]
    assert summary.cost_nanousd == (None if None in costs else sum(cost or 0 for cost in costs))


def test_two_seconds_that_the_vendor_asks_for_are_really_waited(application: Application) -> None:
    """On the real clock; all of them at once."""
    runs = runs_of(application)
    vendors = {name: VendorServer().start() for name in DIALECTS}
    try:
        for name, vendor in vendors.items():
            dialect = DIALECTS[name]
            vendor.will(
                dialect.failure(Failure.RATE_LIMIT).with_headers({"Retry-After": "2"}),
                dialect.streamed(dialect.events(Answer())),
            )
        lives = runs.start_many(LOCAL, [spec_for(DIALECTS[n], v.url, 30) for n, v in vendors.items()])
        for live in lives:
            outcome = live.wait(20)
            assert outcome is not None
            assert (outcome.status, outcome.attempts) == (RunStatus.SUCCEEDED, 2)
            began, again = (record.started_at for record in outcome.records)
            assert 2 <= (again - began).total_seconds() < 2 + GRACE_S
    finally:
        runs.close()
        for vendor in vendors.values():
            vendor.stop()
