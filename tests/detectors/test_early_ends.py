"""A trade or cancel that is published just before its order leaves no order behind in the book."""

import pytest

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.early_ends import EARLY_NS, LEARNED_TAKERS, MAX_EARLY
from detectors.market_data.events import Cancel, Order, Trade
from detectors.parameters import Parameters
from detectors.state import capture, revive
from detectors.symbol import SymbolMonitor

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
BEGIN = 1_767_225_600 * SECOND


@pytest.fixture
def monitor():
    return SymbolMonitor("A", Parameters(), CATALOGUE, Counts())


def order(monitor, order_id, at_ns=0, side="buy", price=100.0, quantity=5.0):
    its = {"ts_event": BEGIN + at_ns, "symbol": "A", "order_id": order_id}
    monitor.apply(Order(**its, side=side, price=price, quantity=quantity))


def trade(monitor, at_ns=0, quantity=5.0, **ids):
    its = {"ts_event": BEGIN + at_ns, "symbol": "A", "trade_id": "t", "side": "buy"}
    monitor.apply(Trade(**its, price=100.0, quantity=quantity, **ids))


def resting(monitor):
    return {order_id: its.quantity for order_id, its in monitor.book.orders.items()}


def trading_goes_on(monitor):
    """A book that is crossed while trades go on is the fault of the feed, and no auction."""
    monitor.close_bar(BEGIN + 3 * SECOND)
    trade(monitor, 3 * SECOND)
    monitor.close_bar(BEGIN + 4 * SECOND)


def test_a_trade_a_millisecond_before_its_makers_order_reduces_the_order(monitor):
    trade(monitor, quantity=2.0, maker_order_id="m")
    order(monitor, "m", MILLISECOND, quantity=5.0)
    trade(monitor, 2 * MILLISECOND, quantity=1.0, maker_order_id="n")
    trade(monitor, 2 * MILLISECOND, quantity=4.0, maker_order_id="n")
    order(monitor, "n", 3 * MILLISECOND, quantity=5.0)
    assert resting(monitor) == {"m": 3.0}
    assert monitor.counts.early_ends == 2


def test_an_order_long_after_a_trade_with_its_id_is_another_order(monitor):
    trade(monitor, maker_order_id="m")
    order(monitor, "m", EARLY_NS + 1)
    assert resting(monitor) == {"m": 5.0}
    assert monitor.counts.early_ends == 0


def test_the_newest_order_is_the_ghost_where_its_trade_came_first(monitor):
    order(monitor, "old", side="sell", price=101.0)
    order(monitor, "bid", side="buy", price=99.0)
    order(monitor, "made", side="sell", price=100.0)
    trade(monitor, SECOND, maker_order_id="made", taker_order_id="taker")
    order(monitor, "taker", SECOND + MILLISECOND, side="buy", price=101.0)
    trading_goes_on(monitor)
    assert resting(monitor) == {"old": 5.0, "bid": 5.0}
    assert monitor.counts.stale_orders == 1


def test_a_cancel_before_its_order_makes_the_order_the_ghost(monitor):
    order(monitor, "old", side="sell", price=101.0)
    monitor.apply(Cancel(ts_event=BEGIN, symbol="A", order_id="new"))
    order(monitor, "new", MILLISECOND, price=101.0)
    assert "new" in monitor.book.orders  # it may be an amended order with the same id
    trading_goes_on(monitor)
    assert resting(monitor) == {"old": 5.0}


def takers(monitor, quantities):
    """Publish takers' orders with these quantities, each after a trade of 2."""
    for number, quantity in enumerate(quantities):
        at_ns = number * SECOND
        trade(monitor, at_ns, quantity=2.0, taker_order_id=f"t{number}")
        order(monitor, f"t{number}", at_ns + MILLISECOND, price=90.0, quantity=quantity)
    return [its for _, its in sorted(resting(monitor).items())]


def test_takers_orders_that_state_the_whole_quantity_are_reduced_once_that_is_known(monitor):
    unknown = [3.0] * (LEARNED_TAKERS - 1)
    assert takers(monitor, [*unknown, 3.0, 2.0]) == [*unknown, 1.0]


def test_takers_orders_that_state_what_is_left_are_not_reduced(monitor):
    assert takers(monitor, [1.0, *[3.0] * LEARNED_TAKERS]) == [1.0, *[3.0] * LEARNED_TAKERS]


def test_an_early_trade_waits_across_a_restart(monitor):
    trade(monitor, quantity=2.0, maker_order_id="m")
    again = revive("A", capture(monitor, None), Parameters(), CATALOGUE, Counts())
    order(again, "m", MILLISECOND)
    assert resting(again) == {"m": 3.0}


def test_trades_of_unknown_orders_take_bounded_room(monitor):
    for number in range(4 * MAX_EARLY):
        trade(monitor, number, maker_order_id=str(number), taker_order_id=f"t{number}")
    assert len(monitor.open_bar.early.waiting) <= MAX_EARLY
