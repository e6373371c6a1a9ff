"""The command as a process of its own: what it imports, how it meets pipes and signals, how a server ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core.contract import utc_now
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import RunFilter, RunStatus, RunSummary
from tests.support.app_server import COMMAND, AppServer, free_port
from tests.support.stored_runs import start_lost_run, store_run

SLOW = ("run", "--provider", "DEMO", "--model", "demo-slow", "--prompt", "[[words=2000]] Count.")


def command(*arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        timeout=timeout,
        check=False,
        text=True,
        **{"capture_output": True, "stdin": subprocess.DEVNULL, **options},
    )


@contextmanager
def started(*arguments: str) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def newest(application: Application) -> RunSummary:
    return application.runs.page(LOCAL, RunFilter()).runs[0]


def wait_until_running(application: Application, *, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not application.runs.running(LOCAL):
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.02)


# Imports: each of these costs up to tenths of a second, which every call would wait for. (Typer brings pydantic.)

HEAVY = {"alembic", "numpy", "openai", "pandas", "plotly", "psycopg", "streamlit", "uvicorn"}
CORE = {"sqlalchemy", "sqlmodel", "cryptography", "jinja2", "genai_prices", "rich"}

LOADED = """
import sys
from dashboard.cli import app
try:
    app(sys.argv[1:])
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return set(done.stderr.splitlines()[-1].split())


def test_version_imports_almost_nothing() -> None:
    assert not loaded_by("version") & (HEAVY | CORE)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "x"),
        ("runs", "list"),
        ("agents", "list"),
        ("secrets", "list"),
    ],
)
def test_a_command_imports_no_screen_no_vendor_and_no_other_database(
    application: Application, arguments: tuple[str, ...]
) -> None:
    del application  # the database exists
    loaded = loaded_by(*arguments)
    assert "sqlalchemy" in loaded
    assert not loaded & HEAVY


# Pipes


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "x", "--json"),
        ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "x"),
        ("runs", "export"),
        ("runs", "list"),
        ("version",),
    ],
)
def test_output_that_cannot_be_written_is_said_in_one_line(
    application: Application, arguments: tuple[str, ...]
) -> None:
    store_run(application, at=utc_now())
    with Path("/dev/full").open("w") as full:
        done = command(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    said = [line for line in done.stderr.splitlines() if "offline demo" not in line]
    assert (done.returncode, said) == (
        1,
        ["agent-launcher: the output could not be written: No space left on device."],
    )


def test_the_readers_of_a_pipe_may_leave(application: Application) -> None:
    for _ in range(30):
        store_run(application, at=newest_moment())
    for line in ("runs list --limit 100", "runs export", "runs export --format jsonl", "models"):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; '{COMMAND}' {line} | head -1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1), line


def newest_moment() -> Any:
    from core.contract import utc_now

    return utc_now()


def test_a_run_that_nobody_reads_any_more_is_stopped(application: Application) -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"'{COMMAND}' {' '.join(SLOW[:-1])} '{SLOW[-1]}' | head -c 20; echo \" ${{PIPESTATUS[0]}}\"",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == 'You asked: "Count."  1\n'
    assert "Traceback" not in done.stderr
    assert newest(application).status is RunStatus.CANCELLED


def test_an_answer_that_the_terminal_cannot_show_does_not_end_the_command() -> None:
    done = command(
        *("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Zürich \N{EURO SIGN} 東京"),
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        encoding="latin-1",
    )
    assert done.returncode == 0
    assert done.stdout.startswith('You asked: "Zürich ? ??"')


def test_standard_input_that_is_closed_is_wrong_usage() -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' run --provider DEMO --model demo-echo <&-"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "give --prompt" in done.stderr


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_signal_stops_the_run_and_stores_what_came(
    application: Application, number: signal.Signals, as_json: bool
) -> None:
    with started(*SLOW, *(["--json"] if as_json else [])) as process:
        wait_until_running(application)
        time.sleep(0.8)  # until some text is there: the demo model waits 0.6 s
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in err
    run = newest(application)
    assert (run.status, run.error_code) == (RunStatus.CANCELLED, "CANCELLED")
    stored = application.runs.get(LOCAL, run.id).response
    if as_json:
        answer = json.loads(out)
        assert answer["error"]["code"] == "CANCELLED"
        assert answer["run_id"] == str(run.id)
        assert answer.get("response") == stored
    else:
        assert out.rstrip("\n") == (stored or "")
        assert "CANCELLED" in err


def test_a_command_that_is_interrupted_before_anything_ran_leaves_no_trace_and_no_run(
    application: Application,
) -> None:
    with subprocess.Popen(
        [COMMAND, "run", "--provider", "DEMO", "--model", "demo-echo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(2.0)  # it waits for its prompt
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    assert application.runs.count(LOCAL, RunFilter()) == 0


# Logs


def test_logs_go_to_the_file_and_on_request_to_stderr(tmp_path: Path) -> None:
    run = ("run", "--provider", "DEMO", "--model", "demo-echo", "--prompt", "Hello", "--json")
    done = command(*run)
    assert done.stderr == ""
    log_file = tmp_path / "data" / "logs" / "agent-launcher.log"
    assert "run finished" in log_file.read_text()
    done = command(*run, env={**os.environ, "AGENT_LAUNCHER_LOG_LEVEL": "INFO"})
    json.loads(done.stdout)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(line["event"] == "run finished" and line["trigger"] == "cli" for line in lines)


# The server


def test_up_serves_and_ends_cleanly_on_ctrl_c(make_server: Callable[..., AppServer]) -> None:
    server = make_server().start()
    assert server.answers("/healthz")
    second = command("up", "--port", str(server.port))
    assert second.returncode == 1
    assert "Is the dashboard already running there?" in second.stderr
    assert second.stderr.count("\n") == 1
    assert server.stop() == 0
    assert "Traceback" not in server.log
    # Requests are not on the terminal: they would name what somebody looks at.
    assert "GET /" not in server.log


def test_dashboard_alone_keeps_house_too(application: Application) -> None:
    store_run(application, at=newest_moment())
    lost = start_lost_run(application)
    port = free_port()
    with started("dashboard", "--port", str(port)) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"http://127.0.0.1:{port}" in line
        deadline = time.monotonic() + 30
        while application.store.describe()["not_folded"] or application.runs.running(LOCAL):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert application.runs.get(LOCAL, lost).summary.status is RunStatus.OUTCOME_UNKNOWN
        assert [worker.kind for worker in application.store.workers.live()] == ["dashboard"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_a_misspelt_setting_is_told_at_the_start(make_server: Callable[..., AppServer]) -> None:
    server = make_server(environment={"AGENT_LAUNCHER_LOGLEVEL": "DEBUG"}).start()
    assert "AGENT_LAUNCHER_LOGLEVEL (set in the environment) is not a setting" in server.log
    server.stop()
