"""Exports: what a file holds, that it is written piece by piece, and how its job begins and ends."""

import csv
import io
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core import ids
from core.contract import Attachment, TokenUsage, utc_now
from core.errors import ErrorCode, NotFound, StoreUnavailable
from core.services import export_jobs
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.export import COLUMNS, ExportFormat, export_runs
from core.services.export_jobs import ExportJob, ExportService, ExportState
from core.services.principal import LOCAL, Principal
from core.services.run_spec import RunSpec
from core.services.run_view import view_of_detail
from core.services.runs import RunService
from core.storage.records import RunDetail, RunFilter, RunStatus
from tests.contract.dialects.base import Answer, Failure
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.stored_runs import store_run
from tests.support.vendor_server import VendorServer

EVERYTHING = RunFilter()
OTHERS = Principal(id="someone", project_id="another-project")


def exported(application: Application, form: ExportFormat, run_filter: RunFilter = EVERYTHING) -> str:
    return b"".join(export_runs(application.runs, LOCAL, run_filter, form=form)).decode()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_in_csv_has_exact_figures_and_empty_cells_for_what_is_unknown(application: Application) -> None:
    at = utc_now()
    priced = store_run(application, at=at - timedelta(minutes=2), cost_nanousd=1_234_567, seconds=0.5)
    unpriced = store_run(application, at=at, model="own-model", cost_nanousd=None)

    newest, oldest = rows(exported(application, ExportFormat.CSV))

    assert (newest["id"], oldest["id"]) == (str(unpriced), str(priced))
    assert (oldest["cost_usd"], newest["cost_usd"]) == ("0.001234567", "")
    assert (oldest["latency_ms"], oldest["first_token_ms"]) == ("500.0", "")
    assert (oldest["input_tokens"], oldest["output_tokens"]) == ("100", "50")
    assert (oldest["prompt"], oldest["response"], oldest["status"]) == ("Say hello.", "Hello.", "SUCCEEDED")
    assert datetime.fromisoformat(oldest["created_at"]).tzinfo == UTC


def test_json_lines_have_the_whole_request_and_every_attempt(application: Application) -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-flaky", system_prompt="Be brief", max_tokens=40),
        prompt="Hello",
        context={"tier": "gold"},
        attachments=[Attachment(media_type="image/png", data="aGVsbG8=", name="x.png")],
    )
    outcome = application.runs.run(LOCAL, spec)

    (document,) = documents(exported(application, ExportFormat.JSONL))

    assert document["id"] == str(outcome.run_id)
    assert document["request"]["system_prompt"] == "Be brief"
    assert document["request"]["context"] == {"tier": "gold"}
    assert document["request"]["attachments"][0]["name"] == "x.png"
    assert [attempt["status"] for attempt in document["attempts"]] == ["FAILED", "SUCCEEDED"]
    assert [attempt["error_code"] for attempt in document["attempts"]] == ["RATE_LIMITED", None]
    assert (document["cost_usd"], document["attempts"][1]["price_source"]) == (0, "offline demo")
    assert document["reasoning_tokens"] == 0  # the refused try used none, and the demo says so of itself


def test_an_export_holds_what_the_filter_finds_and_nothing_of_another_project(
    application: Application,
) -> None:
    failed = store_run(application, at=utc_now(), status=RunStatus.FAILED, error=ErrorCode.RATE_LIMITED)
    store_run(application, at=utc_now())

    found = rows(exported(application, ExportFormat.CSV, RunFilter(statuses=(RunStatus.FAILED,))))

    assert [(row["id"], row["error_code"]) for row in found] == [(str(failed), "RATE_LIMITED")]
    assert (
        rows(b"".join(export_runs(application.runs, OTHERS, EVERYTHING, form=ExportFormat.CSV)).decode())
        == []
    )


def test_an_export_of_nothing_is_a_heading_alone(application: Application) -> None:
    assert exported(application, ExportFormat.CSV) == ",".join(COLUMNS) + "\r\n"
    assert exported(application, ExportFormat.JSONL) == ""


def test_tokens_written_to_a_prompt_cache_have_a_column(local_application: Application) -> None:
    outcome = local_application.runs.run(
        LOCAL, RunSpec(config=AgentConfig(provider="DEMO", model_name="demo-echo"), prompt="Hello")
    )
    written = outcome.records[-1].cache_write_input_tokens
    (row,) = rows(exported(local_application, ExportFormat.CSV))
    assert row["cache_write_input_tokens"] == ("" if written is None else str(written))
    (document,) = documents(exported(local_application, ExportFormat.JSONL))
    assert document["cache_write_input_tokens"] == written


