"""Pictures of every page, empty and full, light and dark, at two widths: `make screenshots`.

    python -m tests.browser.screenshots [--only NAME ...] [--out FOLDER]

Starts `agent-launcher up` on three installations in a temporary folder, one of them filled with a month of
runs and one on the tests' stand-in for AWS Lambda, and writes to `build/screenshots`, which Git ignores. A page
is as high as its content, so that nothing is below the fold.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.support.environment import ROOT, isolate

SESSION_FOLDER = isolate()  # before anything of ours is imported, so that nothing can have read the real one

from playwright.sync_api import Page  # noqa: E402

from core import ids  # noqa: E402
from core.contract import Message  # noqa: E402
from core.services.agent_config import AgentConfig  # noqa: E402
from core.services.application import Application  # noqa: E402
from core.services.principal import LOCAL  # noqa: E402
from core.services.run_spec import RunSpec  # noqa: E402
from core.services.seeding import seed_demo_agents  # noqa: E402
from core.storage.records import RunFilter, RunStatus, Trigger  # noqa: E402
from dashboard import state  # noqa: E402
from tests.browser.screenshot_lambda import installation_on_lambda, open_breaker  # noqa: E402
from tests.support.app_server import AppServer  # noqa: E402
from tests.support.browser import (  # noqa: E402
    VIEWPORT_1280,
    VIEWPORT_1920,
    PageErrors,
    launched,
    opened_page,
)
from tests.support.chromium import find_chromium  # noqa: E402
from tests.support.sample_data import fill  # noqa: E402
from tests.support.stored_runs import opened_application  # noqa: E402

EMPTY: Final = (
    ("overview", "/"),
    ("playground", "/playground"),
    ("agents", "/agents"),
    ("runs", "/runs"),
    ("usage", "/usage"),
    ("costs", "/costs"),
    ("logs", "/logs"),
    ("settings", "/settings"),
)

_READY = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    if (!app || app.dataset.testScriptState !== 'notRunning') return false;
    if (document.querySelector('[data-testid="stSkeleton"]')) return false;
    const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
    return document.fonts.status === 'loaded' && charts.every(chart => chart.querySelector('.main-svg'));
}"""
_HEIGHT = "() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight"


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes the pictures. Returns 1 if a page reported an error in the console, 2 without a browser."""
    options = _options(arguments)
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("No Chromium was found: python -m tests.support.provision installs one.\n")
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    failed = False
    try:
        for name in ("empty", "full", "lambda"):
            with ExitStack() as stack:
                if name == "lambda":
                    on_lambda = installation_on_lambda(SESSION_FOLDER / name)
                    server, views = stack.enter_context(on_lambda)
                else:
                    server = AppServer(SESSION_FOLDER / name)
                    views = EMPTY if name == "empty" else _fill(server)
                wanted = [view for view in views if not options.only or view[0] in options.only]
                if not wanted:
                    continue
                stack.enter_context(server)
                browser = stack.enter_context(launched(chromium))
                if name == "lambda":
                    with opened_page(browser) as page:
                        open_breaker(page, server)
                for dark, viewport in ((d, v) for v in (VIEWPORT_1280, VIEWPORT_1920) for d in (False, True)):
                    errors = PageErrors()
                    with opened_page(browser, dark=dark, viewport=viewport) as page:
                        errors.watch(page)
                        for title, path in wanted:
                            theme = "dark" if dark else "light"
                            file = options.out / f"{title}-{name}-{theme}-{viewport[0]}.png"
                            _picture(page, server.url + path, file, viewport)
                            sys.stdout.write(f"{file}\n")
                    if errors:
                        failed = True
                        sys.stderr.write("\n".join([*errors, ""]))
    finally:
        shutil.rmtree(SESSION_FOLDER, ignore_errors=True)
    return int(failed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="NAME", help="pages to take, such as runs usage"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "screenshots", metavar="FOLDER")
    return parser.parse_args(arguments)


def _picture(page: Page, url: str, file: Path, viewport: tuple[int, int]) -> None:
    width, height = viewport
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    page.wait_for_function(_READY)
    _settled(page)
    content = int(page.evaluate(_HEIGHT))
    if content > height:
        page.set_viewport_size({"width": width, "height": content})
        page.wait_for_function(_READY)
        _settled(page)
    page.screenshot(path=file)


def _settled(page: Page) -> None:
    """Waits until two pictures in a row are the same: charts draw once more after their data came."""
    before = b""
    for _ in range(20):
        now = page.screenshot()
        if now == before:
            return
        before = now
        time.sleep(0.25)


def _fill(server: AppServer) -> Sequence[tuple[str, str]]:
    """Writes a month into the server's data directory; returns what can be seen then."""
    server.data_dir.mkdir(parents=True)
    os.environ["AGENT_LAUNCHER_DATA_DIR"] = str(server.data_dir)
    with opened_application() as application:
        seed_demo_agents(application)
        fill(application, days=62)
        triage = application.agents.find(LOCAL, "Support triage")
        succeeded, older = _runs(application, RunStatus.SUCCEEDED)
        failed, _ = _runs(application, RunStatus.FAILED)
        shown = _side_by_side(application, ("demo-echo", "demo-slow", "demo-error"))
        six = _side_by_side(application, ("demo-echo", "demo-slow", "demo-flaky") * 2)
        talk = _chat(application)
    del os.environ["AGENT_LAUNCHER_DATA_DIR"]
    return (
        *EMPTY,
        ("overview-today", f"/?{state.RANGE}=Today"),
        ("overview-30-days", f"/?{state.RANGE}=30+days"),
        ("playground-run", f"/playground?{state.PLAYGROUND_RUNS}={shown[0]}"),
        ("playground-side-by-side", f"/playground?{state.PLAYGROUND_RUNS}={','.join(shown)}"),
        ("playground-failed", f"/playground?{state.PLAYGROUND_RUNS}={shown[2]}"),
        ("playground-six", f"/playground?{state.PLAYGROUND_RUNS}={','.join(six)}"),
        ("playground-chat", f"/playground?{state.PLAYGROUND_RUNS}={','.join(talk)}"),
        ("agent", f"/agent?{state.AGENT_PAGE_ID}={triage.id}"),
        ("agent-versions", f"/agent?{state.AGENT_PAGE_ID}={triage.id}&{state.AGENT_TAB}=Versions"),
        ("agent-new", f"/agent?{state.AGENT_PAGE_ID}={state.AGENT_NEW}"),
        ("runs-filtered", f"/runs?{state.RUNS_STATUS}=Failed&{state.RANGE}=30+days"),
        ("run", f"/run?{state.RUN_ID}={succeeded}"),
        ("run-failed", f"/run?{state.RUN_ID}={failed}"),
        ("run-retried", f"/run?{state.RUN_ID}={six[2]}"),
        ("run-compare", f"/run?{state.RUN_ID}={succeeded}&{state.RUN_COMPARE}={older}"),
        ("usage-by-agent", f"/usage?{state.USAGE_SPLIT}=Agent&{state.RANGE}=30+days"),
        ("usage-by-model", f"/usage?{state.USAGE_SPLIT}=Model&{state.RANGE}=30+days"),
        ("costs-agent", f"/costs?{state.COSTS_AGENT}=Support+triage"),
        ("costs-long-input", f"/costs?{state.COSTS_INPUT}=500000"),
        ("costs-nothing", f"/costs?{state.COSTS_SEARCH}=no-such-model"),
        ("usage-nothing", f"/usage?{state.RUNS_MODEL}=no-such-model"),
        *(
            (f"settings-{section.lower()}", f"/settings?{state.SETTINGS_SECTION}={section}")
            for section in ("Defaults", "Prices", "Installation", "Health")
        ),
    )


