"""The real browser of the tests: Debian's Chromium, or the one that CHROMIUM names."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from tests.kafka_server import unavailable

MISSING = "no Chromium: install Debian's package chromium, or name a browser in CHROMIUM"

# A busy machine takes its time; what never comes is still told.
TIMEOUT_MILLISECONDS = 60_000
expect.set_options(timeout=TIMEOUT_MILLISECONDS)

WIDE = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)


def chromium() -> str | None:
    """Where the browser is."""
    return (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )


def require_chromium() -> str:
    """Where the browser is; without one the test is skipped, in CI it fails."""
    path = chromium()
    if path is None:
        unavailable(MISSING)
    return path


@asynccontextmanager
async def browser(path: str) -> AsyncIterator[Browser]:
    """A running browser without a window."""
    # As root, as in a container, Chromium's own sandbox cannot be had.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        its = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield its
        finally:
            await its.close()


async def new_page(its: Browser, viewport: ViewportSize = WIDE) -> Page:
    """An empty page, with the patience that a busy machine needs."""
    page = await its.new_page(viewport=viewport)
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    return page
