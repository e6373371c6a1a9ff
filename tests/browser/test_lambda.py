"""A run on AWS Lambda in a real browser: asked for, followed, opened with its money and log; sizes; the breaker."""

import json
import re
import time
from collections.abc import Generator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.services.log_lines import FOLLOW_SECONDS
from tests.support.app_server import AppServer
from tests.support.browser import drawn
from tests.support.lambda_app import lambda_environment
from tests.support.lambda_service import Act, LambdaService
from tests.support.lambda_settings import FUNCTION
from tests.support.lost_drawing import LostDrawing
from tests.support.moto_server import client, moto_server

GROUP = f"/aws/lambda/{FUNCTION}"


@pytest.fixture(scope="module")
def service() -> Generator[LambdaService]:
    with LambdaService() as service:
        yield service


@pytest.fixture(scope="module")
def logs_url() -> Generator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def server(
    service: LambdaService, logs_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[AppServer]:
    environment = {**lambda_environment(service), "AWS_ENDPOINT_URL_LOGS": logs_url}
    with AppServer(tmp_path_factory.mktemp("lambda"), environment=environment) as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test's own client of moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def write_line(url: str, event: str, *, request_id: str) -> None:
    """What the function would have written into CloudWatch."""
    aws = client("logs", url)
    groups = aws.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    if not groups:
        aws.create_log_group(logGroupName=GROUP)
        aws.create_log_stream(logGroupName=GROUP, logStreamName="s")
    line = {"level": "INFO", "logger": "agent_launcher.function", "event": event, "request_id": request_id}
    event_of_it = {"timestamp": int(time.time() * 1_000), "message": json.dumps(line)}
    aws.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=[event_of_it])
    aws.close()


