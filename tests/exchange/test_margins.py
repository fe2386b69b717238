"""The margin of every kind of account, and its liquidation price, to a tick of our own formulas."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.market_data.events import Margin, Position
from detectors.market_data.risk_events import Account, Liquidation
from detectors.risk.contract import Contract
from detectors.risk.liquidation import backing, bankruptcy_prices, liquidation_prices
from detectors.risk.tiers import maintenance, tiers_of
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate_with_risk
from service.exchange.venue.ledger import Holding, Pool
from service.exchange.venue.margins import MarginSchedule
from tests.exchange.hall import Hall, schedule_of

SECOND = 1_000_000_000


@st.composite
def schedules(draw):
    """A schedule of the exchange, and the tiers of the detectors that mean the same."""
    count = draw(st.integers(1, 4))
    steps = st.floats(1.0, 5.0)
    rates = [draw(st.floats(0.001, 0.02))]
    floors = [0.0]
    for _ in range(count - 1):
        rates.append(min(rates[-1] * draw(steps), 0.3))
        floors.append(floors[-1] + draw(st.floats(1_000.0, 200_000.0)))
    schedule = MarginSchedule(floors, [2 * rate for rate in rates], rates)
    return schedule, Contract(tiers_of(rates, floors))


@given(schedules(), st.floats(0, 1e6))
def test_the_requirement_is_that_of_the_detectors(both, notional):
    schedule, contract = both
    ours = maintenance(contract.tiers, np.array([notional]))[0]
    assert schedule.maintenance(notional) == pytest.approx(ours, rel=1e-9, abs=1e-9)


@given(
    schedules(),
    st.integers(-5_000, 5_000).filter(bool),
    st.floats(10, 1_000),
    st.floats(1, 100),
)
def test_an_isolated_position_is_liquidated_at_the_same_price(both, lots, price, leverage):
    schedule, contract = both
    lot_size, tick = 0.1, price * 1e-5
    holding = Holding("a", leverage, margined=True)
    holding.schedule = schedule
    holding.trade(lots, price, lot_size)
    ours = liquidation_prices(
        contract, *(np.array([x]) for x in (lots * lot_size, holding.entry, holding.margin))
    )[0]
    theirs = holding.liquidation_price(schedule, lot_size)
    assert theirs == pytest.approx(ours, abs=tick)
    bankrupt = bankruptcy_prices(
        contract, *(np.array([x]) for x in (lots * lot_size, holding.entry, holding.margin))
    )[0]
    equity = holding.equity(price, lot_size)
    assert holding.bankruptcy_price(price, lot_size, equity) == pytest.approx(bankrupt, abs=tick)


@pytest.mark.parametrize("is_tiered", [False, True])
@given(
    held=st.lists(
        st.tuples(st.integers(-20_000, 20_000).filter(bool), st.floats(0.97, 1.03)),
        min_size=1,
        max_size=3,
    ),
    leverage=st.floats(2, 40),
)
def test_a_cross_position_is_liquidated_at_the_same_price(held, leverage, is_tiered):
    hall = Hall(3, is_tiered=is_tiered)
    pool = Pool("x", 0.0)
    for market, (lots, factor) in zip(hall.markets, held, strict=False):
        holding = Holding("x", 10.0, margined=True)
        holding.pool = pool
        holding.trade(lots, market.mark * factor, market.lot_size)
        pool.positions.append((market, holding))
    pool.collateral = pool.gross() / leverage
    tiers = [_contract(market.contract, is_tiered) for market, _ in pool.positions]
    profit = np.array([its.profit(m.mark, m.lot_size) for m, its in pool.positions])
    notional = np.array([abs(its.lots) * m.lot_size * m.mark for m, its in pool.positions])
    required = np.array(
        [maintenance(t.tiers, np.array([n]))[0] for t, n in zip(tiers, notional, strict=True)]
    )
    account = np.zeros(len(held), np.int32)
    backed = backing(account, np.array([pool.collateral]), profit, required)
    for number, (market, holding) in enumerate(pool.positions):
        quantity = holding.lots * market.lot_size
        ours = liquidation_prices(
            tiers[number], *(np.array([x]) for x in (quantity, holding.entry, backed[number]))
        )[0]
        market.publish_position(holding)
        published = hall.records(Position)[-1]
        assert (published.margin_mode, published.margin) == ("cross", None)
        if not np.isfinite(ours) or ours <= 0:
            assert published.liquidation_price == 0.0
        else:
            tick = 1 / market.ticks_per_unit
            assert published.liquidation_price == pytest.approx(ours, abs=tick)


def _contract(contract, is_tiered):
    published = schedule_of(contract, is_tiered).published()
    if published is None:
        return Contract(tiers_of([contract.maintenance_margin_rate]))
    floors = [0.0, *(tier.up_to_notional for tier in published[:-1])]
    return Contract(tiers_of([tier.maintenance_rate for tier in published], floors))


@pytest.fixture(scope="module")
def published():
    events = simulate_with_risk(
        scenario("cross_cascade"),
        seed=2,
        symbols=2,
        duration_ns=1_700 * SECOND,
        events_per_second=10.0,
    )
    return list(events)


def test_the_published_tiers_rise(published):
    margins = [event for event in published if isinstance(event, Margin)]
    assert {margin.symbol for margin in margins} == {"BTC-PERP", "ETH-PERP"}
    for margin in margins:
        assert margin.mark_method == "ema_premium"
        assert margin.tiers[-1].up_to_notional is None
        for low, high in pairwise(margin.tiers):
            assert low.maintenance_rate <= high.maintenance_rate
            assert high.up_to_notional is None or low.up_to_notional < high.up_to_notional


def test_every_liquidation_begins_beyond_the_published_price_and_below_maintenance(published):
    positions, began = {}, 0
    for event in published:
        if isinstance(event, Position):
            positions[event.symbol, event.account] = event
        elif isinstance(event, Liquidation) and event.phase == "start":
            assert event.equity_before < event.maintenance_before
            position = positions[event.symbol, event.account]
            if position.margin_mode == "isolated":
                began += 1
                beyond = event.mark_price - position.liquidation_price
                assert beyond * (1 if position.quantity > 0 else -1) <= 1e-8 * event.mark_price
    assert began > 20


def test_the_modes_of_accounts_are_those_of_their_positions(published):
    modes = {}
    for event in published:
        if isinstance(event, Account):
            assert modes.setdefault(event.account, event.margin_mode) == event.margin_mode
        elif isinstance(event, Position) and event.account in modes:
            assert modes[event.account] == event.margin_mode
    assert sum(mode == "cross" for mode in modes.values()) == 32
