"""Liquidation prices against an account that is marked step by step."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from detectors.risk.contract import Contract, profit, settlement_price
from detectors.risk.ends import margin_ends
from detectors.risk.joint import CrossPositions, joint_distances, slack
from detectors.risk.liquidation import backing, bankruptcy_prices, liquidation_prices
from detectors.risk.tiers import maintenance, tiers_of
from service.exchange.venue.ledger import Holding
from service.exchange.venue.margins import flat

NAN = math.nan


def one(number):
    return np.array([float(number)])


@st.composite
def contracts(draw, *, inverse=None):
    count = draw(st.integers(1, 4))
    rates = sorted(draw(st.lists(st.floats(0.002, 0.2), min_size=count, max_size=count)))
    widths = draw(st.lists(st.floats(0.5, 50), min_size=count - 1, max_size=count - 1))
    floors = [0.0, *np.cumsum(widths).tolist()]
    kind = draw(st.booleans()) if inverse is None else inverse
    return Contract(tiers_of(rates, floors), kind)


@st.composite
def held(draw, contract):
    """A quantity, its entry price and a margin, with a notional of the order of the tiers."""
    entry = draw(st.floats(0.5, 200))
    notional = draw(st.floats(0.1, 200))
    quantity = notional / float(settlement_price(contract, one(entry))[0])
    margin = notional * draw(st.floats(0.001, 1.5))
    return draw(st.sampled_from([-1, 1])) * quantity, entry, margin


def excess(contract, quantity, entry, margin, price):
    """Equity less maintenance margin, from the definitions."""
    notional = abs(quantity) / price if contract.inverse else abs(quantity) * price
    if contract.inverse:
        equity = margin + quantity * (1 / entry - 1 / price)
    else:
        equity = margin + quantity * (price - entry)
    return equity - maintenance(contract.tiers, one(notional))[0]


@given(st.data())
def test_the_account_is_below_maintenance_exactly_beyond_the_liquidation_price(data):
    contract = data.draw(contracts())
    quantity, entry, margin = data.draw(held(contract))
    price = liquidation_prices(contract, one(quantity), one(entry), one(margin))[0]
    side = 1 if quantity > 0 else -1
    for factor in (1e-3, 0.5, 0.99, 1 - 1e-6, 1 + 1e-6, 1.01, 2.0, 1e3):
        at = (entry if price in (0.0, math.inf) else price) * factor
        healthy = excess(contract, quantity, entry, margin, at) > 0
        assert healthy == (side * (at - price) > 0), (at, price)


@given(st.data())
def test_the_simulated_exchange_has_the_same_price(data):
    lots = data.draw(st.integers(-500, 500).filter(bool))
    leverage = data.draw(st.integers(1, 100))
    price = data.draw(st.floats(10, 1000))
    holding = Holding("a", float(leverage), margined=True)
    holding.trade(lots, price, 0.01)
    expected = holding.liquidation_price(flat(0.005), 0.01)
    ours = liquidation_prices(
        Contract(tiers_of([0.005])), one(lots * 0.01), one(holding.entry), one(holding.margin)
    )[0]
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9 * price)


@given(st.data(), st.floats(0.01, 100))
def test_prices_do_not_depend_on_the_unit_of_size(data, unit):
    contract = data.draw(contracts())
    quantity, entry, margin = data.draw(held(contract))
    scaled = Contract(
        tiers_of(contract.tiers.rates, [unit * floor for floor in contract.tiers.floors]),
        contract.inverse,
    )
    before = liquidation_prices(contract, one(quantity), one(entry), one(margin))[0]
    after = liquidation_prices(scaled, one(unit * quantity), one(entry), one(unit * margin))[0]
    # A price at the end of the range may be a rounding error away from it.
    assert 1 / (1 + after) == pytest.approx(1 / (1 + before), abs=1e-6)


@given(st.data())
def test_a_bankrupt_account_has_nothing_left(data):
    contract = data.draw(contracts())
    quantity, entry, margin = data.draw(held(contract))
    price = bankruptcy_prices(contract, one(quantity), one(entry), one(margin))[0]
    assume(1e-6 < price < 1e6)
    lost = profit(contract, one(quantity), one(entry), one(price))[0]
    assert margin + lost == pytest.approx(0.0, abs=1e-6 * (1 + margin))


@given(st.data())
def test_isolated_is_cross_with_one_position(data):
    contract = data.draw(contracts())
    quantity, entry, margin = data.draw(held(contract))
    mark = one(entry * data.draw(st.floats(0.5, 2)))
    gained = profit(contract, one(quantity), one(entry), mark)
    needed = maintenance(contract.tiers, np.abs(one(quantity)) * settlement_price(contract, mark))
    backed = backing(np.array([0]), one(margin), gained, needed)
    assert backed.tolist() == [margin]


@given(st.data())
def test_a_cross_account_falls_below_maintenance_when_one_symbol_reaches_the_price(data):
    pool = [data.draw(contracts(inverse=False)) for _ in range(3)]
    rows = [data.draw(held(contract)) for contract in pool]
    quantity, entry, _ = (np.array(column) for column in zip(*rows, strict=True))
    marks = entry * np.array([data.draw(st.floats(0.8, 1.25)) for _ in pool])
    symbol, account = np.arange(3), np.zeros(3, np.int64)
    gained = quantity * (marks - entry)
    needed = np.array(
        [
            maintenance(contract.tiers, one(abs(q) * mark))[0]
            for contract, q, mark in zip(pool, quantity, marks, strict=True)
        ]
    )
    collateral = one(data.draw(st.floats(0.01, 1)) * np.abs(quantity * entry).sum())
    cross = CrossPositions(account, symbol, quantity, entry, collateral)
    backed = backing(account, collateral, gained, needed)
    for k in range(3):
        price = liquidation_prices(
            pool[k], quantity[k : k + 1], entry[k : k + 1], backed[k : k + 1]
        )
        moved = marks.copy()
        assume(1e-6 < price[0] < 1e6)
        for factor in (1 - 1e-6, 1 + 1e-6):
            moved[k] = price[0] * factor
            healthy = slack(cross, pool, moved)[0] > 0
            assert healthy == (quantity[k] * (factor - 1) > 0)


@given(st.data())
def test_a_joint_move_liquidates_an_account_at_its_distance_and_not_before(data):
    pool = [data.draw(contracts(inverse=False)) for _ in range(3)]
    rows = [data.draw(held(contract)) for contract in pool]
    quantity, entry, _ = (np.array(column) for column in zip(*rows, strict=True))
    betas = np.array([data.draw(st.floats(-1, 1.5)) for _ in pool])
    collateral = one(data.draw(st.floats(0.001, 1)) * np.abs(quantity * entry).sum())
    cross = CrossPositions(np.zeros(3, np.int64), np.arange(3), quantity, entry, collateral)
    distance = joint_distances(cross, pool, entry, betas)[0]

    def healthy(x):
        return slack(cross, pool, entry * (1 - betas * x))[0] > 0

    if distance == 0.0:
        assert not healthy(0.0)
        return
    nearest = min(distance, 0.5)
    # Brute force: no move of a fine grid before the distance liquidates the account.
    assert all(healthy(nearest * share) for share in np.linspace(0, 1 - 1e-7, 200))
    if distance < math.inf:
        assert not healthy(distance)


def test_each_account_of_many_has_its_own_joint_distance():
    contract = Contract(tiers_of([0.01]))
    account = np.array([1, 0, 1, 2])
    cross = CrossPositions(
        account, np.array([0, 0, 1, 1]), np.array([1.0, 2.0, -1.0, -1.0]), np.full(4, 100.0),
        np.array([20.0, 20.0, 20.0]),
    )  # fmt: skip
    marks, betas = np.array([100.0, 100.0]), np.array([1.0, 0.5])
    found = joint_distances(cross, [contract, contract], marks, betas)
    # 20 - 200 x = 2 (1 - x); 20 - 100 x + 50 x = (1 - x) + (1 - x / 2); a short gains.
    assert found[:2].tolist() == pytest.approx([18 / 198, 18 / 48.5])
    assert found[2] == math.inf


def test_moves_that_leave_no_price_are_refused():
    cross = CrossPositions(np.array([0]), np.array([0]), one(1), one(100), one(10))
    with pytest.raises(ValueError, match="a price would fall to 0"):
        joint_distances(cross, [Contract(tiers_of([0.01]))], one(100), one(2.0))


@given(st.data())
def test_the_true_price_lies_between_the_ends(data):
    contract = data.draw(contracts())
    quantity, entry, margin = data.draw(held(contract))
    notional = abs(quantity) * settlement_price(contract, one(entry))[0]
    assume(margin >= 0.01 * notional)
    true = liquidation_prices(contract, one(quantity), one(entry), one(margin))[0]
    known = margin_ends(contract, one(quantity), one(entry), one(margin), one(NAN), 0.01)
    unknown = margin_ends(contract, one(quantity), one(entry), one(NAN), one(NAN), 0.01)
    for ends, fee in ((known, 0.0), (known, 0.01), (unknown, 0.01)):
        columns = contract, one(quantity), one(entry)
        low = liquidation_prices(*columns, ends.most)[0]
        high = liquidation_prices(*columns, ends.least, fee)[0]
        if quantity < 0:
            low, high = high, low
        assert low * (1 - 1e-9) <= true <= high * (1 + 1e-9)
    assert unknown.most[0] == math.inf


def test_rates_that_leave_no_price_are_refused():
    contract = Contract(tiers_of([0.5]))
    with pytest.raises(ValueError, match=r"extra_rate is 0\.5"):
        liquidation_prices(contract, one(1), one(1), one(1), extra_rate=0.5)
    with pytest.raises(ValueError, match=r"initial_rate is 0\.0"):
        margin_ends(contract, one(1), one(1), one(1), one(1), 0.0)
