"""The effect of each kind of event on a symbol's monitor, ordinary or not."""

import gc

import pytest

from detectors.catalogue import ALARMING, CATALOGUE
from detectors.counts import Counts
from detectors.market_data.events import Cancel, Late, Margin, Order, Position, Reference, Trade
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def monitor():
    return SymbolMonitor("S", Parameters(max_orders=100, max_accounts=8), CATALOGUE, Counts())


def order(order_id, side, price, quantity=1.0, at=0, **more):
    return Order(
        ts_event=BEGIN + at,
        symbol="S",
        order_id=order_id,
        side=side,
        price=price,
        quantity=quantity,
        **more,
    )


def cancel(order_id, quantity=None, at=0, **more):
    return Cancel(ts_event=BEGIN + at, symbol="S", order_id=order_id, quantity=quantity, **more)


def trade(price, quantity, side="buy", **more):
    return Trade(
        ts_event=BEGIN,
        symbol="S",
        trade_id="t",
        price=price,
        quantity=quantity,
        side=side,
        **more,
    )


def resting(monitor):
    return {order_id: its.quantity for order_id, its in monitor.book.orders.items()}


def test_an_order_with_an_id_that_rests_replaces_it(monitor):
    monitor.apply(order("a", "buy", 99.0, 5.0))
    monitor.apply(order("a", "buy", 98.0, 2.0))
    assert resting(monitor) == {"a": 2.0}
    assert monitor.book.bids.best == 98.0
    assert monitor.counts.replaced_orders == 1


def test_a_cancel_withdraws_its_quantity_or_all_that_is_left(monitor):
    monitor.apply(order("a", "buy", 99.0, 5.0))
    monitor.apply(cancel("a", 2.0))
    assert resting(monitor) == {"a": 3.0}
    monitor.apply(cancel("a"))
    assert resting(monitor) == {}


def test_a_trade_reduces_both_orders_that_it_names(monitor):
    monitor.apply(order("maker", "sell", 100.0, 5.0))
    monitor.apply(order("taker", "buy", 100.0, 3.0))
    monitor.apply(trade(100.0, 3.0, maker_order_id="maker", taker_order_id="taker"))
    assert resting(monitor) == {"maker": 2.0}
    assert monitor.counts.unknown_orders == 0


def test_a_market_order_never_rests(monitor):
    monitor.apply(order("maker", "sell", 100.0, 5.0))
    monitor.apply(order("m", "buy", None, 3.0, type="market"))
    monitor.apply(order("n", "buy", 101.0, 3.0, type="market"))
    monitor.apply(trade(100.0, 3.0, maker_order_id="maker", taker_order_id="m"))
    assert resting(monitor) == {"maker": 2.0}
    assert monitor.counts.unknown_orders == 0


def test_what_names_an_unknown_order_is_counted_and_changes_nothing(monitor):
    monitor.apply(order("a", "buy", 99.0, 5.0))
    monitor.apply(cancel("ghost"))
    monitor.apply(trade(100.0, 3.0, maker_order_id="ghost"))
    assert resting(monitor) == {"a": 5.0}
    assert monitor.counts.unknown_orders == 2


def test_a_sequence_that_goes_back_is_counted_and_the_event_applied(monitor):
    monitor.apply(order("a", "buy", 99.0, 5.0, sequence=7))
    monitor.apply(cancel("a", sequence=3))
    assert resting(monitor) == {}
    assert monitor.counts.sequence_regressions == 1


def test_a_late_event_is_for_the_book_and_not_for_the_bar(monitor):
    monitor.apply(order("a", "buy", 99.0, 5.0))
    monitor.apply(Late(ts_event=BEGIN + 1, symbol="S", event=cancel("a")))
    assert resting(monitor) == {}
    assert monitor.open_bar.flow.cancels == 0
    assert monitor.open_bar.flow.orders == 1


