"""A console opened in a browser, and what every page of it has to be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, ViewportSize

from service.exchange.scenarios.catalogue import scenario
from tests.chromium import new_page, record_problems
from tests.console.desk import Desk

DESK = ViewportSize(width=1600, height=1000)

OVERFLOW = """
() => [...document.querySelectorAll("section, section *:not(svg *):not(#plots *), body")]
  .filter((e) => e.checkVisibility() && !["hidden", "auto"].includes(getComputedStyle(e).overflowX))
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
  .map((e) => `${e.tagName}#${e.id}.${e.className}: ${e.scrollWidth} > ${e.clientWidth}`)
"""

CONTRASTS = """
() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const its = rgb(getComputedStyle(e).backgroundColor);
      if (its.length === 3 || its[3] === 1) return its;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *:not(svg *):not(script)")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${e.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


@asynccontextmanager
async def opened(chrome: Browser, url: str) -> AsyncIterator[Page]:
    """A page that may load nothing from elsewhere, raise nothing and pop up nothing."""
    page = await new_page(chrome)
    strange = record_problems(page, url)
    await page.goto(url)
    try:
        yield page
    finally:
        await page.close()
    # The plotting library probes what images there may be, and does as well without them.
    assert [what for what in strange if not what.startswith("request: data:image/webp")] == []


def quick_desk(**options: object) -> Desk:
    """A small calm market."""
    return Desk(**{"script": scenario("calm"), "seed": 1, "symbols": 2, "rate": 5.0, **options})