def _runs(application: Application, status: RunStatus) -> tuple[str, str]:
    """The two newest runs of a status and of one agent."""
    agent = application.agents.find(LOCAL, "Support triage")
    wanted = RunFilter(statuses=(status,), agent_ids=(agent.id,))
    first, second = application.runs.page(LOCAL, wanted, limit=2).runs
    return str(first.id), str(second.id)


def _side_by_side(application: Application, models: Sequence[str]) -> list[str]:
    """Runs of the offline demo that were started together."""
    group = ids.uuid7()
    specs = [
        RunSpec(
            config=AgentConfig(provider="DEMO", model_name=model, system_prompt="Answer in one paragraph."),
            prompt="Explain to a new colleague what a fall-back is, and when it may cost twice.",
            trigger=Trigger.PLAYGROUND,
            group_id=group,
        )
        for model in models
    ]
    runs = application.runs.start_many(LOCAL, specs)
    for run in runs:
        run.wait(60)
    return [str(run.run_id) for run in runs]


def _chat(application: Application) -> list[str]:
    """The runs of a conversation of two turns."""
    config = AgentConfig(provider="DEMO", model_name="demo-echo", agent_type="chat", prompt="")
    found: list[str] = []
    said: list[Message] = []
    for question in ("What is a fall-back?", "And when may it cost twice?"):
        spec = RunSpec(config=config, prompt=question, messages=said, trigger=Trigger.PLAYGROUND)
        outcome = application.runs.run(LOCAL, spec)
        said = [
            *said,
            Message(role="user", content=question),
            Message(role="assistant", content=outcome.response.response or ""),
        ]
        found.append(str(outcome.run_id))
    return found


if __name__ == "__main__":
    sys.exit(main())
