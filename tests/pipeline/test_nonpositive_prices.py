"""Prices of zero and below are taken for the symbols that may have them, and refused elsewhere."""

import json

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Cancel, Order, Trade
from detectors.parameters import Parameters
from detectors.state import capture, revive
from detectors.symbol import SymbolMonitor
from service.cli.main import main
from service.pipeline.wire import STREAMS, Decoder

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND
NOW_MS = BEGIN // 1_000_000
ALLOWED = Parameters(nonpositive_prices=("CL*",))


def record(symbol, price, **more):
    its = {"ts_event": BEGIN, "symbol": symbol, "order_id": "1", "side": "buy", "quantity": 1}
    return json.dumps({**its, "price": price, **more}).encode()


def decoder(*allowed, stream="orders", fields=None):
    return Decoder(stream, fields or {}, "ns", 10_000, nonpositive_prices=allowed)


@pytest.mark.parametrize("price", [-37.63, 0, "-0.25", 12.5])
def test_a_covered_symbol_may_have_any_price(price):
    (event,) = decoder("CL*").decode([record("CLK0", price)], [NOW_MS]).events
    assert isinstance(event, Order)
    assert event.price == float(price)


@pytest.mark.parametrize("allowed", [(), ("CL*",)])
def test_elsewhere_such_a_price_is_refused_with_the_setting_that_allows_it(allowed):
    records = [record("CLK0", 1), record("BTC-PERP", -1), record("BTC-PERP", 5)]
    decoded = decoder(*allowed).decode(records, [NOW_MS] * 3)
    (rejection,) = decoded.rejections
    assert (rejection.index, rejection.reason) == (1, "out_of_range")
    assert rejection.detail.startswith("price is -1; it must be a number")
    assert "instruments.allow_nonpositive_prices" in rejection.detail
    assert [event.price for event in decoded.events] == [1.0, 5.0]


def test_a_mapped_field_is_refused_by_the_venues_name():
    value = record("BTC-PERP", None, px=-2)
    decoded = decoder("CL*", fields={"price": "px"}).decode([value], [NOW_MS])
    assert decoded.rejections[0].detail.startswith("px (price) is -2;")


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if stream != "statuses"])
def test_every_price_of_every_stream_may_be_negative(stream):
    priced = {"mark_price": -1.0, "index_price": 0, "entry_price": -3}
    more = {"trade_id": "1", "account": "a", "liquidation_price": -2.5}
    decoded = decoder("*", stream=stream).decode([record("CL", -1.5, **priced | more)], [NOW_MS])
    assert decoded.rejections == []


class Market:
    """A market of one-tick levels around a mid price."""

    def __init__(self, mid, parameters=ALLOWED, symbol="CLK0"):
        self.symbol, self.mid, self.parameters = symbol, mid, parameters
        self.monitor = SymbolMonitor(symbol, parameters, CATALOGUE, Counts())

    def apply(self, kind, at, **its):
        self.monitor.apply(kind(ts_event=at, symbol=self.symbol, **its))

    def run(self, seconds, first=0):
        for second in range(first, first + seconds):
            at = BEGIN + second * SECOND
            for k in range(60):
                for side, sign in (("buy", -1), ("sell", 1)):
                    its = {"order_id": f"{side}{k}"}
                    if second:
                        self.apply(Cancel, at, **its)
                    price = round(self.mid + sign * 0.01 * (k + 1), 2)
                    self.apply(Order, at, **its, side=side, price=price, quantity=2.0)
            ids = {"trade_id": "t", "maker_order_id": "buy0"}
            self.apply(Trade, at, **ids, side="sell", price=self.mid - 0.01, quantity=1.0)
            signal, _ = self.monitor.close_bar(at + SECOND)
        return signal, self.monitor.bar


@pytest.mark.parametrize("mid", [40.0, 0.0, -37.63])
def test_depth_spread_and_flow_are_in_ticks_and_quantities_whatever_the_price(mid):
    market = Market(mid)
    _, bar = market.run(5)
    assert market.monitor.book.tick == 0.01
    assert bar.closed.mid == pytest.approx(mid)
    assert bar.closed.spread_bps == pytest.approx(2.0)
    assert bar.closed.bid_depth == pytest.approx((7.0, 19.0, 39.0))
    assert bar.closed.ask_depth == pytest.approx((8.0, 20.0, 40.0))
    assert bar.flow.near_traded_bid == pytest.approx(1.0)


def test_the_detectors_find_the_same_at_any_price():
    scores = []
    for mid in (40.0, -37.63, -0.005):
        signal, _ = Market(mid).run(320)
        scores.append(
            {n: its.score for n, its in signal.detectors.items() if its.score is not None}
        )
    assert scores[0] == pytest.approx(scores[1])
    # Half a tick of the mid is rounded: one order less is within the bands of the first bar.
    assert scores[0] == pytest.approx(scores[2], rel=0.01)
    assert {"cancel_burst", "thin_book", "fading_book", "quote_stuffing"} <= scores[0].keys()


def test_the_tick_survives_a_restart():
    market = Market(-37.63)
    market.run(3)
    again = revive("CLK0", capture(market.monitor, None), ALLOWED, CATALOGUE, Counts())
    assert again.book.tick == market.monitor.book.tick == 0.01


def test_a_replay_takes_the_setting_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "orders.ndjson").write_bytes(record("CLK0", -1) + b"\n" + record("X", -1) + b"\n")
    for name in ("cancels", "trades"):
        (tmp_path / f"{name}.ndjson").write_bytes(b"")
    monkeypatch.setenv("FORESHOCK_INSTRUMENTS__ALLOW_NONPOSITIVE_PRICES", "NG*, CL*")
    summary = tmp_path / "summary.json"
    assert main(["replay", str(tmp_path), "--summary", str(summary), "--quiet"]) == 0
    found = json.loads(summary.read_text())
    assert (found["scored"], found["rejected"]) == (1, 1)
