"""The ladder and the forced notional against accounts that are marked one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.contract import Contract
from detectors.risk.forced import forced_at, forced_of
from detectors.risk.ladder import ladder_of, rungs
from detectors.risk.reduction import Reduction
from detectors.risk.tiers import tiers_of
from tests.risk.books import books, rules


@given(books(), st.floats(0, 0.15))
def test_a_move_liquidates_exactly_the_accounts_of_the_ladder(book, move):
    ladder = book.ladder()
    reached = ladder.account[: np.searchsorted(ladder.move, move, side="right")]
    if np.any(np.abs(ladder.move - move) < 1e-9):
        return
    assert set(reached) == set(np.flatnonzero(book.below(book.moved(move))))
    (rung,) = rungs(ladder, (move * 1e4,))
    assert rung.accounts == len(reached)
    shares = book.notional()[reached] / max(rung.notional, 1e-12)
    assert rung.notional == pytest.approx(book.notional()[reached].sum())
    assert rung.largest_ratio == pytest.approx(shares.max(initial=0.0))
    assert rung.concentration == pytest.approx((shares**2).sum())


@given(books(most=1), rules())
def test_the_forced_notional_at_a_knot_is_what_the_rule_says(book, rule):
    forced = forced_of(book.ladder(), rule)
    # Just past the knots: at a knot itself rounding decides who is below maintenance.
    for move in forced.move + 1e-9:
        expected = (book.forced_shares(rule, move) * book.notional()).sum()
        found = forced_at(forced, np.array([move]))[0]
        assert found == pytest.approx(expected, abs=2e-5 * book.notional().sum())


@given(books(), rules(), st.floats(-0.01, 0.2))
def test_the_forced_notional_between_knots_is_almost_what_the_rule_says(book, rule, move):
    forced = forced_of(book.ladder(), rule)
    if np.any(np.abs(forced.move - move) < 1e-9):
        return
    expected = (book.forced_shares(rule, move) * book.notional()).sum()
    found = forced_at(forced, np.array([move]))[0]
    assert found == pytest.approx(expected, abs=0.02 * book.notional().sum())


@given(books(), rules())
def test_the_forced_notional_never_falls_and_ends_with_everything(book, rule):
    ladder = book.ladder()
    forced = forced_of(ladder, rule)
    moves = np.concatenate(([-10.0], np.linspace(-0.05, 0.9, 500)))
    values = forced_at(forced, moves)
    assert np.all(np.diff(values) >= -1e-9)
    assert values[0] == 0.0
    assert forced_at(forced, np.array([1e3]))[0] == pytest.approx(ladder.notional.sum())


@given(books(), rules(), st.floats(0.01, 100))
def test_the_forced_notional_is_proportional_to_size(book, rule, unit):
    if book.contract.tiers.floors[1:]:
        return  # tiers are not
    larger = book._replace(quantity=unit * book.quantity, margin=unit * book.margin)
    rule = rule._replace(whole_below=0.0)
    scaled = rule._replace(whole_below=unit * rule.whole_below)
    # Beside the knots: a rounding error of a liquidation price moves a jump.
    moves = forced_of(book.ladder(), rule).move + 1e-9
    small = forced_at(forced_of(book.ladder(), rule), moves)
    large = forced_at(forced_of(larger.ladder(), scaled), moves)
    assert large == pytest.approx(unit * small, rel=1e-4)


@given(books(), st.integers(1, 4))
def test_steps_that_the_time_does_not_allow_are_not_taken(book, most_steps):
    ladder = book.ladder()
    rule = Reduction("steps", step_ratio=0.2)
    forced = forced_of(ladder, rule, most_steps)
    everything = forced_at(forced, np.array([1e3]))[0]
    assert everything == pytest.approx(0.2 * most_steps * ladder.notional.sum())


def test_an_empty_ladder_forces_nothing():
    nobody = np.zeros(0)
    contract = Contract(tiers_of([0.01]))
    ladder = ladder_of(contract, "long", 1.0, nobody.astype(np.int32), nobody, nobody, nobody)
    for kind in ("full", "sufficient", "steps"):
        assert forced_at(forced_of(ladder, Reduction(kind)), np.array([0.5])).tolist() == [0.0]
    assert rungs(ladder, (100.0,)) == [(0.01, 0.0, 0, 0.0, 0.0)]


def test_what_cannot_be_is_refused_by_name():
    nobody = np.zeros(0)
    with pytest.raises(ValueError, match="mark is nan"):
        ladder_of(Contract(tiers_of([0.01])), "long", np.nan, nobody, nobody, nobody, nobody)
    ladder = ladder_of(Contract(tiers_of([0.01])), "long", 1.0, nobody, nobody, nobody, nobody)
    with pytest.raises(ValueError, match="most_steps is 0"):
        forced_of(ladder, Reduction("steps"), 0)
