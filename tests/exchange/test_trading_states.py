"""Auctions, halts and expiries of the simulated exchange, and that they raise no alarm."""

from functools import cache

import pytest
from msgspec.structs import replace

from detectors.market_data.events import Cancel, Event, Order, Status, Trade
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate
from tests.simulated import watch

SECOND = 1_000_000_000
BEGIN, END = START_NS + 600 * SECOND, START_NS + 900 * SECOND


@cache
def run(name: str) -> tuple[Event, ...]:
    states = scenario(name, start_seconds=600, length_seconds=300)
    events = simulate(states, seed=1, symbols=3, duration_ns=1_400 * SECOND, events_per_second=10.0)
    return tuple(event for event in events if not isinstance(event, Truth))


def of(name: str, kind: type, begin: int = BEGIN + SECOND, end: int = END - SECOND):
    """The events of the symbol that the scenario is about."""
    return [
        event
        for event in run(name)
        if isinstance(event, kind) and event.symbol == "BTC-PERP" and begin <= event.ts_event < end
    ]


def states(name: str) -> list[tuple[str, int]]:
    statuses = [event for event in run(name) if isinstance(event, Status)]
    assert {event.symbol for event in statuses} == {"BTC-PERP"}
    return [(its.state, round((its.ts_event - START_NS) / SECOND)) for its in statuses]


def test_in_an_auction_orders_cross_and_nothing_trades_until_it_ends():
    assert states("auction") == [("auction", 600), ("open", 900)]
    assert of("auction", Trade) == []
    placed = of("auction", Order)
    bids = [its.price for its in placed if its.side == "buy" and its.price is not None]
    asks = [its.price for its in placed if its.side == "sell" and its.price is not None]
    assert max(bids) > min(asks)
    first, *others = of("auction", Trade, END - SECOND, END + 3 * SECOND)
    assert first.ts_event <= END + SECOND
    assert sum(trade.ts_event == first.ts_event for trade in others) >= 1
    assert all(trade.price == first.price for trade in others if trade.ts_event == first.ts_event)


def test_in_a_halt_no_order_is_taken_and_an_auction_reopens_it():
    assert states("halt") == [("halted", 600), ("auction", 900), ("open", 975)]
    assert of("halt", Order) == of("halt", Trade) == []


def test_an_expired_contract_publishes_nothing():
    assert states("expiry") == [("expired", 600)]
    assert of("expiry", Order | Cancel | Trade, BEGIN + SECOND, END * 2) == []


def test_orders_and_trades_stay_consistent():
    left: dict[str, float] = {}
    for event in run("auction"):
        if event.symbol != "BTC-PERP":
            continue
        if isinstance(event, Order):
            left[event.order_id] = event.quantity
        elif isinstance(event, Cancel):
            assert left.pop(event.order_id) > 0
        elif isinstance(event, Trade):
            for order_id in (event.maker_order_id, event.taker_order_id):
                left[order_id] = round(left[order_id] - event.quantity, 8)
                assert left[order_id] >= 0


@pytest.mark.parametrize("name", ["auction", "halt", "expiry"])
def test_foreshock_raises_nothing_and_loses_no_order(name: str):
    output, task = watch(run(name))
    assert [alert for alert in output.alerts if alert.symbol == "BTC-PERP"] == []
    assert task.tally.market.stale_orders == 0


def test_an_auction_without_statuses_pages_nobody_and_loses_no_order():
    output, task = watch(
        [replace(event, sequence=None) for event in run("auction") if not isinstance(event, Status)]
    )
    ours = [alert for alert in output.alerts if alert.symbol == "BTC-PERP"]
    assert {(alert.detector, alert.severity) for alert in ours} <= {("feed_integrity", "warning")}
    # Data that is not trusted asks for caution, and no more.
    assert {its.state for its in output.switches} <= {"armed", "caution"}
    assert task.tally.market.stale_orders == 0
