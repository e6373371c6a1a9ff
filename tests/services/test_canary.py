"""A key goes into a run, and is found nowhere afterwards: in no form, whatever the vendor does with it.

One key, made for this test run, serves successes and every way to fail, on each provider; each failing reply echoes
it in many forms. Then everything that the program wrote, showed or returned is searched: logs at DEBUG, the database's
files and all of its rows, exports, the backup, the command line, the pages.
"""

import base64
import html
import io
import json
import secrets
import sqlite3
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from core import redaction
from core.execution.local import LocalExecutor
from core.execution.retrying import RetryPolicy
from core.logs import configure_logging, release_logging
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.export import ExportFormat, export_runs
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.runs import RunService
from core.storage.records import RunFilter, RunStatus
from dashboard import backend
from dashboard.cli import app as command_line
from tests.contract.dialects import BUILT_IN
from tests.contract.dialects.base import Answer, Dialect, Failure
from tests.contract.dialects.bedrock import frame
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.environment import ROOT
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import Reply, VendorServer

# The characters at its end are written differently in URLs, base64, JSON and HTML.
KEY = f"sk-canary-{secrets.token_urlsafe(24)}/+=&'{secrets.token_hex(2)}"
DIALECT = OpenAIDialect()


def forms() -> list[str]:
    """The key as programs write it: by this test's own means, and by the program's."""
    raw = KEY.encode()
    own = [
        KEY,
        quote(KEY, safe=""),
        quote(KEY),
        quote_plus(KEY),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        html.escape(KEY),
        json.dumps(KEY)[1:-1],
    ]
    return list(dict.fromkeys([*own, *redaction.forms_of(KEY)]))


FORMS = forms()
PART = KEY[10:30]
"""As good as all of it."""
ECHO = f"The key {KEY} is wrong. Also: " + " ".join(FORMS)
HEADER_ECHO = {"x-request-id": f"req {KEY}", "www-authenticate": f"Bearer error={KEY}"}


def whole(dialect: Dialect, vendor: VendorServer) -> dict[str, Reply]:
    """The ways in which a request that waits for the whole answer can end."""
    return {
        "success": dialect.whole(Answer()),
        "success, key in the request id": dialect.whole(Answer(request_id=f"req-{KEY}")),
        "cut body": dialect.whole(Answer()).cut(60),
        **either(dialect, vendor),
    }


def streamed(dialect: Dialect, vendor: VendorServer) -> dict[str, Reply]:
    """The same for a stream."""
    events = dialect.events(Answer())
    error = dialect.error_event(Failure.SERVER_ERROR, message=ECHO)
    return {
        "success": dialect.streamed(events),
        "cut stream": dialect.streamed(events).cut(3),
        "stream without its end": dialect.streamed(events[:2]),
        "error in the stream": dialect.streamed([*events[:2], error]),
        "not JSON in the stream": dialect.streamed([*events[:2], not_json(dialect)]),
        **either(dialect, vendor),
    }


def not_json(dialect: Dialect) -> bytes:
    """A piece of a stream in the vendor's framing, with the key in it, that cannot be read."""
    match dialect.provider:
        case "BEDROCK":
            headers = {
                ":message-type": "event",
                ":event-type": "contentBlockDelta",
                ":content-type": "application/json",
            }
            return frame(headers, f"{{{KEY}".encode())
        case "OLLAMA":
            return f"{{{KEY}\n".encode()
        case _:
            return f"data: {{{KEY}\n\n".encode()


