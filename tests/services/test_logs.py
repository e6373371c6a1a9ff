"""The function's log in CloudWatch (moto's), this installation's own, and how both are read and followed."""

import json
import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.contract import utc_now
from core.errors import Cancelled, InvalidInput, LogsUnavailable
from core.interruption import CancelToken, Limits
from core.loggers import get_logger
from core.logs import configure_logging
from core.services.cloudwatch_logs import MAX_PAGES, LogGroup, account_of
from core.services.log_lines import LogLine, LogOrigin, LogQuery, read_line
from core.services.logs import LogService
from core.services.principal import LOCAL
from core.settings import Settings, load_settings
from tests.support.lambda_settings import lambda_settings
from tests.support.moto_server import client, moto_server
from tests.support.vendor_server import Reply, VendorServer

GROUP = "/aws/lambda/agent"
ONE, TWO = "8f5a7c1e-0d2b-4c3a-9e8f-1a2b3c4d5e6f", "00000000-0000-4000-8000-000000000000"
KEY = "sk-proj-" + "a1B2c3D4e5F6" * 4


@pytest.fixture(scope="module")
def moto_url() -> Generator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def settings(nobody_url: str) -> Settings:
    return lambda_settings(nobody_url)  # so that the log group is where Lambda writes by itself


@pytest.fixture
def put(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """Writes lines into the function's log, the first of them so many seconds ago."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", moto_url)
    aws = client("logs", moto_url)
    aws.create_log_group(logGroupName=GROUP)
    aws.create_log_stream(logGroupName=GROUP, logStreamName="s")

    def put(*lines: str | dict[str, Any], age: float = 60.0) -> None:
        start = int((time.time() - age) * 1_000)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        events = [{"timestamp": start + number, "message": text} for number, text in enumerate(texts)]
        aws.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)

    yield put
    aws.delete_log_group(logGroupName=GROUP)
    aws.close()


def ours(event: str, *, level: str = "INFO", request: str = ONE, **more: object) -> dict[str, object]:
    return {
        "level": level,
        "logger": "agent_launcher.function",
        "event": event,
        "request_id": request,
        **more,
    }


def query(**fields: Any) -> LogQuery:
    return LogQuery(**{"since": utc_now() - timedelta(minutes=5), **fields})


def messages(settings: Settings, asked: LogQuery, origin: LogOrigin = LogOrigin.LAMBDA) -> list[str]:
    with closing(LogService(settings)) as service:
        return [line.message for line in service.read(LOCAL, origin, asked).lines]


# CloudWatch.


def test_the_functions_log(put: Callable[..., None], settings: Settings) -> None:
    put(f"START RequestId: {ONE}", ours("finished", run_id="run-1", duration_ms=12), "text with no level")
    with closing(LogService(settings)) as service:
        assert service.origins(LOCAL) == [LogOrigin.LAMBDA, LogOrigin.LOCAL]
        page = service.read(LOCAL, LogOrigin.LAMBDA, query())
    assert page.complete
    start, finished, text = page.lines
    assert (start.level, start.request_id, start.message) == ("INFO", ONE, f"START RequestId: {ONE}")
    assert (finished.level, finished.run_id, finished.message) == ("INFO", "run-1", "finished")
    assert finished.fields == {"logger": "agent_launcher.function", "duration_ms": 12}
    assert (text.level, text.origin) == (None, LogOrigin.LAMBDA)
    assert start.at < finished.at < text.at


def test_lines_are_found_by_level_text_and_id(put: Callable[..., None], settings: Settings) -> None:
    put(
        ours("began"),
        ours("Odd Thing", level="WARNING"),
        ours("failed", level="ERROR", request=TWO),
        f"{TWO} Task timed out after 60.00 seconds",
        "plain",
    )
    assert messages(settings, query(level="WARNING")) == [
        "Odd Thing",
        "failed",
        f"{TWO} Task timed out after 60.00 seconds",
    ]
    assert messages(settings, query(text="odd thing")) == ["Odd Thing"]
    assert messages(settings, query(ids=(TWO,), level="ERROR", text="FAILED")) == ["failed"]
    assert messages(settings, query(ids=(ONE,))) == ["began", "Odd Thing"]
    assert messages(settings, query(ids=('no such "id"',))) == []


def test_a_range_of_time(put: Callable[..., None], settings: Settings) -> None:
    put("old", age=600)
    put("new", age=10)
    assert messages(settings, query()) == ["new"]
    hour = utc_now() - timedelta(hours=1)
    assert messages(settings, query(since=hour)) == ["old", "new"]
    assert messages(settings, query(since=hour, until=utc_now() - timedelta(minutes=5))) == ["old"]


def test_of_many_lines_the_newest_are_shown(put: Callable[..., None], settings: Settings) -> None:
    put(*(f"line {number}" for number in range(30)))
    with closing(LogService(settings)) as service:
        page = service.read(LOCAL, LogOrigin.LAMBDA, query(limit=10))
        assert [line.message for line in page.lines] == [f"line {number}" for number in range(20, 30)]
        assert not page.complete
        assert service.read(LOCAL, LogOrigin.LAMBDA, query(limit=30)).complete


def test_a_log_is_followed(put: Callable[..., None], settings: Settings) -> None:
    put("one", "two", age=2)
    cancel, seen = CancelToken(), list[LogLine]()
    with closing(LogService(settings, follow_seconds=0.05)) as service:
        for line in service.follow(
            LOCAL, LogOrigin.LAMBDA, query(), Limits(timeout_seconds=20, cancel=cancel)
        ):
            seen.append(line)
            if len(seen) == 2:
                put("late", age=3)  # of another stream perhaps, and older than what was seen
                put("three", age=0)
            if len(seen) == 4:
                threading.Timer(0.2, cancel.cancel).start()
    assert [line.message for line in seen] == ["one", "two", "late", "three"]


def test_a_function_that_never_ran_has_no_log(
    moto_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", moto_url)
    with closing(LogService(settings)) as service:
        page = service.read(LOCAL, LogOrigin.LAMBDA, query())
    assert page.lines == ()
    assert "never ran" in page.note


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Generator[VendorServer]:
    with VendorServer() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", server.url)
        yield server


def refusal(name: str, status: int = 400) -> Reply:
    return Reply.json({"__type": f"com.amazonaws.logs#{name}", "message": "no"}, status=status)


def test_a_missing_permission_gives_the_statement_to_add(aws: VendorServer, settings: Settings) -> None:
    aws.will(refusal("AccessDeniedException"))
    with pytest.raises(LogsUnavailable, match="Add this statement") as caught:
        messages(settings, query())
    assert caught.value.statement is not None
    statement = json.loads(caught.value.statement)
    assert statement == {
        "Effect": "Allow",
        "Action": "logs:FilterLogEvents",
        "Resource": f"arn:aws:logs:us-east-1:*:log-group:{GROUP}:*",
    }
    assert caught.value.statement in str(caught.value)


def test_the_account_of_an_arn_is_in_the_statement(aws: VendorServer, settings: Settings) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:agent:live"
    assert account_of(arn) == "123456789012"
    aws.will(refusal("AccessDeniedException"))
    with pytest.raises(LogsUnavailable) as caught:
        messages(replace(settings, lambda_agent_function_name=arn), query())
    assert f'"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:*"' in (caught.value.statement or "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ThrottlingException", "too often"),
        ("ExpiredTokenException", "aws sso login"),
        ("UnrecognizedClientException", "credentials"),
        ("IncompleteSignatureException", "credentials"),
        ("MissingAuthenticationTokenException", "credentials"),
        ("ServiceUnavailableException", "HTTP 400"),
    ],
)
def test_a_refusal_says_what_to_do(aws: VendorServer, settings: Settings, name: str, words: str) -> None:
    aws.will(refusal(name))
    with pytest.raises(LogsUnavailable, match=words) as caught:
        messages(settings, query())
    assert caught.value.statement is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"events": None},
        {"events": [None, 4, {}, {"message": 4, "timestamp": "x"}, {"message": "", "timestamp": 1}]},
        {"events": [], "nextToken": 7},
    ],
)
def test_an_odd_answer_is_no_fault(aws: VendorServer, settings: Settings, body: object) -> None:
    aws.will(Reply.json(body))
    assert messages(settings, query(since=datetime(1971, 1, 1, tzinfo=UTC))) == []


def test_reading_ends_though_there_is_always_more(aws: VendorServer, settings: Settings) -> None:
    aws.otherwise(Reply.json({"events": [], "nextToken": "on"}))
    with closing(LogService(settings)) as service:
        page = service.read(LOCAL, LogOrigin.LAMBDA, query())
    assert not page.complete
    assert "shorter time" in page.note
    assert len(aws.requests) == MAX_PAGES


def test_a_stop_ends_reading_at_once(aws: VendorServer, settings: Settings) -> None:
    aws.otherwise(Reply.silence())
    cancel = CancelToken()
    threading.Timer(0.3, cancel.cancel).start()
    started = time.monotonic()
    with closing(LogService(settings)) as service, pytest.raises(Cancelled):
        service.read(LOCAL, LogOrigin.LAMBDA, query(), Limits(cancel=cancel))
    assert time.monotonic() - started < 3


def test_nobody_answers(settings: Settings, nobody_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", nobody_url)
    with pytest.raises(LogsUnavailable, match="AWS_ENDPOINT_URL_LOGS"):
        messages(settings, query())


def test_of_the_runtime_emulator_the_log_is_elsewhere(
    settings: Settings, aws: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VendorServer() as emulator:
        emulator.otherwise(Reply.text("404 page not found", status=404))
        there = replace(settings, aws_endpoint_url_lambda=emulator.url)
        aws.will(Reply.json({"events": []}))
        assert messages(there, query()) == [], "a log of its own is named"
        monkeypatch.delenv("AWS_ENDPOINT_URL_LOGS")
        with pytest.raises(LogsUnavailable, match="in the terminal that started it") as caught:
            messages(there, query())
    assert "--from local" in str(caught.value)
    assert len(aws.requests) == 1


def test_without_a_function_there_is_the_local_log_only() -> None:
    with closing(LogService(load_settings())) as service:
        assert service.origins(LOCAL) == [LogOrigin.LOCAL]
        with pytest.raises(InvalidInput, match="LAMBDA_AGENT_FUNCTION_NAME"):
            service.read(LOCAL, LogOrigin.LAMBDA, query())


# This installation's own.


def test_the_local_log(caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings()
    configure_logging(settings, stream_level="CRITICAL")
    log = get_logger("agent_launcher.test")
    caplog.set_level(logging.DEBUG, logger=log.name)
    log.info("began", extra={"run_id": "run-7"})
    log.warning("asked with %s", KEY)
    assert messages(settings, query(), LogOrigin.LOCAL)[-2:] == ["began", "asked with [redacted]"]
    assert messages(settings, query(ids=("run-7",)), LogOrigin.LOCAL) == ["began"]
    assert messages(settings, query(level="WARNING"), LogOrigin.LOCAL) == ["asked with [redacted]"]
    assert messages(settings, query(since=utc_now() + timedelta(hours=1)), LogOrigin.LOCAL) == []


def test_rotated_files_are_read_in_order(settings: Settings) -> None:
    path = settings.log_file
    path.parent.mkdir(parents=True)
    now = utc_now()
    for number, name in ((3, ".2"), (2, ".1"), (1, "")):
        line = {
            "ts": (now - timedelta(minutes=number)).isoformat(),
            "level": "INFO",
            "event": f"file {number}",
        }
        path.with_name(path.name + name).write_text(f"{json.dumps(line)}\nnot JSON\n" + '{"level": "INFO"}\n')
    assert messages(settings, query(), LogOrigin.LOCAL) == ["file 3", "file 2", "file 1"]
    with closing(LogService(settings)) as service:
        page = service.read(LOCAL, LogOrigin.LOCAL, query(limit=2))
    assert [line.message for line in page.lines] == ["file 2", "file 1"]
    assert not page.complete


def test_no_local_log_yet(settings: Settings) -> None:
    with closing(LogService(settings)) as service:
        assert "no log at" in service.read(LOCAL, LogOrigin.LOCAL, query()).note


# Lines.

AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        ("[ERROR] KeyError: 'x'", "ERROR"),
        ("[WARNING]\t2026-11-22T00:00:00Z\tid\tSlow", "WARNING"),
        ("2026-11-22T00:00:00Z\tid\tWARN\tslow", "WARNING"),
        ("INIT_START Runtime Version: python:3.13", "INFO"),
        (f"REPORT RequestId: {ONE}\tDuration: 1.00 ms\tStatus: timeout", "ERROR"),
        (f"RequestId: {ONE} Error: Runtime exited with error: signal: killed", "ERROR"),
        ("there were no ERRORS", None),
        ('{"level": "fatal", "message": "x"}', "CRITICAL"),
        ('{"level": "loud", "message": "x"}', None),
        ('{"level": 4}', None),
        ('{"type": "platform.report", "record": {"status": "error"}}', "ERROR"),
        ('{"type": "platform.start", "record": null}', "INFO"),
        ("{not JSON", None),
    ],
)
def test_the_level_of_a_line(raw: str, level: str | None) -> None:
    line = read_line(raw, at=AT, origin=LogOrigin.LAMBDA, key="1")
    assert line is not None
    assert line.level == level


def test_a_line_is_redacted_everywhere() -> None:
    for raw in (
        f"asked with {KEY}",
        json.dumps({"event": KEY, "more": KEY}),
        json.dumps({"message": {"a": KEY}}),
        json.dumps(
            {"event": "asked", "headers": {"Authorization": f"Bearer {KEY}"}, "stack": [[KEY]], KEY: 1}
        ),
        json.dumps({"event": "asked", "request_id": KEY, "run_id": KEY}),
        json.dumps({"type": "platform.report", "record": {"requestId": KEY}}),
    ):
        line = read_line(raw, at=AT, origin=LogOrigin.LAMBDA, key="1")
        assert line is not None
        assert KEY not in repr(replace(line, key=""))


def test_an_empty_line_and_one_without_a_time_are_none() -> None:
    assert read_line(" \n", at=AT, origin=LogOrigin.LAMBDA, key="1") is None
    assert read_line("text", at=None, origin=LogOrigin.LOCAL, key="1") is None
    assert read_line('{"ts": "no time"}', at=None, origin=LogOrigin.LOCAL, key="1") is None


def test_the_statement_is_json() -> None:
    group = LogGroup(name="/aws/lambda/x", region="eu-west-1", account="123456789012")
    resource = json.loads(group.statement)["Resource"]
    assert resource == "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/x:*"


@pytest.mark.parametrize(
    ("region", "beginning"),
    [("us-gov-west-1", "arn:aws-us-gov:logs:us-gov-west-1:"), ("cn-north-1", "arn:aws-cn:logs:cn-north-1:")],
)
def test_the_statement_is_of_the_regions_partition(region: str, beginning: str) -> None:
    assert json.loads(LogGroup(name="/aws/lambda/x", region=region).statement)["Resource"].startswith(
        beginning
    )
