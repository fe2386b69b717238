"""The report in a real browser."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.chromium import browser, new_page, record_problems, require_chromium, runs_inline_code
from tests.report.conftest import HOSTILE


async def test_it_draws_what_is_zoomed_together_and_is_not_fooled(report: Path):
    async with browser(require_chromium()) as chrome:
        await look(await new_page(chrome), report)


async def look(page: Page, report: Path) -> None:
    strange = record_problems(page, "data:")
    await page.goto(report.as_uri())
    await expect(page.locator("#stripes")).to_have_attribute("data-drawn", "yes")
    await expect(page.locator("#risk-plot")).to_have_attribute("data-drawn", "yes")
    first = page.locator("#symbol-0 .plot")
    await first.scroll_into_view_if_needed()
    await expect(first).to_have_attribute("data-drawn", "yes")
    assert await page.locator("#symbol-0 h2").inner_text() == HOSTILE[0]
    # The time that one plot is zoomed to is shown in all of them.
    before = await page.evaluate("String(document.querySelector('#stripes').layout.xaxis.range)")
    await page.locator("a[data-from]").first.click()
    await page.wait_for_function(
        "(was) => String(document.querySelector('#stripes').layout.xaxis.range) !== was",
        arg=before,
    )
    await page.wait_for_function(
        "() => String(document.querySelector('#stripes').layout.xaxis.range)"
        " === String(document.querySelector('#symbol-0 .plot').layout.xaxis.range)"
    )
    await page.wait_for_function(
        "() => String(document.querySelector('#stripes').layout.xaxis.range)"
        " === String(document.querySelector('#risk-plot').layout.xaxis.range)"
    )
    assert await page.locator("body img:not(svg *)").count() == 0
    assert strange == [f"request: {report.as_uri()}"]
    # What got into it all the same could do nothing.
    assert not await runs_inline_code(page)
