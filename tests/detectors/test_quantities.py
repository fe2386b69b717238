"""A venue's quantities are taken as the venue means them."""

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Cancel, Order, Trade
from detectors.market_data.quantities import MAX_REPORTS, QuantityMeaning
from detectors.parameters import Parameters
from detectors.state import capture, revive
from detectors.symbol import SymbolMonitor

BEGIN = 1_767_225_600_000_000_000
MILLISECOND = 1_000_000


class Venue:
    """Orders, cancels and trades of one symbol, a millisecond apart."""

    def __init__(self, **meaning):
        self.parameters = Parameters(quantities=QuantityMeaning(**meaning))
        self.monitor = SymbolMonitor("A", self.parameters, CATALOGUE, Counts())
        self.at = BEGIN

    def _apply(self, kind, **its):
        self.at += MILLISECOND
        self.monitor.apply(kind(ts_event=self.at, symbol="A", **its))

    def order(self, quantity, order_id="1", side="buy"):
        self._apply(Order, order_id=order_id, side=side, price=100.0, quantity=quantity)

    def cancel(self, quantity=None, order_id="1"):
        self._apply(Cancel, order_id=order_id, quantity=quantity)

    def trade(self, quantity, maker="1", taker=None):
        ids = {"trade_id": "t", "maker_order_id": maker, "taker_order_id": taker}
        self._apply(Trade, price=100.0, quantity=quantity, side="sell", **ids)

    def restart(self):
        state = capture(self.monitor, None)
        self.monitor = revive("A", state, self.parameters, CATALOGUE, Counts())

    @property
    def rests(self):
        orders = self.monitor.book.orders
        return orders["1"].quantity if "1" in orders else 0.0


def test_an_amended_quantity_is_what_remains_or_the_total():
    for meaning, rests in (("remaining", 12.0), ("total", 8.0)):
        venue = Venue(orders=meaning)
        venue.order(10.0)
        venue.trade(4.0)
        venue.order(12.0)
        assert venue.rests == rests
    venue.trade(3.0)
    venue.order(9.0)  # 7 of them filled in two parts, across an amendment
    assert venue.rests == 2.0
    venue.order(7.0)
    assert venue.rests == 0.0
    assert venue.monitor.counts.oversized_fills == 0


def test_what_was_filled_of_an_order_that_ended_is_not_of_the_next_with_its_id():
    venue = Venue(orders="total")
    venue.order(10.0)
    venue.trade(4.0)
    venue.cancel()
    venue.order(10.0)
    venue.order(11.0)
    assert venue.rests == 11.0


def test_a_cancel_says_what_is_withdrawn_or_what_is_left():
    for meaning, rests in (("withdrawn", 7.0), ("left", 3.0)):
        venue = Venue(cancels=meaning)
        venue.order(10.0)
        venue.cancel(3.0)
        assert venue.rests == rests
    venue.cancel(3.0)  # nothing more is withdrawn
    assert venue.rests == 3.0
    venue.cancel(0.0)
    assert venue.rests == 0.0
    assert venue.monitor.open_bar.flow.cancels == 2.0


def test_a_fill_that_is_a_trade_and_a_cancel_counts_once_in_either_order():
    venue = Venue(fills="trades_and_cancels")
    venue.order(10.0)
    venue.trade(2.0)
    venue.trade(3.0)
    venue.cancel(2.0)
    venue.cancel(3.0)
    assert venue.rests == 5.0
    venue.cancel(1.0)
    venue.trade(1.0)
    assert venue.rests == 4.0
    assert venue.monitor.open_bar.flow.cancels == 0.0
    assert venue.monitor.open_bar.flow.trades == 3.0
    venue.at += 1_000 * MILLISECOND
    venue.cancel(1.0)  # of its own
    venue.trade(3.0)
    venue.cancel()  # the filled order's end
    assert venue.rests == 0.0
    assert venue.monitor.counts.unknown_orders == 0
    assert venue.monitor.open_bar.flow.cancels == 1.0


def test_the_rest_of_a_filled_order_can_be_cancelled_at_once():
    venue = Venue(fills="trades_and_cancels")
    venue.order(10.0)
    venue.trade(4.0)
    venue.cancel()
    assert venue.rests == 0.0
    assert venue.monitor.open_bar.flow.cancels == 1.0


def test_what_is_left_and_what_is_filled_go_together():
    venue = Venue(cancels="left", fills="trades_and_cancels")
    venue.order(10.0)
    venue.trade(4.0)
    venue.cancel(6.0)
    venue.cancel(5.0)
    venue.trade(1.0)
    assert venue.rests == 5.0


@pytest.mark.parametrize("meaning", [{"orders": "total"}, {"fills": "trades_and_cancels"}])
def test_what_is_remembered_survives_a_restart(meaning):
    venue = Venue(**meaning)
    venue.order(10.0)
    venue.trade(4.0)
    venue.restart()
    if "orders" in meaning:
        venue.order(10.0)
    else:
        venue.cancel(4.0)
    assert venue.rests == 6.0


def test_what_is_remembered_is_bounded():
    venue = Venue(orders="total", fills="trades_and_cancels")
    for number in range(3 * MAX_REPORTS):
        venue.order(2.0, order_id=str(number))
        venue.trade(1.0, maker=str(number))
        venue.trade(1.0, maker="?", taker=f"t{number}")
        venue.cancel(order_id=str(number))
    venue.monitor.close_bar(BEGIN + 3_600_000 * MILLISECOND)
    state = venue.monitor.open_bar.quantities.state
    assert len(state.reports) <= MAX_REPORTS
    assert state.filled == {}


def test_a_meaning_that_does_not_fit_shows_in_what_goes_below_zero():
    left = Venue(cancels="withdrawn")
    left.order(10.0)
    left.cancel(8.0)  # meant as what is left
    left.cancel(5.0)
    assert left.monitor.counts.oversized_cancels == 1
    twice = Venue()
    twice.order(10.0)
    twice.trade(4.0)
    twice.cancel(4.0)
    twice.trade(6.0)
    assert twice.monitor.counts.oversized_trades == 1
    withdrawn = Venue(cancels="left")
    withdrawn.order(10.0)
    withdrawn.cancel(2.0)
    withdrawn.cancel(3.0)
    assert withdrawn.monitor.counts.oversized_cancels == 1
    remaining = Venue(orders="total")
    remaining.order(10.0)
    remaining.trade(8.0)
    remaining.order(2.0)
    assert remaining.monitor.counts.oversized_fills == 1
