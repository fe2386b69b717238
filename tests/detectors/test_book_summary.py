"""The summary of a bar adds up to its trades and to the orders of its book."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.book_summary import DEPTH_BPS, joined
from detectors.market_data.events import EARLIEST_NS, Late, Order, Trade
from detectors.parameters import Parameters
from detectors.state import SymbolState, capture, revive
from detectors.symbol import SymbolMonitor

SECOND = 1_000_000_000
BEGIN = EARLIEST_NS
WATCHED = Parameters(summarises_books=True)


def monitor(parameters=WATCHED):
    watched = SymbolMonitor("X", parameters, CATALOGUE, Counts())
    watched.apply(order("bid", "buy", 99.99, 5.0))
    watched.apply(order("ask", "sell", 100.01, 5.0))
    return watched


def order(order_id, side, price, quantity):
    return Order(
        ts_event=BEGIN, symbol="X", order_id=order_id, side=side, price=price, quantity=quantity
    )


def trade(number, side, quantity, *, price=100.0, taker=None, liquidation=None):
    return Trade(
        ts_event=BEGIN,
        symbol="X",
        trade_id=str(number),
        price=price,
        quantity=quantity,
        side=side,
        taker_order_id=taker,
        liquidation=liquidation,
    )


trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 9), st.sampled_from([None, True]))
)


@given(trades)
def test_aggressors_add_up_by_side_and_by_force(flow):
    watched = monitor()
    for number, (side, quantity, forced) in enumerate(flow):
        watched.apply(trade(number, side, float(quantity), liquidation=forced))
    summary = watched.close_bar(BEGIN + SECOND)[0].book

    def total(side, *wanted):
        return 100.0 * sum(q for s, q, forced in flow if s == side and forced in wanted)

    assert summary.bought == pytest.approx(total("buy", None, True))
    assert summary.sold == pytest.approx(total("sell", None, True))
    assert summary.forced_bought == pytest.approx(total("buy", True))
    assert summary.forced_sold == pytest.approx(total("sell", True))
    # The next bar begins at nothing.
    watched.apply(order("later", "buy", 50.0, 1.0))
    assert watched.close_bar(BEGIN + 2 * SECOND)[0].book.bought == 0.0


def test_the_shortfall_is_half_the_spread_and_what_an_order_walks():
    """The first bar opens without a state: its spread is that at its end, 2 bps."""
    watched = monitor()
    for number, price in enumerate((100.01, 100.02, 100.04, 100.04, 100.06)):
        watched.apply(trade(number, "buy", 2.0, price=price, taker="a"))
    watched.apply(trade(9, "sell", 1.0, price=99.99, taker="b"))
    watched.apply(trade(10, "sell", 1.0, price=99.98))
    watched.apply(trade(11, "sell", 1.0, price=99.97))
    summary = watched.close_bar(BEGIN + SECOND)[0].book
    walked = 2.0 * (0.01 + 0.03 + 0.03 + 0.05)
    half_spread = (summary.bought + summary.sold) * summary.spread_bps / 2e4
    assert summary.shortfall == pytest.approx(walked + half_spread)
    # Trades without the id of the taker's order are an order each.
    assert (summary.taker_orders, summary.pieced_orders) == (4.0, 1.0)
    assert summary.last_price == 99.97
    watched.apply(order("later", "buy", 50.0, 1.0))
    after = watched.close_bar(BEGIN + 2 * SECOND)[0].book
    assert (after.last_price, after.taker_orders, after.shortfall) == (0.0, 0.0, 0.0)
    both = joined(summary, after)
    assert (both.last_price, both.taker_orders) == (99.97, 4.0)
    assert both.shortfall == summary.shortfall


@given(st.lists(st.tuples(st.floats(0.0, 0.02), st.integers(1, 9)), max_size=12))
def test_depth_is_that_of_the_orders_within_each_distance(orders):
    watched = monitor()
    for number, (distance, quantity) in enumerate(orders):
        price = 99.99 * (1.0 - distance)
        watched.apply(order(str(number), "buy", price, float(quantity)))
    summary = watched.close_bar(BEGIN + SECOND)[0].book
    resting = [(99.99, 5.0), *((99.99 * (1.0 - d), float(q)) for d, q in orders)]
    for bps, depth in zip(DEPTH_BPS, summary.bid_depth, strict=True):
        limit = summary.mid * (1.0 - bps / 1e4)
        expected = sum(price * quantity for price, quantity in resting if price >= limit)
        assert depth == pytest.approx(expected)


def test_a_late_trade_is_not_in_the_sums_of_the_bar():
    watched = monitor()
    late = trade(1, "sell", 3.0)
    watched.apply(Late(ts_event=BEGIN + 1, symbol="X", event=late))
    assert watched.close_bar(BEGIN + SECOND)[0].book.sold == 0.0


def test_a_restored_monitor_continues_the_sums_of_the_open_bar():
    watched = monitor()
    watched.apply(trade(1, "sell", 3.0, liquidation=True))
    # A snapshot is encoded before the monitor goes on.
    encoded = msgspec.msgpack.encode(capture(watched, BEGIN + SECOND))
    state = msgspec.msgpack.decode(encoded, type=SymbolState)
    again = revive("X", state, WATCHED, CATALOGUE, Counts())
    for each in (watched, again):
        each.apply(trade(2, "sell", 1.0))
    summary = again.close_bar(BEGIN + SECOND)[0].book
    assert summary == watched.close_bar(BEGIN + SECOND)[0].book
    assert (summary.sold, summary.forced_sold) == (400.0, 300.0)


def test_there_is_no_summary_unless_it_is_wanted():
    assert monitor(Parameters()).close_bar(BEGIN + SECOND)[0].book is None
    in_ticks = replace(WATCHED, nonpositive_prices=("X",))
    assert monitor(in_ticks).close_bar(BEGIN + SECOND)[0].book is None