@pytest.mark.parametrize("prompt", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_text_that_a_spreadsheet_would_run_is_made_text(
    local_application: Application, prompt: str
) -> None:
    store_run(local_application, at=utc_now(), prompt=prompt)

    (row,) = rows(exported(local_application, ExportFormat.CSV))

    assert row["prompt"] == "'" + prompt
    (document,) = documents(exported(local_application, ExportFormat.JSONL))
    assert document["request"]["prompt"] == prompt


def test_texts_come_back_as_they_were(local_application: Application) -> None:
    prompt = 'Quotes " and, commas\r\nlines\n\n"日本" \N{GRINNING FACE} \\n'
    store_run(local_application, at=utc_now(), prompt=prompt)

    assert rows(exported(local_application, ExportFormat.CSV))[0]["prompt"] == prompt
    assert documents(exported(local_application, ExportFormat.JSONL))[0]["request"]["prompt"] == prompt


def test_list_detail_and_export_agree_on_the_tokens_of_a_run_whose_first_try_was_refused(
    local_application: Application, vendor: VendorServer
) -> None:
    dialect = OpenAIDialect()
    usage = TokenUsage(
        input_tokens=100, output_tokens=50, total_tokens=150, cached_input_tokens=40, reasoning_tokens=20
    )
    vendor.will(dialect.failure(Failure.RATE_LIMIT), dialect.whole(Answer(usage=usage)))
    connection = dialect.connection(vendor.url)
    spec = RunSpec(
        config=AgentConfig(provider="OPENAI", model_name="gpt-4o", base_url=connection["base_url"]),
        prompt="Hello",
        api_key=connection.get("api_key", "sk-proj-abcdefghijklmnop4f2a"),
    )
    outcome = local_application.runs.run(LOCAL, spec)
    assert (outcome.status, outcome.attempts) == (RunStatus.SUCCEEDED, 2)

    (row,) = rows(exported(local_application, ExportFormat.CSV))
    detail = local_application.runs.get(LOCAL, outcome.run_id)
    view = view_of_detail(detail)

    names = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
    assert [row[name] for name in names] == ["100", "50", "40", "20"]
    assert [getattr(view, name) for name in names] == [100, 50, 40, 20]
    assert (detail.summary.input_tokens, detail.summary.output_tokens) == (100, 50)
    assert [getattr(detail.attempts[0], name) for name in names] == [0, 0, 0, 0]


def test_a_field_named_like_a_secret_is_masked_as_in_the_log(local_application: Application) -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo", max_tokens=40),
        prompt="Hello",
        context={"customer": {"password": "open sesame", "tier": "gold"}},
    )
    local_application.runs.run(LOCAL, spec)

    (document,) = documents(exported(local_application, ExportFormat.JSONL))

    assert document["request"]["context"] == {"customer": {"password": "[redacted]", "tier": "gold"}}
    assert document["request"]["max_tokens"] == 40


@pytest.mark.parametrize("form", list(ExportFormat))
def test_what_looks_like_a_key_is_masked(local_application: Application, form: ExportFormat) -> None:
    store_run(local_application, at=utc_now(), prompt="My key is sk-canary-0123456789abcdef, is it valid?")

    text = exported(local_application, form)

    assert "canary" not in text
    assert "My key is [redacted], is it valid?" in text


class ManyRuns(RunService):
    """Yields copies of one run, as many as asked for, and notes how many were taken before each piece."""

    def __init__(self, example: RunDetail, number: int) -> None:
        self._example = example
        self._number = number
        self.taken = 0

    def iterate(self, principal: Principal, run_filter: RunFilter) -> Iterator[RunDetail]:
        for _ in range(self._number):
            self.taken += 1
            yield self._example


def test_pieces_are_written_while_runs_are_read(local_application: Application) -> None:
    run_id = store_run(local_application, at=utc_now())
    many = ManyRuns(local_application.runs.get(LOCAL, run_id), 2_500)
    told: list[int] = []
    taken: list[int] = []

    for piece in export_runs(
        many, LOCAL, EVERYTHING, form=ExportFormat.CSV, on_progress=told.append, every=1_000
    ):
        assert len(piece) < 1_000 * 600
        taken.append(many.taken)

    assert taken == [1_000, 2_000, 2_500]
    assert told == [1_000, 2_000, 2_500]


# Jobs


def finished(job: ExportJob) -> ExportJob:
    assert job.thread is not None
    job.thread.join(20)
    assert job.state is not ExportState.WORKING, "the export did not end"
    return job


