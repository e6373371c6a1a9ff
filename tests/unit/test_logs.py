import ast
import json
import logging
import os
import pty
import select
from collections.abc import Callable, Generator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openai import OpenAI
from uvicorn.logging import AccessFormatter

from core import redaction
from core.loggers import get_logger
from core.logs import configure_logging, log_run, release_logging
from core.redaction import MASK
from core.settings import Settings
from tests.support.environment import ROOT
from tests.support.vendor_server import Reply, VendorServer

SECRET = "canary-that-has-no-shape/of+a key"
RUN_ID = UUID("0198c0de-1111-7222-8333-444455556666")


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    """The process's logging as it was, and the secret remembered meanwhile."""
    names = ["agent_launcher", "anthropic", "openai", "httpx", "httpx2", "httpcore2"]
    levels = {name: logging.getLogger(name).level for name in names}
    redaction.remember(SECRET)
    yield
    redaction.forget(SECRET)
    release_logging()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url="sqlite:////x")


def lines_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def logged(
    settings: Settings, talk: Callable[[logging.Logger], object], **options: Any
) -> list[dict[str, Any]]:
    """What `talk` puts on stderr, as JSON; the file must say the same."""
    stream = StringIO()
    configure_logging(settings, stream=stream, **options)
    talk(get_logger("agent_launcher.test"))
    release_logging()
    assert settings.log_file.read_text() == stream.getvalue()
    return lines_in(stream.getvalue())


# Lines.


def test_a_line_is_json_with_time_level_logger_event_and_extras(settings: Settings) -> None:
    (line,) = logged(
        settings, lambda log: log.info("did %s", "it", extra={"run_id": "r", "n": 1, "price": None})
    )
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "agent_launcher.test",
        "event": "did it",
        "run_id": "r",
        "n": 1,
        "price": None,
    }


def test_an_extra_does_not_replace_a_field_of_the_line(settings: Settings) -> None:
    (line,) = logged(settings, lambda log: log.info("it", extra={"event": "other", "ts": 1}))
    assert (line["event"], line["extra_event"], line["extra_ts"]) == ("it", "other", 1)


def test_whatever_is_logged_stays_one_line_of_valid_json(settings: Settings) -> None:
    def talk(log: logging.Logger) -> None:
        log.info("a\nb\u2028c\x1b[31m\ud800", extra={"odd": {1, 2}, "nan": float("nan"), "p": Path("x")})
        log.info("%d", "not a number")
        log.info("%s %s", "too few")
        log.info("100 %")

    lines = logged(settings, talk)
    assert lines[0]["event"] == "a\nb\u2028c\x1b[31m\ud800"
    assert (sorted(lines[0]["odd"]), lines[0]["nan"], lines[0]["p"]) == ([1, 2], "nan", "x")
    assert lines[1]["event"] == "%d ('not a number',) [the arguments do not fit the text]"
    assert lines[2]["event"].startswith("%s %s ('too few',)")
    assert lines[3]["event"] == "100 %"


def test_the_line_of_a_run(settings: Settings) -> None:
    def talk(log: logging.Logger) -> None:
        del log
        log_run(
            run_id=RUN_ID,
            provider="OPENAI",
            model="gpt",
            backend="LOCAL",
            status="SUCCEEDED",
            duration_seconds=1.25,
            input_tokens=10,
            output_tokens=5,
            cost_usd=Decimal("0.000000123"),
            agent="Summary",
            trigger="cli",
        )
        log_run(
            run_id=RUN_ID,
            provider="OPENAI",
            model="gpt",
            backend="LOCAL",
            status="FAILED",
            duration_seconds=None,
            attempts=3,
            error_code="RATE_LIMITED",
        )

    good, bad = logged(settings, talk)
    for line in (good, bad):
        del line["ts"]
    assert good == {
        "level": "INFO",
        "logger": "agent_launcher.runs",
        "event": "run finished",
        "run_id": str(RUN_ID),
        "provider": "OPENAI",
        "model": "gpt",
        "backend": "LOCAL",
        "status": "SUCCEEDED",
        "duration_seconds": 1.25,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_usd": 0.000000123,
        "attempts": 1,
        "error_code": None,
        "agent": "Summary",
        "trigger": "cli",
    }
    assert (bad["level"], bad["error_code"], bad["attempts"]) == ("WARNING", "RATE_LIMITED", 3)
    assert bad["cost_usd"] is bad["input_tokens"] is bad["duration_seconds"] is None


