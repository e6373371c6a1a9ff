"""The usage page over a large database: a re-run on the server, and the first visit of a browser to its last chart."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser
from streamlit.testing.v1 import AppTest

from benchmarks.startup import running_server
from core.services.application import Application
from core.settings import load_settings
from dashboard import backend, queries, routes
from tests.support.browser import VIEWPORT_1920, launched
from tests.support.chromium import find_chromium

RANGE = "30 days"
CHARTS = 6
_APP = Path(__file__).parents[1] / "dashboard" / "app.py"

_DRAWN = f"() => document.querySelectorAll('.js-plotly-plot:has(.main-svg)').length >= {CHARTS}"


@dataclass(frozen=True)
class PageTimes:
    """Medians: `rerun_ms` with the caches of the last two seconds, `fresh_ms` without, `cold_s` in a new browser."""

    rerun_ms: float
    fresh_ms: float
    cold_s: float


def measure_usage_page(url: str, *, rounds: int) -> PageTimes:
    """Opens the page over the last 30 days of the database at `url`, which must be of the newest schema."""
    with tempfile.TemporaryDirectory() as folder, _environment(url, folder):
        application = Application.open(load_settings(), kind="bench")
        backend.install(application)
        try:
            app = AppTest.from_file(str(_APP), default_timeout=60)
            app.query_params["range"] = RANGE
            app.switch_page(routes.USAGE)
            app.run()
            fresh = _median(lambda: (queries.forget_all(), app.run()), rounds)
            rerun = _median(app.run, rounds)
            if app.exception or len(app.get("plotly_chart")) != CHARTS:
                raise SystemExit(f"The usage page did not draw its {CHARTS} charts: {app.exception}")
        finally:
            backend.install(None)
            application.close()
        chromium = find_chromium()
        if chromium is None:
            raise SystemExit("There is no Chromium: run `make test` once, which finds or installs one.")
        variables = {"DATABASE_URL": url, "AGENT_LAUNCHER_DATA_DIR": folder}
        with running_server(variables) as address, launched(chromium) as browser:
            page = f"{address}/usage?range={RANGE.replace(' ', '+')}"
            cold = _median(lambda: _visit(browser, page), rounds)
    return PageTimes(rerun * 1e3, fresh * 1e3, cold)


def _visit(browser: Browser, address: str) -> None:
    """A visit with an empty cache, until the last chart is drawn."""
    context = browser.new_context(viewport={"width": VIEWPORT_1920[0], "height": VIEWPORT_1920[1]})
    try:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        page.wait_for_function(_DRAWN, polling=20, timeout=60_000)
    finally:
        context.close()


def _median(work: Callable[[], object], rounds: int) -> float:
    """Seconds by the clock, after one round that is not counted."""
    work()
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@contextmanager
def _environment(url: str, folder: str) -> Generator[None]:
    before = dict(os.environ)
    os.environ |= {
        "DATABASE_URL": url,
        "AGENT_LAUNCHER_DATA_DIR": folder,
        "AGENT_LAUNCHER_LOG_LEVEL": "WARNING",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
