"""What browser tests share."""

from playwright.sync_api import expect

# A page's first visit after the server's start imports pandas; a machine that runs four tests at once takes its time.
expect.set_options(timeout=20_000)
