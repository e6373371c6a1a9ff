"""A real browser on the dashboard."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Response, expect, sync_playwright

from tests.support.chromium import LAUNCH_FLAGS

VIEWPORT_1280 = (1280, 800)
VIEWPORT_1920 = (1920, 1080)

_PROBED = ("/_stcore/health", "/_stcore/host-config")


@contextmanager
def launched(executable: Path) -> Generator[Browser]:
    """Gives a running browser.

    Playwright's synchronous interface keeps an event loop running in this thread, in which `asyncio.run` then
    fails: so a browser lives as long as one module's tests, not as long as the session.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(LAUNCH_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class PageErrors(list[str]):
    """What went wrong in a page, oldest first: errors on its console, uncaught exceptions, failed responses.

    The `page` fixture expects it to be empty at the end of a test; one that provokes errors clears it.
    """

    def watch(self, page: Page) -> None:
        """Collects from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", self._on_exception)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        # Opened at a page's address, Streamlit asks below that address first whether the server is there.
        if message.type == "error" and not url.endswith(_PROBED):
            self.append(f"console: {message.text} ({url})")

    def _on_exception(self, error: Error) -> None:
        self.append(f"exception: {error}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 500:
            self.append(f"response: {response.status} {response.url}")


@contextmanager
def opened_page(
    browser: Browser, *, dark: bool = False, viewport: tuple[int, int] = VIEWPORT_1280
) -> Generator[Page]:
    """Gives a page in a session of its own (cookies, storage), in UTC and English, without animations."""
    context = browser.new_context(
        viewport={"width": viewport[0], "height": viewport[1]},
        color_scheme="dark" if dark else "light",
        locale="en-US",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def drawn(page: Page) -> Page:
    """Waits until the page is drawn whole: before, what is on its way out stands beside what takes its place.

    For what can match both, and for what a drawing closes again, such as a list of options.
    """
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    return page
