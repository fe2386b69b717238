"""A report that is printed, or saved as PDF, shows every plot."""

from pathlib import Path

from playwright.async_api import expect

from tests.chromium import browser, new_page, require_chromium

COUNT = """
  window.plots = [...document.querySelectorAll('section.symbol .plot')];
  window.shown = () => window.plots.filter((its) => its.querySelector('.main-svg path')).length;
  window.addEventListener('afterprint', () => { window.printed = window.shown(); });
"""


async def test_a_report_that_was_never_scrolled_is_printed_with_every_plot(report: Path):
    async with browser(require_chromium()) as chrome:
        page = await new_page(chrome, {"width": 800, "height": 200})
        await page.goto(report.as_uri())
        await expect(page.locator("#stripes")).to_have_attribute("data-drawn", "yes")
        await page.evaluate(COUNT)
        await page.pdf()
        plots = await page.evaluate("window.plots.length")
        assert plots > 1
        assert await page.evaluate("window.printed") == plots


async def test_every_plot_is_there_for_a_browser_that_does_not_tell_before_it_prints(report: Path):
    async with browser(require_chromium()) as chrome:
        page = await new_page(chrome, {"width": 800, "height": 200})
        await page.goto(report.as_uri())
        for plot in await page.locator("section.symbol .plot").all():
            await expect(plot).to_have_attribute("data-drawn", "yes")