def ask(page: Page, server: AppServer, prompt: str) -> None:
    """Runs a prompt in the playground, and waits for its end."""
    page.goto(f"{server.url}/playground")
    box = page.get_by_label("Prompt", exact=True)
    expect(box).to_be_visible()
    drawn(page)
    box.fill(prompt)
    box.press("Control+Enter")
    expect(page.get_by_role("link", name="Open run")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Run"))).to_be_visible()
    drawn(page)


def cells(page: Page) -> Locator:
    return page.get_by_test_id("stDataFrame").locator("canvas tr")


def test_a_run_on_lambda_from_the_playground_to_its_log_and_the_sizes(
    server: AppServer, logs_url: str, page: Page
) -> None:
    page.goto(f"{server.url}/playground")
    expect(page.get_by_text(f"Runs on AWS Lambda ({FUNCTION}), which cannot stream")).to_be_visible()
    ask(page, server, "Say what a fall-back is.")
    expect(page.get_by_text("You asked:")).to_be_visible()
    expect(page.get_by_text("Ran on").first).to_be_visible()

    page.get_by_role("link", name="Open run").click()
    expect(page.get_by_text("On AWS Lambda", exact=True)).to_be_visible()
    for text in ("71 of 512 MB", "Cold start", "arm64", "us-east-1"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    for part in ("Lambda compute", "Lambda request"):
        row = page.get_by_role("row").filter(has_text=part)
        expect(row).to_contain_text("$0.0000")
    codes = drawn(page).get_by_test_id("stCode").filter(has_text=re.compile("^[0-9a-f-]{36}$"))
    expect(codes).to_have_count(2)
    request_id = codes.first.inner_text().strip()  # the second one is the run's
    write_line(logs_url, "finished in the function", request_id=request_id)
    write_line(logs_url, "of another run", request_id="00000000-0000-4000-8000-000000000000")
    page.get_by_text("Log lines", exact=True).click()
    expect(cells(page).filter(has_text="finished in the function")).to_have_count(1)
    expect(cells(page).filter(has_text="of another run")).to_have_count(0)

    page.get_by_role("link", name="Usage", exact=True).click()
    page.get_by_role("tab", name="AWS Lambda").click()
    chart = page.locator(".st-key-lambda-sizes .js-plotly-plot")
    expect(chart).to_contain_text("Recommended: 128 MB, arm64")
    expect(chart).to_contain_text("In use: 512 MB, arm64")
    expect(page.get_by_text("Saves, a year")).to_be_visible()

    page.get_by_role("link", name="Logs", exact=True).click()
    expect(cells(page).filter(has_text="finished in the function")).to_have_count(1)
    page.get_by_text("This installation", exact=True).click()
    expect(page.get_by_text("of another run")).to_have_count(0)


def test_a_run_falls_back_and_the_breaker_opens_and_is_reset(
    server: AppServer, service: LambdaService, page: Page
) -> None:
    before = len(service.invocations)
    service.otherwise = Act.time_out(runs=False)
    try:
        ask(page, server, "Fall back, please.")
        expect(page.get_by_text("fell back from AWS Lambda").first).to_be_visible()
        page.get_by_role("link", name="Open run").click()
        expect(page.get_by_role("row").filter(has_text="1 · AWS Lambda")).to_contain_text("LAMBDA_TIMEOUT")
        expect(page.get_by_role("row").filter(has_text="2 · Local")).to_contain_text(
            "fell back from AWS Lambda, after lambda timeout"
        )
        for _ in range(2):
            ask(page, server, "And again.")
        assert len(service.invocations) == before + 3
        ask(page, server, "This one is not sent there.")
        assert len(service.invocations) == before + 3
        expect(page.get_by_text("its breaker is open").first).to_be_visible()
    finally:
        service.otherwise = Act.answer()

    drawing = LostDrawing(page)
    page.goto(server.url)
    notice = page.get_by_text(f"No run is sent to {FUNCTION} on AWS Lambda")
    expect(notice).to_be_visible()
    expect(page.get_by_text("3 times in a row without an answer")).to_be_visible()
    drawn(page)
    drawing.wanted = True
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(notice).to_have_count(0)
    assert drawing.lost
    ask(page, server, "Back there.")
    assert len(service.invocations) == before + 4
    expect(page.get_by_text("fell back from AWS Lambda")).to_have_count(0)


def test_a_live_log_is_read_no_more_once_it_is_not_though_that_drawing_is_lost(
    server: AppServer, page: Page
) -> None:
    drawing = LostDrawing(page)
    page.goto(f"{server.url}/logs?live=true&log=This+installation&holds=nothing+like+this")
    read = page.get_by_text("newest first; read at")
    expect(read).to_contain_text("live")
    clear = page.get_by_role("button", name="Clear filters")
    clear.click()
    expect(page.get_by_label("Contains")).to_have_value("")
    expect(clear).to_have_count(0)
    drawn(page)
    drawing.wanted = True
    page.get_by_text("Live", exact=True).click()
    expect(read).not_to_contain_text("live")
    assert drawing.lost
    before = drawn(page) and read.inner_text()
    with pytest.raises(AssertionError):
        expect(read).not_to_have_text(before, timeout=FOLLOW_SECONDS * 3_000)


def test_an_outcome_that_is_unknown_is_run_locally(
    server: AppServer, service: LambdaService, page: Page
) -> None:
    service.will(Act.reset(runs=True))
    ask(page, server, "Get lost on the way back.")
    page.get_by_role("link", name="Open run").click()
    expect(page.get_by_text("OUTCOME_UNKNOWN").first).to_be_visible()
    page.get_by_role("button", name="Run it locally").click()
    expect(page.get_by_text("The run that this one repeats")).to_be_visible()
    expect(page.get_by_text("You asked:").first).to_be_visible()
    expect(page.get_by_text("On AWS Lambda", exact=True)).to_have_count(0)


def test_the_settings_test_the_function(server: AppServer, page: Page) -> None:
    page.goto(f"{server.url}/settings?section=AWS+Lambda")
    expect(page.get_by_text("Configuration in use")).to_be_visible()
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("The function works")).to_be_visible()
