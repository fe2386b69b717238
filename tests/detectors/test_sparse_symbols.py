"""A symbol with an event a minute is said to be too sparse; it does not warm up for ever."""

import msgspec

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Order
from detectors.parameters import Parameters
from detectors.state import SymbolState, capture, revive
from detectors.symbol import SPARSE_LULLS, SymbolMonitor

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND
PARAMETERS = Parameters(warmup_bars=40)


class Symbol:
    def __init__(self):
        self.monitor = SymbolMonitor("A", PARAMETERS, CATALOGUE, Counts())
        self.at, self.number = BEGIN, 0

    def run(self, events, every_seconds):
        for _ in range(events):
            self.at += every_seconds * SECOND
            self.number += 1
            for side, price in (("buy", 99.0), ("sell", 101.0)):
                its = {"order_id": f"{side}{self.number % 5}", "side": side, "price": price}
                self.monitor.apply(Order(ts_event=self.at, symbol="A", quantity=1.0, **its))
            signal, _ = self.monitor.close_bar(self.at + SECOND)
        return {reading.status for reading in signal.detectors.values()}


def test_an_event_every_two_minutes_is_too_sparse_after_a_few_and_for_good():
    symbol = Symbol()
    assert "too_sparse" not in symbol.run(SPARSE_LULLS - 1, 120)
    assert "too_sparse" in symbol.run(1, 120)
    assert symbol.monitor.too_sparse
    statuses = symbol.run(500, 120)
    assert "warming_up" not in statuses
    assert "too_sparse" in statuses


def test_a_sparse_symbol_that_becomes_busy_is_judged():
    symbol = Symbol()
    symbol.run(50, 120)
    assert "scoring" in symbol.run(300, 1)
    assert not symbol.monitor.too_sparse


def test_a_busy_symbol_with_lulls_is_not_sparse():
    symbol = Symbol()
    for _ in range(2 * SPARSE_LULLS):
        symbol.run(1, 3_600)
        assert not symbol.monitor.too_sparse
        symbol.run(120, 1)


def test_an_event_every_half_minute_is_judged_in_the_end():
    symbol = Symbol()
    assert "scoring" in symbol.run(300, 30)


def test_sparseness_survives_a_restart_and_is_unknown_in_an_older_snapshot():
    symbol = Symbol()
    symbol.run(50, 120)
    state = msgspec.to_builtins(capture(symbol.monitor, None))
    again = revive("A", msgspec.convert(state, SymbolState), PARAMETERS, CATALOGUE, Counts())
    assert again.too_sparse
    for added in ("early", "tick", "quantities"):
        del state[added]
    del state["marks"]["lulls"]
    del state["feed"]["partial_book"]
    del state["findings"]["condition"], state["findings"]["returns"]
    older = revive("A", msgspec.convert(state, SymbolState), PARAMETERS, CATALOGUE, Counts())
    assert not older.too_sparse
