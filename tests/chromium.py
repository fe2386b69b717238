"""The real browser of the tests: Debian's Chromium, or the one that CHROMIUM names."""

import asyncio
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


def watched(page: Page, allowed: str) -> list[str]:
    """What is strange about a page from now on: errors, dialogs, requests for other addresses.

    ``allowed`` is what addresses begin with that it may load from.
    """
    strange: list[str] = []
    page.on("pageerror", lambda error: strange.append(f"error: {error}"))
    page.on("dialog", lambda dialog: strange.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda r: strange.append(f"request: {r.url}") if not r.url.startswith(allowed) else None,
    )
    return strange


async def runs_inline_code(page: Page) -> bool:
    """Whether code that got into a page as text would be run."""
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.pwned = 1";
            document.head.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='pwned = 1'>");
        }"""
    )
    await page.wait_for_selector("body > img", state="attached")
    await asyncio.sleep(0.2)  # an image that cannot be loaded takes a moment to say so
    return await page.evaluate("window.pwned") is not None