def test_leverage_is_compared_with_the_accounts_own_habit(monitor):
    for at in range(5):
        monitor.apply(order(f"o{at}", "buy", 99.0, account="x", leverage=5.0))
    monitor.close_bar(BEGIN + SECOND)
    monitor.apply(order("jump", "buy", 99.0, 2.0, account="x", leverage=50.0))
    monitor.apply(order("reduce", "buy", 99.0, account="x", leverage=99.0, reduce_only=True))
    monitor.leverage_baselines.learn(monitor.open_bar.leveraged, 0.0, monitor.open_bar.flow)
    flow = monitor.open_bar.flow
    assert flow.leveraged == 198.0
    assert flow.leverage_excess_weighted == pytest.approx(198.0 * 2.302585, rel=1e-5)


def test_a_position_introduces_an_account_that_has_not_ordered(monitor):
    monitor.apply(
        Position(
            ts_event=BEGIN, symbol="S", account="x", quantity=1.0, entry_price=1.0, leverage=5.0
        )
    )
    monitor.apply(order("jump", "buy", 100.0, account="x", leverage=10.0))
    monitor.leverage_baselines.learn(monitor.open_bar.leveraged, 0.0, monitor.open_bar.flow)
    assert monitor.open_bar.flow.leverage_excess_weighted > 0.0


def test_the_venues_margin_and_references_are_heard(monitor):
    monitor.apply(Margin(ts_event=BEGIN, symbol="S", max_leverage=100.0))
    monitor.apply(Reference(ts_event=BEGIN, symbol="S", open_interest=1_000.0))
    for number in range(4):
        monitor.apply(order(f"high-{number}", "buy", 100.0, leverage=90.0))
        monitor.apply(order(f"low-{number}", "buy", 100.0, leverage=10.0))
    monitor.close_bar(BEGIN + SECOND)
    assert monitor.bar.recent.leveraged == (8.0, 4.0)


def test_detectors_without_their_input_say_so(monitor):
    monitor.apply(order("a", "buy", 99.0))
    signal, alerts = monitor.close_bar(BEGIN + SECOND)
    assert {name: signal.detectors[name].status for name in ALARMING} == dict.fromkeys(
        ALARMING, "no_input"
    )
    assert signal.stress_ratio is None
    assert alerts == []


def test_what_grows_is_bounded(monitor):
    for number in range(500):
        at = number * SECOND // 1_000
        side, price = ("buy", 99.0) if number % 2 else ("sell", 101.0)
        monitor.apply(order(f"o{number}", side, price, at=at, account=f"a{number}", leverage=5.0))
    monitor.close_bar(BEGIN + SECOND)
    assert len(monitor.book.orders) == 100
    assert len(monitor.leverage_baselines.recent) + len(monitor.leverage_baselines.older) <= 8
    assert monitor.counts.evicted_orders == 400
    assert monitor.counts.evicted_accounts > 0


def test_a_book_that_has_lost_a_side_is_thin_and_not_unknown(monitor):
    monitor.apply(order("b", "buy", 99.95, 5.0))
    monitor.apply(order("s", "sell", 100.05, 5.0))
    monitor.close_bar(BEGIN + SECOND)
    monitor.apply(cancel("s", at=SECOND))
    monitor.close_bar(BEGIN + 2 * SECOND)
    # Depth missing at one end of a bar may be in transit; depth missing at both ends is gone.
    signal, _ = monitor.close_bar(BEGIN + 3 * SECOND)
    features = signal.detectors["thin_book"].features
    assert features["shallow_near"] > 0.2
    assert "spread" not in features  # of an empty side nothing is known


def test_a_symbol_that_is_forgotten_leaves_nothing_for_the_collection_of_garbage():
    gc.collect()
    gc.disable()
    try:
        monitor = SymbolMonitor("S", Parameters(warmup_bars=10), CATALOGUE, Counts())
        for bar in range(200):
            at = bar * SECOND
            monitor.apply(order(f"b{bar}", "buy", 99.0, at=at, account="a", leverage=5.0))
            monitor.apply(order(f"s{bar}", "sell", 101.0, at=at, account="b", leverage=5.0))
            signal, _ = monitor.close_bar(BEGIN + at + SECOND)
        del monitor
        assert signal.stress_ratio is not None
        assert gc.collect() == 0
    finally:
        gc.enable()
