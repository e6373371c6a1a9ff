"""A real browser on the dashboard, and a person's ways with its widgets."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Download,
    Error,
    Locator,
    Page,
    Response,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as ActionTimeout

from tests.support.chromium import LAUNCH_FLAGS

VIEWPORT_1280 = (1280, 800)
VIEWPORT_1920 = (1920, 1080)
ROW_PX = 33
"""The height of a row of a runs' table, and of its heading."""

PATIENCE_MS = 30_000
"""How long an action, a navigation or an expectation may take: a machine with other work takes its time, and a
test that passes waits for none of it."""

_PROBED = ("/_stcore/health", "/_stcore/host-config")
# What a page that is drawn no longer has: a script that runs, and the grey in the place of a part that is loaded late.
_DRAWN = '[data-testid="stApp"][data-test-script-state="notRunning"]:not(:has([data-testid="stSkeleton"]))'
_TRIES = 4
_SOON_MS = 5_000

expect.set_options(timeout=PATIENCE_MS)


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
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def drawn(page: Page) -> Page:
    """Waits until the page is drawn whole: before, what is on its way out stands beside what takes its place.

    For what can match both, for a field that is about to be typed in, and for what a drawing closes again, such as a
    list of options. Right after a click it may be too early: the server has not begun to draw.
    """
    expect(page.locator(_DRAWN)).to_be_attached()
    return page


def write(field: Locator, text: str) -> None:
    """Types into a field and leaves it, which is when Streamlit hears of it."""
    drawn(field.page)
    # A form that another one takes the place of stays on the page until that is drawn whole.
    expect(field).to_have_count(1)
    field.fill(text)
    field.blur()


def choose(page: Page, field: str, option: str, *, typed: bool = False, new: bool = False) -> None:
    """Chooses from a list, or adds to what is chosen there, and leaves the list closed.

    As a person does, it opens a list again that closed under its hands: every list does when the page scrolls, be it
    only because a table became shorter.

    Args:
        page: Where the list is.
        field: The list's name.
        option: What to choose.
        typed: Types the option to find it, for a long list: only what is near is on the page.
        new: Types an option that the list does not have, and takes it with Enter.
    """
    box = page.get_by_role("combobox", name=field, exact=True)
    wanted = page.get_by_role("option", name=f"Add: {option}" if new else option, exact=True)
    several = page.get_by_test_id("stMultiSelect").filter(has=box)
    tag = several.get_by_label(option, exact=True).locator("visible=true")

    def attempt(timeout: float) -> None:
        holds_several = several.count() > 0
        if holds_several and tag.count():
            return  # of the attempt before, which was too early to tell
        if typed or new:
            box.fill("")
            box.fill(option)
        elif box.get_attribute("aria-expanded") != "true":
            box.scroll_into_view_if_needed()
            box.click()
        wanted.wait_for(timeout=timeout)
        if new:
            box.press("Enter")
        else:
            wanted.click(timeout=timeout)
        if holds_several:
            expect(tag).to_be_visible(timeout=timeout)
        else:
            expect(box).to_have_attribute("aria-expanded", "false", timeout=timeout)
            expect(box).to_have_value(option, timeout=timeout)

    _with_patience(page, attempt)
    if box.get_attribute("aria-expanded") == "true":
        page.keyboard.press("Escape")  # a list of several things to choose stays open
    expect(box).to_have_attribute("aria-expanded", "false")


def choose_action(page: Page, menu: Locator, action: str) -> None:
    """Opens the menu behind a button and clicks what it offers; opens it again if it closed before."""
    entry = page.get_by_role("menuitem", name=action)

    def attempt(timeout: float) -> None:
        if not entry.is_visible():
            menu.click()
        entry.click(timeout=timeout)

    _with_patience(page, attempt)
    expect(entry).to_be_hidden()


def tick(page: Page, row: int) -> None:
    """Ticks a row of the runs' table, which is a canvas, or takes its tick away."""
    table = drawn(page).get_by_test_id("stDataFrame")
    twin = table.locator("canvas tbody tr").nth(row)  # for those who cannot see the canvas
    before = twin.get_attribute("aria-selected") or "false"

    def attempt(timeout: float) -> None:
        if twin.get_attribute("aria-selected") == before:
            table.click(position={"x": 16, "y": ROW_PX * (row + 1) + 16})
        expect(twin).not_to_have_attribute("aria-selected", before, timeout=timeout)

    _with_patience(page, attempt)


def open_row(page: Page, row: int) -> None:
    """Clicks the button of a row of the runs' table."""
    table = drawn(page).get_by_test_id("stDataFrame")
    expect(table.locator("canvas tbody tr").nth(row)).to_be_attached()
    table.click(position={"x": 60, "y": ROW_PX * (row + 1) + 16})


def close_popover(page: Page) -> None:
    """Closes what a button opened over the page; a list that is open in it takes the first Escape."""
    panel = page.get_by_test_id("stPopoverBody")

    def attempt(timeout: float) -> None:
        if panel.is_visible():
            page.keyboard.press("Escape")
        expect(panel).to_be_hidden(timeout=timeout)

    _with_patience(page, attempt)


def downloaded(page: Page, button: Locator) -> Download:
    """The file that a press of the button brings.

    Streamlit makes the file when it is asked for, under a name that the next drawing of the page replaces: a press
    while the page is being drawn may come to nothing.
    """
    got: list[Download] = []

    def attempt(patience_ms: float) -> None:
        with page.expect_download(timeout=patience_ms) as started:
            button.click(timeout=patience_ms)
        got.append(started.value)

    _with_patience(page, attempt)
    return got[0]


def tall_bars(page: Page, chart: str, *, number: int, height: int = 50) -> None:
    """Waits until exactly so many bars of the first such chart (a CSS selector) are higher than that, in pixels."""
    page.wait_for_function(
        """([chart, number, height]) => {
            const bars = document.querySelector(chart)?.querySelectorAll('.bars path') ?? [];
            return [...bars].filter(bar => bar.getBBox().height > height).length === number;
        }""",
        arg=[chart, number, height],
    )


def _with_patience(page: Page, attempt: Callable[[float], None]) -> None:
    """Tries again what a drawing of the page undid; the last try has all the time, and ends in its own error."""
    for _ in range(_TRIES):
        drawn(page)
        try:
            return attempt(_SOON_MS)
        except (ActionTimeout, AssertionError):
            continue
    drawn(page)
    return attempt(PATIENCE_MS)
