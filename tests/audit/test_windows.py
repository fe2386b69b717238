"""The mark windows: by hand, on a simulated cascade, and as they are written."""

from pathlib import Path

import msgspec
import pytest

from detectors.audit.claims import Book, Claims, MarkClaims
from detectors.audit.tape import Evidence
from detectors.audit.windows import Frontier, frontier
from detectors.market_data.events import Margin, Order, Position, Reference, Trade
from service.cli.main import main
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate
from service.replay.files import EventWriter
from tests.audit.made import SECOND, cascade, evidence
from tests.audit.test_by_hand import START
from tests.chromium import browser, new_page, record_problems, require_chromium


def quoted(second: int, mid: float) -> list:
    """One order a side, around a mid price, instead of those before."""
    at = START + second * SECOND - 1
    return [
        Order(ts_event=at, symbol="X", order_id=side, account="m", side=side,
              price=mid + (0.1 if side == "sell" else -0.1), quantity=50.0)
        for side in (("sell", "buy") if mid >= 103.0 else ("buy", "sell"))
    ]  # fmt: skip


def sold_in_a_dip() -> list:
    """4 bought at 100 with a margin of 30 and 10 %: due at (400 - 30) / (4 - 0.4) = 102.78.

    The mid price is 103, from second 62 on 100, from 66 on 99, from 200 on 104. The published mark
    is 102 from 62 on, and in that second 1 is sold at 99.9. The mean of a minute passes 102.78 in
    second 67, when the mid price is 99: one less.
    """
    mids = {0: 103.0, 62: 100.0, 66: 99.0, 200: 104.0}
    at = START + 62 * SECOND
    return sorted(
        [
            Margin(ts_event=START - 2, symbol="X", maintenance_margin_rate=0.1),
            Position(ts_event=START - 2, symbol="X", account="a", quantity=4.0, entry_price=100.0,
                     margin=30.0),
            *(order for second, mid in mids.items() for order in quoted(second, mid)),
            *(
                Reference(ts_event=START + second * SECOND, symbol="X", index_price=103.0,
                          mark_price=103.0 if second < 62 else 102.0)
                for second in range(400)
            ),
            Order(ts_event=at, symbol="X", order_id="L", account="a", side="sell", quantity=1.0,
                  type="market", reduce_only=True),
            Trade(ts_event=at, symbol="X", trade_id="1", price=99.9, quantity=1.0, side="sell",
                  maker_order_id="buy", taker_order_id="L", maker_account="m",
                  taker_account="a", liquidation=True),
        ],
        key=lambda event: event.ts_event,
    )  # fmt: skip


def test_what_a_longer_window_costs_is_what_the_price_fell_meanwhile():
    found = frontier(evidence(sold_in_a_dip(), Book()))
    assert found.withheld == ""
    rows = {row.window: row.every for row in found.rows}
    assert rows["own"].liquidations == 1
    assert rows["sma_60s"].lost == pytest.approx(1.0)
    assert rows["sma_60s"].earlier == rows["sma_60s"].survivors_300s == 0
    assert rows["mid"].lost == 0.0
    # 300 s later the mid price is 104, and 99.9 was paid.
    assert found.regret == pytest.approx(4.1)
    assert found.rebounds == (1, 1, 1)  # the index alone, 103, would not have reached 102.78


@pytest.fixture(scope="module")
def events() -> list:
    """A cascade, and five minutes and more after it."""
    market = scenario("cascade", start_seconds=300.0, length_seconds=300.0)
    made = simulate(market, seed=1, symbols=1, duration_ns=1_150 * SECOND)
    return [event for event in made if not isinstance(event, Truth)]


@pytest.fixture(scope="module")
def read(events: list) -> Evidence:
    """What is left of it."""
    return evidence(events)


@pytest.fixture(scope="module")
def found(read: Evidence) -> Frontier:
    """Its windows."""
    return frontier(read)


def test_a_longer_window_avoids_more_regret_and_adds_shortfall(found: Frontier):
    rows = {row.window: row.every for row in found.rows}
    own = rows["own"]
    assert own.liquidations > 50
    assert own.survivors_300s == 0  # the venue's rule caused what it caused
    assert (own.gained, own.lost, own.bankruptcies, own.shortfall) == (0.0, 0.0, 0, 0.0)
    assert rows["ema_30s"] == own
    assert rows["ema_150s"].avoided > rows["ema_60s"].avoided > 0.0
    assert rows["ema_150s"].shortfall > 0.0 > rows["ema_10s"].shortfall
    assert 0.0 < rows["ema_150s"].avoided < found.regret


def test_the_quarters_of_size_are_all_of_them(found: Frontier):
    for row in found.rows:
        for name in ("liquidations", "survivors_300s", "earlier"):
            assert sum(getattr(part, name) for part in row.quarters) == getattr(row.every, name)
        assert 0 < row.first.liquidations < row.every.liquidations


def test_without_the_true_rule_there_is_no_table(read: Evidence):
    for symbol in read.symbols.values():
        symbol.claims = Claims(mark=MarkClaims(method="ema_premium", window_seconds=150.0))
    withheld = frontier(read)
    assert [row.window for row in withheld.rows] == ["own"]
    assert "the mark price is not made as stated" in withheld.withheld
    ended = frontier(evidence(cascade()))
    assert "from a minute before to five minutes after it" in ended.withheld


async def test_the_command_writes_table_and_plot_and_a_browser_shows_them(
    events: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with EventWriter(tmp_path / "day") as writer:
        for event in events:
            writer.write(event)
    html, json = tmp_path / "audit.html", tmp_path / "audit.json"
    words = ["audit", str(tmp_path / "day"), "--mark-windows"]
    assert main([*words, "--html", str(html), "--json", str(json)]) == 0
    printed = capsys.readouterr().out
    assert "mark windows: what other mark prices would have made" in printed
    assert "150 s premium" in printed
    windows = msgspec.json.decode(json.read_bytes())["mark_windows"]
    assert len(windows["rows"]) == 8

    path = require_chromium()
    async with browser(path) as running:
        page = await new_page(running)
        problems = record_problems(page, html.as_uri())
        await page.goto(html.as_uri())
        names = await page.locator("svg text").all_text_contents()
        assert {"regret avoided", "shortfall added", "150 s premium"} <= set(names)
        boxes = [await its.bounding_box() for its in await page.locator("svg text").all()]
        frame = await page.locator("svg").bounding_box()
        assert frame is not None
        for box in boxes:
            assert box is not None
            assert box["x"] >= frame["x"]
            assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        # Every link leads somewhere on the page, which loads nothing and runs nothing.
        missing = await page.evaluate(
            "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash))"
            ".map(a => a.hash)"
        )
        assert missing == []
        policy = await page.locator("meta[http-equiv]").get_attribute("content")
        assert policy is not None
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert problems == []
