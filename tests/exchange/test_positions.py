"""Scenarios of the risk of positions that must stay calm, and margins raised in stress."""

import pytest

from detectors.market_data.events import Margin, Order, Position, Reference, Trade
from detectors.market_data.risk_events import Liquidation
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import SCENARIOS, scenario
from service.exchange.simulation import START_NS, simulate_with_risk
from service.exchange.venue.contracts import contracts

SECOND = 1_000_000_000


def run(name, seed=1, seconds=None):
    entry = SCENARIOS[name]
    until = entry.start_seconds + entry.length_seconds + 150
    return list(
        simulate_with_risk(
            scenario(name),
            seed=seed,
            symbols=1,
            duration_ns=int((seconds or until) * SECOND),
            events_per_second=10.0,
        )
    )


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("name", ["deep_open_interest", "far_leverage", "stop_run"])
@pytest.mark.parametrize("seed", [1, 2])
def test_safe_positions_are_not_liquidated(name, seed):
    events = run(name, seed)
    assert of(events, Liquidation) == []
    kinds = {truth.kind for truth in of(events, Truth)}
    assert name in kinds
    assert "cascade" not in kinds


def test_the_deep_open_interest_is_large():
    usual, deep = (
        of(run(name, seconds=5), Reference)[-1].open_interest
        for name in ("calm", "deep_open_interest")
    )
    assert deep > 8 * usual


def test_far_leverage_is_high_and_far():
    positions = [its for its in of(run("far_leverage", seconds=5), Position) if its.quantity]
    most = contracts(1)[0].max_leverage
    assert all(its.leverage >= 0.5 * most for its in positions)
    price = contracts(1)[0].price
    far = [its for its in positions if abs(its.liquidation_price / price - 1) > 0.1]
    assert len(far) > 0.9 * len(positions)


def test_stops_sell_positions_and_open_none():
    events = run("stop_run")
    began = START_NS + round(SCENARIOS["stop_run"].start_seconds) * SECOND
    held, stops = {}, {}
    for event in events:
        if isinstance(event, Position):
            held[event.account] = event.quantity
        elif isinstance(event, Order) and event.reduce_only:
            size = held[event.account]
            assert event.type == "market"
            assert event.side == ("sell" if size > 0 else "buy")
            assert event.quantity == abs(size)
            stops[event.order_id] = event
    sold = [
        event.quantity
        for event in of(events, Trade)
        if event.taker_order_id in stops and event.side == "sell" and event.ts_event > began
    ]
    assert len(stops) > 10
    assert sum(sold) > 0


def test_a_margin_raise_is_announced_before_it_holds_and_forces_accounts():
    events = run("margin_raise", seed=3)
    usual, raised, lowered = of(events, Margin)
    assert usual.announced_at is None
    assert raised.reason == lowered.reason == "volatility"
    assert raised.effective_at - raised.announced_at == 30 * SECOND
    assert raised.maintenance_margin_rate == 2 * usual.maintenance_margin_rate
    assert raised.max_leverage == usual.max_leverage / 2
    assert lowered.maintenance_margin_rate == usual.maintenance_margin_rate
    (label,) = [truth for truth in of(events, Truth) if truth.kind == "margin_raise"]
    assert label.accounts
    forced = [
        its.account
        for its in of(events, Liquidation)
        if its.phase == "start" and 0 <= its.ts_event - raised.effective_at < 5 * SECOND
    ]
    assert set(label.accounts) <= set(forced)
    prices = {}
    for event in of(events, Position):
        if event.ts_event == raised.effective_at and event.quantity:
            prices[event.account] = event
    before = {
        its.account: its for its in of(events, Position) if its.ts_event < raised.effective_at
    }
    for account, after in prices.items():
        nearer = after.liquidation_price - before[account].liquidation_price
        if before[account].liquidation_price:
            assert nearer * (1 if after.quantity > 0 else -1) > 0
