"""What a move forces out of each symbol, against each account by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.closing import closing_shares
from detectors.risk.contagion import triggered as module
from detectors.risk.contagion.triggered import Betas, reproduction_matrix, triggered
from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import forced_of
from detectors.risk.margin_units import margin_units, marked
from detectors.risk.reduction import Reduction, sufficient_reductions
from detectors.risk.reproduction import reproduction_number
from detectors.risk.runs import runs_of
from detectors.risk.tiers import tiers_of
from detectors.risk.venue_margins import backed_positions, symbol_ladder
from tests.risk.books import rules
from tests.risk.venues import MARKETS, MARKS, RATES, SYMBOLS, Unit, node, positions_of, venues

NODES = 2 * len(SYMBOLS)
WHOLE = Reduction()

moves = st.lists(st.sampled_from([0.0025, 0.01, 0.03]), min_size=3, max_size=3).map(np.array)
matrices = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=9, max_size=9).map(
    lambda values: np.array(values).reshape(3, 3)
)
betas = st.one_of(st.none(), st.builds(Betas, matrices, matrices))


def found_in(units, step, followers=None, rule=WHOLE):
    held = margin_units(positions_of(units), MARKETS)
    return triggered(held, marked(held, MARKETS, np.array(MARKS)), step, followers, rule)


def by_definition(units, step, followers):
    """Each account against each shock: the new marks, and its slack there."""
    forced, count = np.zeros((NODES, NODES)), np.zeros(NODES, int)
    for symbol in range(3):
        for side in (0, 1):
            marks = list(MARKS)
            for other in range(3):
                if other == symbol:
                    follows = 1.0
                elif followers is None:
                    follows = 0.0
                else:
                    follows = followers[side][symbol, other]
                marks[other] *= 1 + (1 if side else -1) * follows * step[symbol]
            for unit in units:
                if unit.slack(MARKS) > 0 >= unit.slack(marks):
                    count[2 * symbol + side] += 1
                    for held in unit.held:
                        value = abs(held.quantity) * MARKS[held.symbol]
                        forced[2 * symbol + side, node(held)] += value
    return forced, count


def on_the_edge(units, step, followers):
    """Whether rounding may decide about an account."""
    if any(abs(unit.slack(MARKS)) < 1e-9 for unit in units):
        return True
    nearer, farther = (by_definition(units, step * f, followers)[0] for f in (1 - 1e-9, 1 + 1e-9))
    return not np.allclose(nearer, farther)


@given(venues(), moves, betas)
def test_a_move_forces_what_every_account_by_itself_says(units, step, followers):
    if on_the_edge(units, step, followers):
        return
    expected, count = by_definition(units, step, followers)
    found = found_in(units, step, followers)
    assert found.total == pytest.approx(expected, abs=1e-6)
    assert found.units.tolist() == count.tolist()


@given(venues(), moves, betas)
def test_the_channels_are_what_they_are_called(units, step, followers):
    if on_the_edge(units, step, followers) or on_the_edge(units, step, None):
        return
    found = found_in(units, step, followers)
    alone, _ = by_definition(units, step, None)
    single = [unit for unit in units if len(unit.held) == 1]
    several = [unit for unit in units if len(unit.held) > 1]
    assert found.own == pytest.approx(alone.diagonal())
    assert found.shared == pytest.approx(alone - np.diag(alone.diagonal()))
    for some, channel in ((single, found.co_movement), (several, found.both)):
        if followers is None:
            assert not channel.any()
        else:
            change = by_definition(some, step, followers)[0] - by_definition(some, step, None)[0]
            assert channel == pytest.approx(change, abs=1e-6)


@given(venues(), moves, st.floats(1, 5))
def test_a_larger_move_forces_no_less(units, step, factor):
    smaller, larger = found_in(units, step), found_in(units, factor * step)
    assert np.all(larger.total >= smaller.total - 1e-9)


@given(venues(), moves, betas, rules(), st.sampled_from([0.125, 4.0, 1024.0]))
def test_a_venue_of_another_size_spreads_the_same(units, step, followers, rule, size):
    rule = rule._replace(whole_below=0.0)
    grown = [
        unit._replace(
            collateral=size * unit.collateral,
            held=tuple(h._replace(quantity=size * h.quantity) for h in unit.held),
        )
        for unit in units
    ]
    slopes = np.linspace(1e-6, 2e-6, NODES)
    here = reproduction_matrix(found_in(units, step, followers, rule), slopes)
    there = reproduction_matrix(found_in(grown, step, followers, rule), slopes / size)
    assert there == pytest.approx(here, abs=1e-12)


@given(venues(isolated=False), moves, betas, rules())
def test_isolated_is_cross_with_one_position(units, step, followers, rule):
    single = [unit._replace(held=unit.held[:1]) for unit in units]
    isolated = [unit._replace(cross=False) for unit in single]
    one, other = (found_in(some, step, followers, rule) for some in (single, isolated))
    for channel, same in zip(one, other, strict=True):
        assert channel == pytest.approx(same)


@given(venues(), st.sampled_from([0.0025, 0.01]), st.floats(1e-8, 1e-4))
def test_the_diagonal_is_the_reproduction_number_of_the_symbol(units, step, slope):
    units = [u._replace(held=u.held[:1], cross=False) for u in units]
    if on_the_edge(units, np.full(3, step), None):
        return
    matrix = reproduction_matrix(found_in(units, np.full(3, step)), np.full(NODES, slope))
    positions = positions_of(units)
    backed = backed_positions(positions, MARKETS)
    for number, symbol in enumerate(SYMBOLS):
        for side, name in enumerate(("long", "short")):
            its = symbol_ladder(positions, backed, symbol, MARKETS[number], name, 1e6)
            runs = runs_of(forced_of(its.ladder, Reduction()), flow_impact(slope))
            expected = reproduction_number(runs, step / slope)
            node_number = 2 * number + side
            assert matrix[node_number, node_number] == pytest.approx(expected)


@given(
    st.floats(0.005, 0.05), rules(), st.floats(20, 2000), st.floats(-0.02, 0.999),
)  # fmt: skip
def test_one_position_is_closed_as_the_least_sufficient_reduction_says(rate, rule, notional, level):
    required, equity = rate * notional, level * rate * notional
    share = closing_shares(
        rule, "pro_rata", np.zeros(1, np.int64), np.array([required]), np.array([notional]),
        np.array([notional]), np.array([equity]),
    )[0]  # fmt: skip
    quantity = notional / 100.0
    exact = sufficient_reductions(
        tiers_of([rate]), rule, np.array([quantity]), np.array([100.0]), np.array([equity])
    )[0] / quantity  # fmt: skip
    if rule.kind == "full" or notional < rule.whole_below:
        assert share == 1
    elif rule.kind == "sufficient":
        assert share == pytest.approx(exact)
    else:
        assert share >= exact - 1e-6
        assert share <= max(exact, 1e-9) + rule.step_ratio
        assert share == 1 or share / rule.step_ratio == pytest.approx(
            round(share / rule.step_ratio)
        )


@given(venues(isolated=False), st.sampled_from(["pro_rata", "largest_first"]), st.floats(0, 0.99))
def test_what_is_closed_restores_the_account_and_no_less_would(units, allocation, level):
    rule = Reduction("sufficient", fee_ratio=0.001)
    unit = units[0]
    required = np.array([RATES[h.symbol] * abs(h.quantity) * MARKS[h.symbol] for h in unit.held])
    notional = np.array([abs(h.quantity) * MARKS[h.symbol] for h in unit.held])
    equity = level * required.sum()
    share = closing_shares(
        rule, allocation, np.zeros(len(required), np.int64), required, notional, notional,
        np.array([equity]),
    )  # fmt: skip
    left = equity - 0.001 * (share * notional).sum()
    asked = ((1 - share) * required).sum()
    if share.min() < 1:
        assert left == pytest.approx(asked)
    if allocation == "largest_first":
        order = np.argsort(-notional)
        assert np.all(np.diff(share[order]) <= 1e-12)


@given(venues(), moves, betas)
def test_how_many_are_looked_at_at_once_does_not_matter(units, step, followers):
    whole = found_in(units, step, followers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_UNITS_AT_ONCE", 2)
        patch.setattr(module, "_PAIRS_AT_ONCE", 1)
        parts = found_in(units, step, followers)
    assert parts.total == pytest.approx(whole.total)
    assert parts.units.tolist() == whole.units.tolist()


def test_what_cannot_be_is_refused_by_name():
    units = [Unit("a", True, 1.0, ())]
    with pytest.raises(ValueError, match=r"moves are \[0\.0, 0\.01, 0\.01\]: each must be above 0"):
        found_in(units, np.array([0.0, 0.01, 0.01]))
    found = found_in(units, np.full(3, 0.01), Betas(np.ones((3, 3)), np.ones((3, 3))))
    assert not found.total.any()
    with pytest.raises(ValueError, match="2 slopes, 6 nodes"):
        reproduction_matrix(found, np.ones(2))
    positions = positions_of([])
    positions.put("a", "unknown", quantity=1.0, entry_price=1.0)
    with pytest.raises(ValueError, match="symbol number 3 has a position, but there are only 3"):
        margin_units(positions, MARKETS)
