"""`agent-launcher logs`."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from core.ids import uuid7
from tests.cli.conftest import Cli
from tests.support.lambda_settings import lambda_variables
from tests.support.moto_server import client, moto_server

GROUP = "/aws/lambda/agent"


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch, nobody_url: str) -> Generator[Callable[..., None]]:
    with moto_server() as url:
        for name, value in {**lambda_variables(nobody_url), "AWS_ENDPOINT_URL_LOGS": url}.items():
            monkeypatch.setenv(name, value)
        aws = client("logs", url)
        aws.create_log_group(logGroupName=GROUP)
        aws.create_log_stream(logGroupName=GROUP, logStreamName="s")

        def put(*lines: str, age: float = 10) -> None:
            now = int((time.time() - age) * 1_000)
            events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
            aws.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)

        yield put
        aws.close()


def line(event: str, level: str = "INFO", **fields: object) -> str:
    return json.dumps({"level": level, "event": event, **fields})


def test_the_functions_log(cli: Cli, put: Callable[..., None]) -> None:
    put(line("too old"), age=600)
    put(line("finished", run_id="run-1", tokens=12), line("failed", level="ERROR"))
    out = cli("logs").stdout.splitlines()
    assert [text.partition("Z ")[2] for text in out] == [
        "INFO     finished tokens=12 run_id=run-1",
        "ERROR    failed",
    ]
    assert "too old" in cli("logs", "--since", "1h").stdout
    assert cli("logs", "--level", "ERROR").stdout.splitlines()[0].endswith("failed")
    assert len(cli("logs", "--id", "run-1").stdout.splitlines()) == 1
    assert cli("logs", "--text", "FINISH", "--since", "5m").stdout.count("\n") == 1
    document = json.loads(cli("logs", "--json", "--limit", "1").stdout)
    assert (document["message"], document["level"], document["from"]) == ("failed", "ERROR", "lambda")


def test_what_is_not_there_is_said_on_stderr(cli: Cli, put: Callable[..., None]) -> None:
    found = cli("logs", "--text", "nowhere")
    assert found.stdout == ""
    assert "No such line since" in found.stderr
    put(*(f"line {number}" for number in range(5)))
    assert "There are more" in cli("logs", "--limit", "3").stderr


def test_the_local_log_is_the_one_without_a_function(cli: Cli) -> None:
    # The command itself has begun it, and nothing has failed.
    assert "No such line since" in cli("logs", "--level", "ERROR").stderr
    assert "LAMBDA_AGENT_FUNCTION_NAME" in cli("logs", "--from", "lambda", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "yesterday"), "30m, 24h"),
        (("--since", "1m", "--until", "5m"), "before --since"),
        (("--follow", "--until", "1m"), "leave --until out"),
        (("--limit", "0"), "--limit"),
        (("--level", "LOUD"), "--level"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    found = cli("logs", *arguments, code=None)
    assert found.exit_code in {1, 2}
    assert words in found.stderr


def test_following_ends_with_ctrl_c(put: Callable[..., None]) -> None:
    put(line("first"))
    marker = str(uuid7())
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("agent-launcher")), "logs", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "first" in process.stdout.readline()
        put(line(marker), age=0)
        assert marker in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