def test_a_job_writes_a_file_that_only_this_user_can_read(application: Application) -> None:
    store_run(application, at=utc_now())
    store_run(application, at=utc_now())

    job = finished(application.exports.start(LOCAL, EVERYTHING, form=ExportFormat.JSONL))

    assert (job.state, job.total, job.written, job.share, job.error) == (ExportState.READY, 2, 2, 1.0, None)
    assert len(documents(job.path.read_text(encoding="utf-8"))) == 2
    assert job.size_bytes == job.path.stat().st_size
    assert stat.S_IMODE(job.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(job.path.parent.stat().st_mode) == 0o700
    assert job.file_name.endswith(".jsonl")
    assert application.exports.get(LOCAL, job.id) is job


def test_a_job_is_found_by_its_own_project_only(local_application: Application) -> None:
    job = finished(local_application.exports.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))

    with pytest.raises(NotFound, match="Export again"):
        local_application.exports.get(OTHERS, job.id)
    with pytest.raises(NotFound):
        local_application.exports.get(LOCAL, ids.uuid7())


class HeldRuns(ManyRuns):
    """Waits after its first run until it is let go."""

    def __init__(self, example: RunDetail) -> None:
        super().__init__(example, 1_000_000)
        self.go_on = threading.Event()

    def count(self, principal: Principal, run_filter: RunFilter) -> int:
        return 1_000_000

    def iterate(self, principal: Principal, run_filter: RunFilter) -> Iterator[RunDetail]:
        for number, detail in enumerate(super().iterate(principal, run_filter)):
            if number == 1_200:
                assert self.go_on.wait(20)
            yield detail


def wait_until_written(job: ExportJob, number: int) -> None:
    deadline = time.monotonic() + 20
    while job.written < number:
        assert time.monotonic() < deadline, f"only {job.written} were written"
        time.sleep(0.01)


def test_a_job_that_is_stopped_removes_its_file(local_application: Application, tmp_path: Path) -> None:
    run_id = store_run(local_application, at=utc_now())
    runs = HeldRuns(local_application.runs.get(LOCAL, run_id))
    service = ExportService(runs, tmp_path / "exports")

    job = service.start(LOCAL, EVERYTHING, form=ExportFormat.CSV)
    wait_until_written(job, 1_000)
    assert 0 < job.share < 0.01
    service.cancel(LOCAL, job.id)
    runs.go_on.set()

    assert finished(job).state is ExportState.CANCELLED
    assert list((tmp_path / "exports").iterdir()) == []


class FailingRuns(ManyRuns):
    """Fails after a thousand runs, as a database does that goes away."""

    def __init__(self, example: RunDetail, error: Exception) -> None:
        super().__init__(example, 1_000)
        self._error = error

    def count(self, principal: Principal, run_filter: RunFilter) -> int:
        return 2_000

    def iterate(self, principal: Principal, run_filter: RunFilter) -> Iterator[RunDetail]:
        yield from super().iterate(principal, run_filter)
        raise self._error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreUnavailable("The database cannot be reached. Start it."), "cannot be reached. Start it."),
        (OSError(28, os.strerror(28)), "No space left on device. Free some space"),
        (ValueError("unforeseen"), "A fault of this program"),
    ],
)
def test_a_job_that_fails_says_why_and_leaves_no_half_file(
    local_application: Application, tmp_path: Path, error: Exception, words: str
) -> None:
    run_id = store_run(local_application, at=utc_now())
    service = ExportService(
        FailingRuns(local_application.runs.get(LOCAL, run_id), error), tmp_path / "exports"
    )

    job = finished(service.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))

    assert job.state is ExportState.FAILED
    assert words in (job.error or "")
    assert list((tmp_path / "exports").iterdir()) == []


def test_old_files_go_when_the_next_export_begins(
    local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = local_application.exports
    old = finished(exports.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))
    left_over = old.path.with_name(f"{UUID(int=7)}.csv")
    left_over.write_text("of a process that is gone")
    an_hour_ago = time.time() - export_jobs.KEEP_SECONDS - 1
    for path in (old.path, left_over):
        os.utime(path, (an_hour_ago, an_hour_ago))

    new = finished(exports.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))

    assert list(new.path.parent.iterdir()) == [new.path]
    with pytest.raises(NotFound, match="kept for an hour"):
        exports.get(LOCAL, old.id)


def test_closing_removes_the_files(local_application: Application) -> None:
    job = finished(local_application.exports.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))

    local_application.exports.close()

    assert not job.path.exists()


def test_a_file_goes_after_its_hour_though_nobody_exports_again(
    local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "KEEP_SECONDS", 0.2)
    job = finished(local_application.exports.start(LOCAL, EVERYTHING, form=ExportFormat.CSV))

    deadline = time.monotonic() + 20
    while job.path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not job.path.exists()


def test_old_files_of_a_process_that_is_gone_go_at_the_next_start(
    local_application: Application, tmp_path: Path
) -> None:
    folder = tmp_path / "exports-of-another"
    folder.mkdir()
    left_over = folder / f"{UUID(int=7)}.csv"
    left_over.write_text("prompts and answers")
    an_hour_ago = time.time() - export_jobs.KEEP_SECONDS - 1
    os.utime(left_over, (an_hour_ago, an_hour_ago))

    ExportService(local_application.runs, folder)

    assert not left_over.exists()
