"""Screenshots of the console in three states, and on a telephone: ``make screenshots``.

The upper part of the cascade becomes the picture of the README.
"""

import argparse
import asyncio
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from playwright.async_api import Browser, FloatRect, Page

from tests.chromium import MISSING, PHONE, browser, chromium, new_page
from tests.console.desk import (
    BEGIN_NS,
    CALM_SECONDS,
    CASCADE_SECONDS,
    SECOND,
    STRESS_SECONDS,
    Desk,
    served,
)

PICTURE = Path("docs/images/console.png")
"""The picture of the README; it stays under 200 kB."""
PICTURE_CLIP = FloatRect(x=0, y=0, width=1440, height=690)

STATES = {"calm": CALM_SECONDS, "stress": STRESS_SECONDS, "cascade": CASCADE_SECONDS}


async def states(its: Browser, out: Path) -> AsyncIterator[tuple[str, Page]]:
    """Take the market through the three states; yields each with its page once it was drawn."""
    desk = Desk()
    async with served(desk) as url:
        page = await new_page(its)
        for name, seconds in STATES.items():
            desk.run_to(seconds)
            await page.goto(url)
            await drawn(page)
            await told(page, seconds)
            await page.screenshot(path=out / f"console-{name}.png", full_page=True)
            yield name, page
        await page.screenshot(path=out / PICTURE.name, clip=PICTURE_CLIP)
        phone = await new_page(its, PHONE)
        await phone.goto(url)
        await drawn(phone)
        await phone.screenshot(path=out / "console-phone.png", full_page=True)
        yield "phone", phone


async def drawn(page: Page) -> None:
    """Wait until the page shows what the service says, with its plots."""
    await page.wait_for_selector("#plots[data-drawn] .main-svg")


async def told(page: Page, seconds: int) -> None:
    """Wait until the page tells of the market so many seconds after its beginning.

    The first that a viewer is given may be what the last one was.
    """
    at = datetime.fromtimestamp(BEGIN_NS // SECOND + seconds, UTC)
    await page.get_by_text(f"{at:%H:%M:%S} UTC").first.wait_for()


async def main(out: Path, picture: Path) -> None:
    """Take them all."""
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with browser(path) as its:
        async for name, _ in states(its, out):
            print(out / f"console-{name}.png")  # noqa: T201 - the command's output
    picture.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(out / PICTURE.name, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"), help="their folder")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the picture of the README")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(chosen.out, chosen.picture))
