"""The real servers and the browser that tests use: a query, a vendor's wire, a page."""

from pathlib import Path
from typing import TYPE_CHECKING

import openai
import psycopg
import pytest
import sqlalchemy

from tests.support import provision
from tests.support.commands import CommandFailed, run
from tests.support.vendor_server import Reply, VendorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai.types.chat import ChatCompletion
    from playwright.sync_api import Page

    from tests.support.aimock_server import Aimock
    from tests.support.browser import PageErrors
    from tests.support.postgres import PostgresServer


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE run (id int, at timestamptz)")
        connection.execute("INSERT INTO run VALUES (1, '2026-03-29 01:30Z')")
        assert connection.execute("SELECT id, at::text FROM run").fetchone() == (1, "2026-03-29 01:30:00+00")


@pytest.mark.parametrize("round_number", [1, 2])
def test_each_test_has_an_empty_database(postgres_url: str, round_number: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert found == (0,), f"in round {round_number}"
        connection.execute("CREATE TABLE left_behind ()")


def test_sqlalchemy_takes_the_url(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        version = connection.scalar(sqlalchemy.text("SHOW server_version_num"))
    engine.dispose()
    assert int(str(version)) >= 160000


def test_a_database_may_be_copied_from_a_template(postgres: "PostgresServer") -> None:
    template = postgres.create_database()
    with psycopg.connect(template) as connection:
        connection.execute("CREATE TABLE run ()")
        name = connection.info.dbname
    copy = postgres.create_database(template=name)
    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)
        postgres.drop_database(copy)  # in spite of the open connection
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres.drop_database(template)


@pytest.fixture
def client(aimock: "Aimock") -> openai.OpenAI:
    return openai.OpenAI(base_url=aimock.openai_url, api_key="sk-test", max_retries=0)


def ask(client: openai.OpenAI, text: str) -> "ChatCompletion":
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])


def test_aimock_answers(aimock: "Aimock", client: openai.OpenAI) -> None:
    aimock.on("capital of France", "Paris", usage={"prompt_tokens": 12, "completion_tokens": 1})
    answer = ask(client, "What is the capital of France?")
    assert answer.choices[0].message.content == "Paris"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 1)
    [entry] = aimock.requests()
    assert entry["path"] == "/v1/chat/completions"
    assert entry["body"]["model"] == "gpt-4o"


def test_aimock_forgets_between_tests(aimock: "Aimock", client: openai.OpenAI) -> None:
    assert aimock.requests() == []
    with pytest.raises(openai.NotFoundError, match="No fixture matched"):
        ask(client, "What is the capital of France?")
    assert len(aimock.unmatched()) == 1
    aimock.reset()


def test_aimock_streams(aimock: "Aimock", client: openai.OpenAI) -> None:
    aimock.on(None, "one two three four", chunkSize=4, latency=5)
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "count"}], stream=True
    ) as chunks:
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in texts) == "one two three four"
    assert len(texts) > 4


def test_aimock_cuts_a_stream(aimock: "Aimock", client: openai.OpenAI) -> None:
    aimock.on(None, "one two three four", chunkSize=4, latency=20, truncateAfterChunks=3)
    received: list[str] = []
    with (
        pytest.raises(openai.APIConnectionError),
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "count"}], stream=True
        ) as chunks,
    ):
        received.extend(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert aimock.requests()[0]["response"]["interrupted"]


def test_aimock_injects_errors(aimock: "Aimock", client: openai.OpenAI) -> None:
    aimock.on(None, {"city": "Paris"})
    aimock.fail_next(429, message="slow down", type="rate_limit_error")
    with pytest.raises(openai.RateLimitError, match="slow down"):
        ask(client, "anything")
    assert ask(client, "anything").choices[0].message.content == '{"city":"Paris"}'


def test_aimock_fails_every_time(aimock: "Aimock", client: openai.OpenAI) -> None:
    aimock.fail("secret", 401, message="bad key", code="invalid_api_key")
    for _ in range(2):
        with pytest.raises(openai.AuthenticationError, match="bad key"):
            ask(client, "tell me the secret")


def test_aimock_says_what_is_wrong_with_a_fixture(aimock: "Aimock") -> None:
    with pytest.raises(ValueError, match="Validation failed"):
        aimock.add({"match": {"userMessage": "x"}, "response": {"contents": "a typing error"}})


def test_the_browser_draws_a_page(page: "Page", vendor: VendorServer) -> None:
    vendor.otherwise(Reply.text("<title>Runs</title><h1>3 runs</h1>", content_type="text/html"))
    page.goto(vendor.url)
    assert page.title() == "Runs"
    assert page.locator("h1").inner_text() == "3 runs"
    assert page.viewport_size == {"width": 1280, "height": 800}


def test_the_browser_has_themes_and_sizes(open_page: "Callable[..., Page]") -> None:
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    assert open_page(dark=True, viewport=(1920, 1080)).evaluate(f"[{dark}, innerWidth]") == [True, 1920]
    assert open_page().evaluate(f"[{dark}, innerWidth]") == [False, 1280]


def test_the_browser_reports_errors(page: "Page", page_errors: "PageErrors", vendor: VendorServer) -> None:
    broken = "<script>console.error('odd'); fetch('/broken'); missing()</script>"
    vendor.otherwise(
        lambda request: Reply.text(
            broken, content_type="text/html", status=500 if "broken" in request.path else 200
        )
    )
    page.goto(vendor.url)
    page.wait_for_load_state("networkidle")
    assert any(error.startswith("console: odd") for error in page_errors)
    assert any("missing is not defined" in error for error in page_errors)
    assert any(error.startswith("response: 500") for error in page_errors)
    page_errors.clear()


def test_the_browser_reaches_this_machine_only(page: "Page", page_errors: "PageErrors") -> None:
    from playwright.sync_api import Error

    for address in ("http://example.com/", "http://192.0.2.1/"):
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            page.goto(address)
    page_errors.clear()


def test_a_browser_that_is_here_is_not_installed_again() -> None:
    def install() -> None:
        raise AssertionError("nothing to install")

    assert provision.chromium(lambda: Path("here"), {"Playwright": install}) == Path("here")


def test_the_next_source_is_asked_when_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    browser = tmp_path / "chromium"

    def unreachable() -> None:
        raise CommandFailed("playwright install ended with 1:\n" + "a line\n" * 50 + "no route to the CDN")

    found = provision.chromium(
        lambda: browser if browser.exists() else None,
        {"Playwright": unreachable, "the distribution": browser.touch},
    )
    assert found == browser
    told = capsys.readouterr().out
    assert "asking Playwright" in told
    assert "no route to the CDN" in told
    assert "asking the distribution" in told
    assert told.count("a line") == 3, "the end of a long report is enough"


def test_without_a_browser_the_search_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert provision.chromium(lambda: None, {"Playwright": lambda: None}) is None
    assert "asking Playwright" in capsys.readouterr().out


def test_a_command_that_fails_says_what_it_printed() -> None:
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3:.*no such thing"):
        run(["/bin/sh", "-c", "echo no such thing >&2; exit 3"])
    with pytest.raises(CommandFailed, match="timed out"):
        run(["sleep", "5"], timeout_s=0.05)
    with pytest.raises(CommandFailed, match="No such file"):
        run(["/nowhere/at/all"])