def either(dialect: Dialect, vendor: VendorServer) -> dict[str, Reply]:
    """What can happen to both."""
    refusals = {
        failure.value: dialect.failure(failure, message=ECHO).with_headers(HEADER_ECHO)
        for failure in (
            Failure.BAD_KEY,
            Failure.FORBIDDEN,
            Failure.UNKNOWN_MODEL,
            Failure.BAD_PARAMETER,
            Failure.CONTEXT_LENGTH,
            Failure.PROMPT_FILTERED,
            Failure.RATE_LIMIT,
            Failure.QUOTA,
            Failure.SERVER_ERROR,
            Failure.OVERLOADED,
        )
        if failure in dialect.failures
    }
    page = f"<html><body><h1>Bad gateway</h1><p>{ECHO}</p></body></html>"
    return {
        **refusals,
        "HTML": Reply.text(page, content_type="text/html"),
        "HTML 502": Reply.text(page, content_type="text/html", status=502),
        "not JSON": Reply.text("{" + ECHO, content_type="application/json"),
        "another JSON": Reply.json({"echo": ECHO}),
        "empty": Reply.text("", content_type="application/json"),
        "redirect": Reply(status=307, headers={"Location": f"{vendor.url}/v1/elsewhere?key={quote(KEY)}"}),
        "reset": Reply.reset(),
        "reset unread": Reply.reset(before_reading=True),
        "silence": Reply.silence(),
    }


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Generator[io.StringIO]:
    """What goes to stderr; everything that can be logged is."""
    monkeypatch.setenv("AGENT_LAUNCHER_LOG_LEVEL", "DEBUG")
    yield io.StringIO()
    release_logging()


@pytest.fixture
def application(console: io.StringIO) -> Generator[Application]:
    with opened_application() as application:
        configure_logging(application.settings, stream=console)
        yield application


def impatient(application: Application) -> RunService:
    """As the application's own, without the waits between attempts."""
    return RunService(
        store=application.store,
        executor=LocalExecutor(),
        credentials=application.credentials,
        prices=application.prices,
        presence=application.presence,
        default_timeout_seconds=30,
        retry_policy=RetryPolicy(base_seconds=0.001),
    )


def search(where: str, text: str | bytes) -> None:
    """Fails if the key is in it."""
    searched = text.decode("latin-1") if isinstance(text, bytes) else text
    for form in (*FORMS, PART):
        assert form not in searched, f"the key is in {where}"