def test_on_a_terminal_a_line_is_for_a_person(settings: Settings) -> None:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        configure_logging(settings, stream=terminal)
        get_logger("agent_launcher.test").warning(
            "moved\x1b[2J\nforged", extra={"run_id": "r", "tokens": 3, "none": None, "token": SECRET}
        )
        try:
            raise ValueError(SECRET)
        except ValueError:
            get_logger("agent_launcher.test").exception("broke")
        release_logging()
        # A terminal hands over what it has so far, which may be less than what was written.
        shown = ""
        while f"ValueError: {MASK}" not in shown and select.select([reader], [], [], 20)[0]:
            shown += os.read(reader, 10_000).decode().replace("\r\n", "\n")
    os.close(reader)
    first, second, *rest = shown.splitlines()
    assert first[8:] == rf" WARNING  test: moved\u001b[2J\nforged run_id=r tokens=3 token={MASK}"
    assert second[8:] == " ERROR    test: broke"
    assert rest[0].startswith("Traceback")
    assert rest[-1] == f"ValueError: {MASK}"


# Levels and repetition.


def test_configuring_again_replaces_and_does_not_add(settings: Settings) -> None:
    first, second = StringIO(), StringIO()
    before = len(logging.getLogger().handlers)
    configure_logging(settings, stream=first)
    configure_logging(settings, stream=second)
    get_logger("agent_launcher.test").info("once")
    assert first.getvalue() == ""
    assert len(lines_in(second.getvalue())) == 1
    assert len(lines_in(settings.log_file.read_text())) == 1
    release_logging()
    release_logging()
    assert len(logging.getLogger().handlers) == before


def test_the_level_is_the_settings(tmp_path: Path) -> None:
    def talk(log: logging.Logger) -> None:
        log.debug("debug")
        log.warning("warning")
        logging.getLogger("openai").debug("their debug")

    def events(level: str) -> list[str]:
        settings = Settings(data_dir=tmp_path / level, database_url="x", log_level=level)
        return [line["event"] for line in logged(settings, talk)]

    assert events("DEBUG") == ["debug", "warning", "their debug"]
    assert events("INFO") == ["warning"]
    assert events("ERROR") == []


def test_the_stream_may_be_quieter_than_the_file(settings: Settings) -> None:
    stream = StringIO()
    configure_logging(settings, stream=stream, stream_level="WARNING")
    get_logger("agent_launcher.test").info("for the file")
    assert stream.getvalue() == ""
    assert len(lines_in(settings.log_file.read_text())) == 1


# Redaction.


def test_no_part_of_a_record_shows_a_secret(settings: Settings) -> None:
    def talk(log: logging.Logger) -> None:
        log.info(f"in the message {SECRET}")
        log.info("as an argument %s and %r", SECRET, [SECRET])
        log.info("by name %(key)s", {"key": SECRET})
        log.info("extra", extra={"deep": {"list": [SECRET]}, "password": "hunter2"})
        log.info("stack", stack_info=True, extra={"mark": SECRET})
        try:
            try:
                raise KeyError(SECRET)
            except KeyError as exc:
                raise RuntimeError(f"caused by {SECRET}") from exc
        except RuntimeError:
            log.exception("broke with %s", SECRET)
        log.info("half of it in the text, canary-that-has-no-shape/%s", "of+a key")

    lines = logged(settings, talk)
    text = json.dumps(lines)
    assert not any(form in text for form in redaction.forms_of(SECRET))
    assert "hunter2" not in text
    assert lines[1]["event"] == f"as an argument {MASK} and ['{MASK}']"
    assert lines[5]["event"] == f"broke with {MASK}"
    assert lines[5]["exception"].count(MASK) == 2
    assert "stack" in lines[4]
    assert lines[6]["event"] == f"half of it in the text, {MASK}"


def test_the_settings_own_secrets_are_known(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql+psycopg://u:dbpassw0rd@h/d",
        secret_key="the master key itself",
    )
    (line,) = logged(settings, lambda log: log.info("dbpassw0rd the master key itself"))
    assert line["event"] == f"{MASK} {MASK}"
    for secret in settings.secrets():
        redaction.forget(secret)


def test_keys_in_the_environment_are_known_before_they_are_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_VENDORS_API_KEY", "a-key-without-a-shape")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("SOME_NAME", "a-name-without-a-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: 7\nX-Gateway: a-gateways-own-word")
    said = "a-key-without-a-shape wJalrXUtnFEMI/K7MDENG a-gateways-own-word a-name-without-a-secret"
    (line,) = logged(settings, lambda log: log.info(said))
    for secret in ("a-key-without-a-shape", "wJalrXUtnFEMI/K7MDENG", "a-gateways-own-word"):
        redaction.forget(secret)
    assert line["event"] == f"{MASK} {MASK} {MASK} a-name-without-a-secret"


