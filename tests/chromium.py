"""The browser of the tests: Debian's Chromium, or the browser named in CHROMIUM."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from tests.kafka_server import unavailable

MISSING = "no Chromium: install Debian's package chromium, or name a browser in CHROMIUM"

# Long, for busy machines; a condition that never holds is still reported.
TIMEOUT_MILLISECONDS = 60_000
expect.set_options(timeout=TIMEOUT_MILLISECONDS)

WIDE = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)


def chromium() -> str | None:
    """The path of the browser, or None."""
    return (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )


def require_chromium() -> str:
    """The path of the browser. Without a browser, skip the test (in CI: fail)."""
    path = chromium()
    if path is None:
        unavailable(MISSING)
    return path


@asynccontextmanager
async def browser(path: str) -> AsyncIterator[Browser]:
    """A running headless browser."""
    # Chromium's sandbox is not available to root, as in a container.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield running
        finally:
            await running.close()


async def new_page(running: Browser, viewport: ViewportSize = WIDE) -> Page:
    """An empty page with a long timeout for busy machines."""
    page = await running.new_page(viewport=viewport)
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    return page


def record_problems(page: Page, allowed: str) -> list[str]:
    """Collect a page's problems from now on: errors, dialogs, requests to other addresses.

    ``allowed`` is the prefix of the addresses from which the page may load.
    """
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda r: problems.append(f"request: {r.url}") if not r.url.startswith(allowed) else None,
    )
    return problems


async def runs_inline_code(page: Page) -> bool:
    """Whether the page executes code that was inserted as text."""
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.pwned = 1";
            document.head.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='pwned = 1'>");
        }"""
    )
    await page.wait_for_selector("body > img", state="attached")
    await asyncio.sleep(0.2)  # the error event of a missing image takes a moment
    return await page.evaluate("window.pwned") is not None
