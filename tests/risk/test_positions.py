"""Positions as columns hold what a dictionary of positions would hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.positions import Positions
from detectors.risk.tiers import maintenance, tiers_of

accounts = st.sampled_from("abcdef")
symbols = st.sampled_from(["X", "Y", "Z"])
quantities = st.integers(-3, 3).map(float)


@given(st.lists(st.tuples(accounts, symbols, quantities, st.booleans()), max_size=60))
def test_columns_hold_the_last_state_of_each_position(changes):
    positions, expected = Positions(), {}
    for at, (account, symbol, quantity, cross) in enumerate(changes):
        positions.put(account, symbol, quantity=quantity, entry_price=at + 1.0, cross=cross)
        expected.pop((account, symbol), None)
        if quantity:
            expected[account, symbol] = (quantity, at + 1.0, cross)
        # A closed position's row is used again.
        assert len(positions.rows()) == len(positions) == len(expected)
    found = {
        (
            positions.accounts.name(positions.account[row]),
            positions.symbols.name(positions.symbol[row]),
        ): (positions.quantity[row], positions.entry_price[row], positions.cross[row])
        for row in positions.rows()
    }
    assert found == expected
    assert len(positions.accounts) == len({account for account, _ in expected})
    by_symbol = [row for symbol in "XYZ" for row in positions.rows_of(symbol)]
    assert sorted(by_symbol) == positions.rows().tolist()


def test_rows_of_closed_positions_are_used_again():
    positions = Positions()
    for turn in range(5_000):
        name = f"account {turn}"
        positions.put(name, "X", quantity=1.0, entry_price=1.0)
        positions.set_collateral(name, 5.0)
        positions.put(name, "X", quantity=0.0, entry_price=1.0)
        positions.set_collateral(name, math.nan)
    assert (len(positions), len(positions.accounts), len(positions.symbol)) == (0, 0, 1024)


def test_columns_grow_and_keep_their_content():
    positions = Positions()
    for number in range(3_000):
        positions.set_collateral(str(number), float(number))
        positions.put(str(number), "X", quantity=number + 1.0, entry_price=1.0)
    rows = positions.rows_of("X")
    assert positions.quantity[rows].tolist() == [number + 1.0 for number in range(3_000)]
    assert positions.collateral[positions.account[rows]].tolist() == list(map(float, range(3_000)))


def test_a_position_that_cannot_be_is_refused_by_name():
    positions = Positions()
    with pytest.raises(ValueError, match="quantity is nan: it must be finite"):
        positions.put("a", "X", quantity=math.nan, entry_price=1.0)
    with pytest.raises(ValueError, match=r"entry_price is 0\.0: it must be finite and above 0"):
        positions.put("a", "X", quantity=1.0, entry_price=0.0)
    assert len(positions) == 0


@given(
    steps=st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 0.05)), max_size=5),
    first=st.floats(0.001, 0.1),
    notional=st.floats(0, 10_000),
)
def test_the_requirement_adds_up_over_the_tiers(steps, first, notional):
    floors, rates = [0.0], [first]
    for width, rise in steps:
        floors.append(floors[-1] + width)
        rates.append(rates[-1] + rise)
    expected = 0.0
    for rate, low, high in zip(rates, floors, [*floors[1:], math.inf], strict=True):
        expected += rate * max(0.0, min(notional, high) - low)
    required = maintenance(tiers_of(rates, floors), np.array([notional]))[0]
    assert required == pytest.approx(expected, abs=1e-9 * (1 + notional))


def test_tiers_that_cannot_be_are_refused_by_name():
    with pytest.raises(ValueError, match="2 rates, 1 floors"):
        tiers_of([0.01, 0.02])
    with pytest.raises(ValueError, match="they must rise from 0"):
        tiers_of([0.01, 0.02], [0.0, 0.0])
    with pytest.raises(ValueError, match="above 0 and below 1"):
        tiers_of([1.0])
    with pytest.raises(ValueError, match="cannot require a lower rate"):
        tiers_of([0.02, 0.01], [0.0, 5.0])