def test_other_libraries_handlers_get_redacted_records_too(settings: Settings) -> None:
    # Streamlit puts a handler with a formatter of its own on each of its loggers, and does not propagate.
    stream = StringIO()
    theirs = logging.getLogger("a_library.of_others")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    theirs.addHandler(handler)
    theirs.propagate = False
    try:
        configure_logging(settings, stream=StringIO())
        try:
            raise ValueError(SECRET)
        except ValueError:
            theirs.exception("page failed: %s", SECRET)
        shown = stream.getvalue()
        release_logging()
        theirs.warning("%s", SECRET)
    finally:
        theirs.removeHandler(handler)
    assert shown.startswith(f"a_library.of_others page failed: {MASK}\nTraceback")
    assert f"ValueError: {MASK}" in shown
    assert stream.getvalue().endswith(f"{SECRET}\n")  # released: the process is as it was


def test_a_formatter_that_reads_the_arguments_still_can(settings: Settings) -> None:
    stream = StringIO()
    access = logging.getLogger("uvicorn.access")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        AccessFormatter('%(client_addr)s "%(request_line)s" %(status_code)s', use_colors=False)
    )
    level, propagate = access.level, access.propagate
    access.addHandler(handler)
    access.setLevel("INFO")
    access.propagate = False
    try:
        configure_logging(settings, stream=StringIO())
        arguments = ("127.0.0.1:5", "GET", f"/api/runs?key={SECRET.replace(' ', '%20')}&x=1", "1.1", 200)
        access.info('%s - "%s %s HTTP/%s" %d', *arguments)
    finally:
        access.removeHandler(handler)
        access.setLevel(level)
        access.propagate = propagate
    assert stream.getvalue() == f'127.0.0.1:5 "GET /api/runs?key={MASK}&x=1 HTTP/1.1" 200 OK\n'


def test_a_request_at_debug_shows_the_libraries_lines_and_no_key(
    tmp_path: Path, vendor: VendorServer
) -> None:
    key = "canary-key-without-a-shape-1"
    redaction.remember(key)
    vendor.will(
        Reply.json(
            {"error": {"message": "no"}}, status=401, headers={"Set-Cookie": "session=canary-cookie-2"}
        )
    )
    settings = Settings(data_dir=tmp_path, database_url="x", log_level="DEBUG")
    stream = StringIO()
    configure_logging(settings, stream=stream)
    with (
        OpenAI(api_key=key, base_url=f"{vendor.url}/v1", max_retries=0) as client,
        pytest.raises(Exception, match="401"),
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    release_logging()
    redaction.forget(key)
    sent = {name.lower(): value for name, value in vendor.requests[0].headers.items()}
    assert sent["authorization"] == f"Bearer {key}"
    lines = lines_in(stream.getvalue())
    assert {"openai", "httpx2", "httpcore2"} <= {line["logger"].split(".")[0] for line in lines}
    text = stream.getvalue() + settings.log_file.read_text()
    assert not any(form in text for form in redaction.forms_of(key))
    assert "canary-cookie" not in text


# A program that uses the core as a library.


def test_a_handler_of_the_callers_gets_nothing_secret_without_any_configuration() -> None:
    records: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keeper, log = Keeper(), get_logger("agent_launcher.deep.below.test")
    parent = logging.getLogger("agent_launcher")
    parent.addHandler(keeper)
    try:
        try:
            raise ValueError(SECRET)
        except ValueError:
            log.exception("with %s", SECRET, extra={"note": SECRET, "api_key": "x"}, stack_info=True)
        log.warning("plain %s", "argument")
    finally:
        parent.removeHandler(keeper)
    everything = repr([record.__dict__ for record in records])
    assert not any(form in everything for form in redaction.forms_of(SECRET))
    assert logging.Formatter().format(records[0]).startswith(f"with {MASK}\nTraceback")
    assert records[0].exc_info is None
    assert records[0].__dict__["api_key"] == MASK
    assert (records[1].msg, records[1].args) == ("plain %s", ("argument",))


def test_only_our_names_are_given_out() -> None:
    assert get_logger("agent_launcher").name == "agent_launcher"
    for name in ("openai", "agent_launcher_", "", "root"):
        with pytest.raises(ValueError, match="agent_launcher"):
            get_logger(name)


def test_asking_twice_adds_one_filter() -> None:
    get_logger("agent_launcher.twice")
    assert len(get_logger("agent_launcher.twice").filters) == 1


def test_no_module_makes_a_logger_past_the_filter() -> None:
    past: list[str] = []
    for folder in ("core", "dashboard", "lambda_handler"):
        for path in (ROOT / folder).rglob("*.py"):
            if path == ROOT / "core" / "loggers.py":
                continue
            tree = ast.parse(path.read_text())
            set_up_only = {
                id(node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and node.attr in {"setLevel", "addHandler", "removeHandler", "addFilter"}
            }
            past += [
                f"{path.relative_to(ROOT)}:{node.lineno}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and ast.unparse(node.func).endswith("getLogger")
                and id(node) not in set_up_only
            ]
    assert past == [], "use core.loggers.get_logger"
