"""Isolated margin: liquidation prices, partial liquidations, flips and withdrawals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.exchange.venue.ledger import Holding
from service.exchange.venue.margins import flat

LOT = 0.01


@given(
    lots=st.integers(-500, 500).filter(bool),
    price=st.floats(10, 1000),
    leverage=st.integers(1, 100),
)
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(
    lots: int, price: float, leverage: int
):
    holding = Holding("a", float(leverage), margined=True)
    holding.trade(lots, price, LOT)
    maintenance = 0.005
    limit = holding.liquidation_price(flat(maintenance), LOT)
    if limit:
        required = maintenance * abs(lots) * LOT * limit
        assert holding.equity(limit, LOT) == pytest.approx(required, abs=1e-6 * price * abs(lots))


@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(90, 110)), max_size=30))
def test_profit_is_what_was_paid_and_received(trades: list[tuple[int, int]]):
    holding = Holding("a", 10.0, margined=True)
    for lots, price in trades:
        holding.trade(lots, float(price), LOT)
    assert holding.lots == sum(lots for lots, _ in trades)
    paid = sum(lots * LOT * price for lots, price in trades)
    assert holding.cash == pytest.approx(-paid)
    assert holding.margin >= 0
    assert bool(holding.lots) == bool(holding.margin)


def test_a_partial_liquidation_brings_the_rest_away_from_maintenance():
    holding = Holding("a", 100.0, margined=True)
    holding.trade(1000, 100.0, LOT)
    before = holding.liquidation_price(flat(0.005), LOT)
    holding.liquidating = True
    holding.trade(-200, before, LOT)
    assert holding.lots == 800
    assert holding.liquidation_price(flat(0.005), LOT) < before


def test_raising_leverage_takes_collateral_out_and_lowering_it_does_not():
    holding = Holding("a", 10.0, margined=True)
    holding.trade(1000, 100.0, LOT)
    holding.change_leverage(50.0, 110.0, LOT)
    assert holding.equity(110.0, LOT) == pytest.approx(1000 * LOT * 110.0 / 50)
    margin = holding.margin
    holding.change_leverage(5.0, 110.0, LOT)
    assert holding.margin == margin
