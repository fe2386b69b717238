"""What the console shows of the risk of positions, in a real browser."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.chromium import PHONE, WIDE, browser, require_chromium
from tests.console.browsing import CONTRASTS, DESK, OVERFLOW, opened, quick_desk
from tests.console.desk import commanded, served
from tests.risk_watch.venue import near, position, shared

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with browser(require_chromium()) as its:
        yield its


async def test_the_risk_of_positions_is_a_map_over_the_book_and_a_distance(
    chrome: Browser, tmp_path: Path
):
    desk = quick_desk(symbols=["X"])
    desk.run_to(5)
    venue = near(total=850.0)
    venue.take(position("s", -300.0, 0.5, at=venue.now))
    venue.run(60, depth=2.5e4)
    venue.monitor.learned["X"].flow.sigma_60s = 5e-4
    desk.risk, desk.risk_wanted = venue.monitor, True
    async with served(desk) as url, opened(chrome, url) as page:
        rows = page.locator("#risk .map tbody tr")
        await expect(rows).to_have_count(13)
        shown = [" ".join(text.split()) for text in await rows.all_inner_texts()]
        # Prices fall down the map; the crowd of 85,000 is gone 1 % below, over 25,000 of bids.
        assert shown[0].startswith("105.00 +500 bps")
        assert shown[6] == "100.00 mark price now"
        assert shown[10] == "99.00 \u2212100 bps 85.0 k 20, largest 5 % 25.0 k 25.0 k ▲ 3.4 \u00d7"
        assert shown[12] == "95.00 \u2212500 bps 85.0 k 20, largest 5 % \u2013"
        forced = rows.nth(10).locator("rect.long")
        assert await forced.get_attribute("width") == "100"
        depth = rows.nth(10).locator("rect.depth")
        assert float(await depth.get_attribute("width")) == pytest.approx(100 * 25 / 85, abs=0.01)
        # Three quarters of the bids are gone: what is quoted now is what has survived.
        stressed = rows.nth(10).locator("rect.stressed")
        assert await stressed.get_attribute("width") == await depth.get_attribute("width")
        told = await page.locator("#risk .figures").inner_text()
        its = venue.last()
        cascade = next(run for run in its.runs if run.open_interest_ratio == 0.4)
        assert f"distance\t{cascade.distance_bps.p50:.0f} bps\tno move" in told
        low, middle, high = (
            f"{loss / 1e3:.1f} k" for loss in (cascade.loss.p10, cascade.loss.p50, cascade.loss.p90)
        )
        assert f"loss beyond collateral\t{middle} ({low} to {high})" in told
        assert f"accounts\t{cascade.accounts.p50:.0f}\t\u2013" in told
        sale = f"sale of {cascade.sale_notional.p50 / 1e3:.1f} k"
        assert f"as an ordinary order\t{sale}\tno purchase" in told
        assert "85 % of open interest, 20 positions; the others are not counted" in told
        assumed = page.locator("#risk .assumed")
        assert "unstated contracts are linear" in await assumed.inner_text()
        near_cell = page.locator("#symbols tbody .near")
        await expect(near_cell).to_have_text(f"{cascade.distance_bps.p50:.0f}")
        for theme in ("dark", "light"):
            await page.evaluate("(its) => { document.documentElement.dataset.theme = its; }", theme)
            assert await page.evaluate(CONTRASTS) == []
            for viewport in (DESK, WIDE, PHONE):
                await page.set_viewport_size(viewport)
                assert await page.evaluate(OVERFLOW) == []
                assert await page.evaluate(
                    "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                )
                # The table has no room for it on smaller screens.
                assert await near_cell.is_visible() == (viewport == DESK)
                name = f"risk-{theme}-{viewport['width']}.png"
                await page.locator("#risk").screenshot(path=tmp_path / name)
                await page.screenshot(path=tmp_path / f"page-{name}")


async def test_it_says_where_the_risk_of_positions_is_not_known(chrome: Browser):
    desk = quick_desk(symbols=["X"])
    desk.run_to(5)
    async with served(desk) as url, opened(chrome, url) as page:
        note = page.locator("#risk-note")
        await expect(note).to_contain_text("Not watched: that needs a topic of positions")
        await expect(page.locator("#symbols tbody .near")).to_be_hidden()
        desk.risk_wanted = True
        await expect(note).to_contain_text("Another instance watches")
        desk.risk = near().monitor
        await page.locator("#look").fill("NOBODY-KNOWS")
        await page.keyboard.press("Enter")
        await expect(note).to_contain_text("No open position of this symbol is known")
        assert await page.locator("#risk table").count() == 0


async def test_a_scenario_is_asked_for_with_sliders_and_the_keyboard(
    chrome: Browser, tmp_path: Path
):
    desk = quick_desk(symbols=["X"])
    desk.run_to(5)
    venue = near()
    venue.run(60)
    desk.risk, desk.risk_wanted = venue.monitor, True
    async with served(desk) as url, opened(chrome, url) as page:
        panel, said = page.locator("#what-if"), page.locator("#what-if-state")
        await panel.locator("summary").focus()
        await page.keyboard.press("Enter")
        shock = panel.get_by_label("price moves by, X")
        await shock.focus()
        for _ in range(5):
            await page.keyboard.press("ArrowLeft")
        await expect(shock).to_have_attribute("aria-valuetext", "-0.5 %")
        await expect(said).to_contain_text("X moves by -0.5 %")
        rows = panel.locator("tbody tr")
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text("all")
        # The crowd of 90,000 is liquidated 0.8 % below; half a per cent more maintenance is nearer.
        await panel.get_by_label("maintenance, every other symbol").focus()
        for _ in range(3):
            await page.keyboard.press("ArrowRight")
        await expect(said).to_contain_text("maintenance of every symbol x1.5")
        await expect(rows).to_have_count(2)
        heads = await panel.locator("thead th").all_inner_texts()
        cells = await rows.first.locator("th, td").all_inner_texts()
        shown = dict(zip(heads, cells, strict=True))
        assert (shown["symbol"], shown["side"]) == ("X", "long")
        assert (shown["closed before"], shown["closed"]) == ("0", "90 k")
        await expect(panel.locator("li").first).to_be_visible()
        await asyncio.sleep(1.5)  # the page is shown anew each second
        assert await page.evaluate("document.activeElement.ariaLabel") == (
            "maintenance, every other symbol"
        )
        await panel.get_by_label("halted, X").check()
        await expect(said).to_contain_text("X halted")
        await panel.get_by_label("another symbol").fill("NOBODY-KNOWS")
        await page.keyboard.press("Enter")
        await panel.get_by_label("depth, NOBODY-KNOWS").focus()
        await page.keyboard.press("ArrowLeft")
        await expect(said).to_contain_text("no positions of NOBODY-KNOWS are known")
        run = panel.get_by_role("button", name="Cascade of longs: -")
        await run.click()
        cascade = next(its for its in venue.last().runs if its.open_interest_ratio == 0.4)
        shock = -math.ceil(cascade.distance_bps.p50 / 10 + 1e-9) / 10
        await expect(said).to_contain_text(f"X moves by {shock:g} %")
        await expect(rows.first).to_contain_text(" + ")  # what each generation closes
        await expect(panel.get_by_role("button", name="Cascade of shorts")).to_be_hidden()
        await panel.get_by_role("button", name="Reset").click()
        await expect(said).to_contain_text("nothing changes")
        for theme in ("dark", "light"):
            await page.evaluate("(its) => { document.documentElement.dataset.theme = its; }", theme)
            assert await page.evaluate(CONTRASTS) == []
            for viewport in (DESK, WIDE, PHONE):
                await page.set_viewport_size(viewport)
                assert await page.evaluate(OVERFLOW) == []
                name = f"what-if-{theme}-{viewport['width']}.png"
                await panel.screenshot(path=tmp_path / name)


async def test_the_venue_is_a_graph_with_a_table_beside_it_and_its_kill_switches(
    chrome: Browser, tmp_path: Path
):
    desk = quick_desk(symbols=["X"])
    desk.run_to(5)
    venue = shared()
    venue.run(75)
    desk.risk, desk.risk_wanted = venue.monitor, True
    commanded(desk, "X", "trip", "a test of the <gateway>")
    async with served(desk) as url, opened(chrome, url) as page:
        line = page.locator("#switch")
        await expect(line).to_contain_text(
            "Kill switch: ■ tripped since 08:00:03 UTC: tripped by ann: a test of the <gateway>"
        )
        row = page.locator("#switches tbody tr")
        await expect(row).to_contain_text("a test of the <gateway>")
        await expect(page.locator("#contagion-note")).to_contain_text("Open incident: A fall of X")
        graph = page.locator("#contagion-graph svg")
        names = await graph.locator("text").all_text_contents()
        assert names[:2] == ["1. X longs", "2. Y longs"]
        assert await graph.locator("circle.long.path").count() == 2
        assert await graph.locator("path.way.path").count() == 1
        spread = venue.monitor.contagion.spread
        tables = page.locator("#contagion-tables table")
        told = " ".join((await tables.first.locator("tr.path").inner_text()).split())
        gain, seconds = float(f"{spread.matrix[0, 2]:.2g}"), spread.path[0].seconds
        assert told == f"X longs Y longs {gain:g} shared accounts {seconds:.0f} s"
        assert "X longs 90.0 k first" in " ".join((await tables.nth(1).inner_text()).split())
        for theme in ("dark", "light"):
            await page.evaluate("(its) => { document.documentElement.dataset.theme = its; }", theme)
            assert await page.evaluate(CONTRASTS) == []
            for viewport in (DESK, WIDE, PHONE):
                await page.set_viewport_size(viewport)
                assert await page.evaluate(OVERFLOW) == []
                name = f"venue-{theme}-{viewport['width']}.png"
                await page.locator("#venue").screenshot(path=tmp_path / name)