def database_texts(path: Path) -> Iterator[str]:
    """Every value of every row of every table; compressed texts as they were."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        assert {"run", "run_content", "attempt", "credential"} <= set(tables)
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield readable(value)


def readable(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode()
    except (zlib.error, UnicodeDecodeError):
        return value.decode("latin-1")


def search_database(application: Application) -> None:
    path = Path(application.settings.database_url.removeprefix("sqlite:///"))
    for part in sorted(path.parent.glob(f"{path.name}*")):
        search(part.name, part.read_bytes())
    search("the database's rows", "\n".join(database_texts(path)))


@pytest.mark.parametrize(
    ("dialect", "replies", "stored"),
    [
        pytest.param(
            dialect, replies, stored, id=f"{provider}-{replies.__name__}-{'stored' if stored else 'given'}"
        )
        for provider, dialect in BUILT_IN.items()
        for replies, stored in ((whole, True), (streamed, False), (whole, False), (streamed, True))
        # What a key's way in and the kind of answer have to do with each other is no vendor's: once is enough.
        if provider == DIALECT.provider or stored is (replies is whole)
    ],
)
def test_the_key_is_nowhere_afterwards(
    application: Application,
    console: io.StringIO,
    vendor: VendorServer,
    nobody_url: str,
    tmp_path: Path,
    dialect: Dialect,
    replies: Callable[[Dialect, VendorServer], dict[str, Reply]],
    stored: bool,
) -> None:
    config = AgentConfig(
        provider=dialect.provider,
        model_name=dialect.model,
        base_url=dialect.connection(vendor.url)["base_url"],
    )
    if stored:
        credential = application.credentials.add(LOCAL, name="Canary", provider=dialect.provider, secret=KEY)
        search("what the page sees of a credential", repr(credential))
        config = config.model_copy(update={"credential_id": credential.id})
    agent = application.agents.create(LOCAL, name="Canary", config=config)
    runs = impatient(application)
    statuses: dict[str, RunStatus] = {}

    def run(kind: str, config: AgentConfig) -> None:
        spec = RunSpec(
            config=config,
            prompt=f"Say something about {kind}",
            api_key=None if stored else KEY,
            agent_id=agent.id,
            agent_version_id=agent.version.id,
            agent_name=agent.name,
        )
        pieces: list[str] = []
        outcome = runs.run(LOCAL, spec, on_delta=pieces.append if replies is streamed else None)
        assert outcome.stored
        statuses[kind] = outcome.status
        search(f"the outcome of: {kind}", outcome.response.model_dump_json() + repr(outcome) + repr(spec))
        search(f"the stream of: {kind}", "".join(pieces))

    kinds = replies(dialect, vendor)
    for kind, reply in kinds.items():
        vendor.reset()
        vendor.otherwise(reply)
        run(kind, config.model_copy(update={"timeout_seconds": 0.5}) if kind == "silence" else config)
        if kind == "success":
            # It was really sent, so that there is something to find.
            assert dialect.seen(vendor.last).key == KEY
    run("refused", config.model_copy(update={"base_url": f"{nobody_url}/v1"}))
    succeeded = {kind for kind, status in statuses.items() if status is RunStatus.SUCCEEDED}
    assert succeeded == {kind for kind in kinds if kind.startswith("success")}
    assert len(statuses) == len(kinds) + 1 >= 15

    search_database(application)
    for form in ExportFormat:
        exported = b"".join(export_runs(application.runs, LOCAL, RunFilter(), form=form))
        assert exported.count(b"Say something about") == len(statuses)
        search(f"the {form.value} export", exported)
    search("the agents' YAML", application.agents.export_yaml(LOCAL))
    application.store.backup(tmp_path / "backup.db")
    search("the backup", (tmp_path / "backup.db").read_bytes())
    search("the backup's rows", "\n".join(database_texts(tmp_path / "backup.db")))
    search("what health says", repr(application.health.checks(LOCAL)))
    search("what the installation says", repr(application.installation.describe(LOCAL)))
    search_pages(application)

    assert dialect.model in console.getvalue()
    search("the console", console.getvalue())
    logs = sorted(application.settings.log_file.parent.glob("*.log*"))
    assert any(log.stat().st_size for log in logs)
    for log in logs:
        search(log.name, log.read_bytes())
    everything = [path for path in application.settings.data_dir.rglob("*") if path.is_file()]
    assert len(everything) >= 3
    for path in everything:
        search(path.name, path.read_bytes())


# Pages


APP = str(ROOT / "dashboard" / "app.py")


def search_pages(application: Application) -> None:
    backend.install(application)
    try:
        opened: dict[str, AppTest] = {}
        for page, params in pages(application):
            # One session for each page: AppTest does not end a page's hold on the address when it is left.
            app = opened.get(page) or AppTest.from_file(APP, default_timeout=60).run()
            opened[page] = app
            open_page(app, page, params)
            assert not app.exception, f"{page}: {app.exception}"
            shown = "\n".join(texts_of(app))
            assert len(shown) > 200, page
            search(f"{page} {params}", shown)
            search(f"the session of {page}", repr(dict(app.session_state.items())))
    finally:
        backend.install(None)


def open_page(app: AppTest, page: str, params: dict[str, str]) -> None:
    app.query_params.clear()
    for name, value in params.items():
        app.query_params[name] = value
    app.switch_page(page).run()


def pages(application: Application) -> Iterator[tuple[str, dict[str, str]]]:
    for name in ("overview", "usage", "runs", "playground", "agents"):
        yield f"app_pages/{name}.py", {}
    for section in ("Credentials", "Defaults", "Prices", "Installation", "Health"):
        yield "app_pages/settings.py", {"section": section}
    for run in application.runs.page(LOCAL, RunFilter(), limit=100).runs:
        yield "app_pages/run_detail.py", {"id": str(run.id)}


def texts_of(node: Any) -> Iterator[str]:
    """Everything that the server sends for a page."""
    if isinstance(node, AppTest):
        node = node._tree  # with toasts and dialogs, which are in neither of its public halves
    proto = getattr(node, "proto", None)
    if proto is not None:
        yield str(proto)
        yield proto.SerializeToString().decode("latin-1")
    for child in getattr(node, "children", {}).values():
        yield from texts_of(child)


# The command line


def test_the_key_is_nowhere_in_what_commands_print(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    base_url = DIALECT.connection(vendor.url)["base_url"]
    run = ("run", "--provider", "OPENAI", "--model", "gpt-4o", "--prompt", "Hello", "--base-url", base_url)

    def call(*arguments: str, input: str | None = None) -> str:
        result = CliRunner().invoke(command_line, list(arguments), input=input, catch_exceptions=False)
        assert result.exit_code in (0, 1)
        search(f"the output of {arguments}", result.stdout + result.stderr)
        return result.stdout

    try:
        for extra in ((), ("--json",)):
            vendor.otherwise(DIALECT.streamed(DIALECT.events(Answer())))
            assert Answer().text in call(*run, *extra)
            for failure in (Failure.BAD_KEY, Failure.UNKNOWN_MODEL, Failure.QUOTA):
                vendor.otherwise(DIALECT.failure(failure, message=ECHO))
                call(*run, *extra)
            vendor.otherwise(Reply.text(ECHO, content_type="text/html"))
            call(*run, *extra)
        assert DIALECT.seen(vendor.last).key == KEY
        call("secrets", "add", "--provider", "OPENAI", "--name", "Canary", input=KEY)
        call("secrets", "replace", "Canary", input=f"{KEY}\n")
        # What was refused is not repeated either.
        call("secrets", "add", "--provider", "OPENAI", "--name", "Twice", input=f"{KEY} {KEY}")
        vendor.otherwise(DIALECT.failure(Failure.BAD_KEY, message=ECHO))
        call("models", "--provider", "OPENAI", "--live", "--base-url", base_url)
        ids = [run["id"] for run in json.loads(call("runs", "list", "--json"))]
        assert len(ids) == 10
        for run_id in ids:
            call("runs", "show", run_id)
            call("runs", "show", run_id, "--json")
        for arguments in (
            ("runs", "list"),
            ("runs", "export"),
            ("runs", "export", "--format", "jsonl"),
            ("secrets", "list"),
            ("secrets", "list", "--json"),
            ("secrets", "rotate"),
            ("doctor",),
            ("doctor", "--json"),
            ("usage",),
            ("agents", "export"),
            ("backup", str(tmp_path / "backup.db")),
        ):
            call(*arguments)
    finally:
        release_logging()
    for path in [*(tmp_path / "data").rglob("*"), tmp_path / "backup.db"]:
        if path.is_file():
            search(path.name, path.read_bytes())
    search("the database's rows", "\n".join(database_texts(tmp_path / "data" / "agent-launcher.db")))


def test_the_search_finds_a_key_in_each_place(application: Application, tmp_path: Path) -> None:
    """The test's own eyes: a key that really leaks is seen."""
    for form in (*FORMS, PART):
        with pytest.raises(AssertionError, match="the key is in here"):
            search("here", f"before{form}after")
    config = AgentConfig(provider="DEMO", model_name="demo-echo")
    outcome = application.runs.run(
        LOCAL, RunSpec(config=config, prompt=f"My key is {KEY}" + " padding" * 100)
    )
    with pytest.raises(AssertionError, match="the key is in the database's rows"):
        search("the database's rows", "\n".join(database_texts(tmp_path / "data" / "agent-launcher.db")))
    backend.install(application)
    try:
        app = AppTest.from_file(APP, default_timeout=60).run()
        open_page(app, "app_pages/run_detail.py", {"id": str(outcome.run_id)})
    finally:
        backend.install(None)
    shown = "\n".join(texts_of(app))
    assert "My key is" in shown
