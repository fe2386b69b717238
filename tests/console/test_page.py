"""The console in a real browser: what somebody who is woken by it gets to see."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from detectors.incidents.alerts import Evidence
from service.errors import OperatorError
from service.pipeline.feedback import Feedback
from service.web.server import Health
from tests.chromium import (
    PHONE,
    WIDE,
    browser,
    new_page,
    require_chromium,
    runs_inline_code,
)
from tests.console import screenshots
from tests.console.browsing import CONTRASTS, OVERFLOW, opened, quick_desk
from tests.console.desk import restarted, served
from tests.console.screenshots import drawn
from tests.steps import alert

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(2)</script>",
    "BTC\nPERP\u202e0001",
    "W" * 64,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with browser(require_chromium()) as its:
        yield its


async def test_it_tells_calm_stress_and_a_cascade_apart(chrome: Browser, tmp_path):
    seen = {}
    async for name, page in screenshots.states(chrome, tmp_path):
        verdict = page.locator("#verdict")
        seen[name] = (await verdict.get_attribute("data-state"), await verdict.inner_text())
        assert (tmp_path / f"console-{name}.png").stat().st_size > 50_000
        assert await page.locator("#detail-title").inner_text() != "No symbol yet"
        assert "is healthy" in await page.locator("#service summary").inner_text()
        assert await page.evaluate(CONTRASTS) == []
        if name == "cascade":
            why = await page.locator("#why").inner_text()
            title = await page.title()
            first = await page.locator("#symbols tbody tr").first.inner_text()
            incidents = await page.locator("#incidents").inner_text()
        if name == "phone":
            width = await page.evaluate("document.documentElement.scrollWidth")
    assert seen["calm"][0] == "calm"
    assert "no incident is open" in seen["calm"][1]
    assert seen["stress"][0] == "warning"
    assert (
        "BTC-PERP accounts are taking on leverage: new orders exceed the leverage of their accounts"
        in seen["stress"][1]
    )
    assert re.search(r"since 08:0[78]:\d\d UTC, for \d+ s", seen["stress"][1])
    assert seen["cascade"][0] == "critical"
    assert "CRITICAL" in seen["cascade"][1]
    headline = seen["cascade"][1].split(". It began at ")[0]
    assert "the mid price has fallen" in headline, "what is the matter now"
    assert "leverage" not in headline
    assert "the kill switch says reduce_only" in why
    assert "docs/runbook.md#thin_book" in why
    assert title.startswith("▲▲ critical BTC-PERP")
    assert first.startswith("BTC-PERP")
    assert "resolved" in incidents
    assert width <= PHONE["width"], "nothing sticks out of a telephone"


async def test_names_from_the_feed_are_text_and_nothing_else(chrome: Browser):
    desk = quick_desk(symbols=HOSTILE)
    desk.run_to(5)
    async with served(desk) as url, opened(chrome, url) as page:
        await drawn(page)
        names = await page.locator("#symbols .pick").all_inner_texts()
        for number in range(len(HOSTILE)):
            await page.locator("#symbols .pick").nth(number).click()
            await expect(page.locator("#plots")).to_have_attribute(
                "data-drawn", (await page.evaluate("decodeURIComponent(location.hash.slice(1))"))
            )
        assert await page.locator("main img, main script").count() == 0
        for viewport in (WIDE, PHONE):
            await page.set_viewport_size(viewport)
            assert await page.evaluate(OVERFLOW) == []
    assert sorted(names) == sorted(
        [*HOSTILE[:2], "BTC\\nPERP\\u202e0001", HOSTILE[3]],
    )


async def test_warming_up_restoring_and_stale_data_are_told(chrome: Browser):
    desk = quick_desk()
    desk.health = Health(live=True, ready=False, checks={"kafka": "connecting"})
    async with served(desk) as url, opened(chrome, url) as page:
        verdict, service = page.locator("#verdict"), page.locator("#service summary")
        await expect(verdict).to_contain_text("not connected to Kafka")
        await expect(verdict).to_have_attribute("data-state", "unknown")
        desk.health = Health(live=True, ready=False, checks={"state": "restoring 3 partitions"})
        await expect(verdict).to_contain_text("restoring 3 partitions")
        desk.health = Health(live=True, ready=True, checks={"kafka": "ok"})
        await expect(verdict).to_contain_text("no events received yet")
        desk.run_to(150)
        await expect(verdict).to_contain_text("warming up")
        await expect(page.locator("#symbols tbody")).to_contain_text("% learned")
        desk.run_to(330)
        await expect(verdict).to_contain_text("no incident is open")
        await expect(service).to_contain_text("is healthy")
        desk.silence = 42.0
        await expect(service).to_contain_text("no events for 4")
        await expect(verdict).to_contain_text("the market is closed or the feed is down")


async def test_a_lost_connection_is_told_and_found_again(chrome: Browser):
    desk = quick_desk()
    desk.run_to(5)
    server = await desk.serve()
    async with opened(chrome, f"http://127.0.0.1:{server.port}/") as page:
        await expect(page.locator("#connection")).to_contain_text("live")
        await server.close()
        await expect(page.locator("#lost")).to_contain_text("last update")
        again = await desk.serve(server.port)
        try:
            await expect(page.locator("#lost")).to_be_hidden(timeout=15_000)
            await expect(page.locator("#connection")).to_contain_text("live")
        finally:
            await page.close()
            await again.close()


async def test_the_keyboard_is_enough(chrome: Browser):
    desk = quick_desk()
    desk.run_to(5)
    async with served(desk) as url, opened(chrome, url) as page:
        await drawn(page)
        await page.locator("#look").focus()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        chosen = await page.evaluate("document.activeElement.textContent")
        await expect(page.locator("#detail-title")).to_contain_text(chosen)
        await asyncio.sleep(1.5)  # rows are shown anew each second
        assert await page.evaluate("document.activeElement.textContent") == chosen
        await page.locator("#look").fill("NOBODY-KNOWS")
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail-note")).to_contain_text("does not watch this symbol")


async def test_an_alarm_is_not_told_with_the_evidence_of_its_feed(chrome: Browser):
    alarm = alert(1, evidence=[Evidence("thin_book", "shallow_15s", 2.0, 0.0, 1.0)])
    lost = Evidence("feed_integrity", "sequence_gap_events", 12.0, 0.0, 1.0)
    feed = {"detector": "feed_integrity", "severity": "critical", "summary": "S: 12 events missing"}
    desk = restarted(alarm, alert(2, evidence=[lost], **feed))
    async with served(desk) as url, opened(chrome, url) as page:
        boxes = page.locator("#why .box")
        await expect(boxes).to_have_count(2)
        of_market, of_feed = boxes.nth(0), boxes.nth(1)
        await expect(of_market).to_contain_text("7.4 times less than usual")
        await expect(of_market).to_contain_text("the incident ends after")
        await expect(of_market).not_to_contain_text("missing")
        await expect(of_feed).to_contain_text("feed, critical")
        await expect(of_feed).to_contain_text("12 events are missing (gap in the sequence numbers)")
        await expect(of_feed).not_to_contain_text("the incident ends after")
        await expect(page.locator("#verdict")).to_have_attribute("data-state", "warning")


async def test_a_link_is_followed_and_one_that_cannot_be_is_told(chrome: Browser):
    desk = quick_desk(symbols=["A", "B C"])
    desk.run_to(5)
    async with served(desk) as url, opened(chrome, url) as page:
        await page.goto(f"{url}#B%20C")
        await page.reload()
        title, said = page.locator("#detail-title"), page.locator("#link")
        await expect(title).to_contain_text("B C")
        await page.evaluate("location.hash = 'A'")
        await expect(title).to_contain_text("A")
        await expect(said).to_have_text("")
        for hash_ in ("%E0%A4%A", "W" * 65):
            await page.evaluate("(its) => { location.hash = its; }", hash_)
            await expect(said).to_contain_text("names no valid symbol")
            await expect(page.locator("#connection")).to_contain_text("live")
        await page.locator("#symbols .pick").first.click()
        await expect(said).to_have_text("")
        before = page.url
        await page.locator(".skip").focus()
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "detail"
        assert page.url == before, "what stands there is a symbol"


async def test_the_policy_allows_no_inline_code_and_nothing_from_elsewhere(chrome: Browser):
    desk = quick_desk()
    desk.run_to(3)
    async with served(desk) as url:
        page = await new_page(chrome)
        response = await page.goto(url)
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert not await runs_inline_code(page)
        # The plotting library does its work without what the policy keeps from it.
        await drawn(page)
        await page.close()


async def test_an_incident_can_be_judged_with_a_note_and_the_verdict_is_shown(chrome: Browser):
    desk = restarted(alert(1, symbol="S", detector="cancel_burst"))
    given = []

    async def judge(feedback: Feedback) -> None:
        given.append(feedback)
        desk.judgements.add(feedback)  # as the service reads it back from the topic

    desk.judge = judge
    async with served(desk) as url, opened(chrome, url) as page:
        form = page.locator("#incidents .judge")
        await expect(form).to_contain_text("not judged: counts as false")
        await form.get_by_label("note").fill("quotes were <pulled>")
        await form.get_by_role("button", name="True").click()
        await expect(form).to_contain_text("judged true")
        pressed = form.locator('button[aria-pressed="true"]')
        await expect(pressed).to_have_text("True")
        await form.get_by_role("button", name="False").click()
        await expect(pressed).to_have_text("False")
        assert await page.evaluate(CONTRASTS) == []
        assert await page.evaluate(OVERFLOW) == []
    assert [(its.verdict, its.note) for its in given] == [
        ("true", "quotes were <pulled>"),
        ("false", ""),
    ]


async def test_a_judgement_that_is_not_taken_is_told(chrome: Browser):
    desk = restarted(alert(1, symbol="S", detector="cancel_burst"))

    async def judge(_: Feedback) -> None:
        raise OperatorError("Kafka is not connected")

    desk.judge = judge
    async with served(desk) as url:
        page = await new_page(chrome)
        await page.goto(url)
        form = page.locator("#incidents .judge")
        await form.get_by_role("button", name="True").click()
        await expect(form).to_contain_text("not judged: 503 Kafka has not taken the judgement")
        await page.close()
