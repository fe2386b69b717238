"""Depth and impact against orders that are filled one by one and against samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.book_impact import book_impact
from detectors.risk.flow_impact import FACTOR_PRIOR, factor_learned, flow_impact, flow_slope
from detectors.risk.impact import moved_by, notional_for
from detectors.risk.log_normal import from_quantiles, learned
from detectors.risk.refill import fitted_refill, refilled
from detectors.risk.root_impact import root_impact
from detectors.risk.survival import survival_prior, withdrawal, withdrawal_learned


@st.composite
def quoted(draw):
    count = draw(st.integers(1, 8))
    steps = st.lists(st.floats(1e-4, 0.01), min_size=count, max_size=count)
    sizes = st.lists(st.floats(0, 100), min_size=count, max_size=count)
    return np.cumsum(draw(steps)), np.cumsum(draw(sizes))


def filled(book, surviving, arriving, notional):
    """Fill from the nearest level on, orders spread evenly between two levels."""
    left, before, total = notional - arriving, 0.0, 0.0
    for level, depth in zip(*book, strict=True):
        if left <= 0:
            return before
        size = surviving * (depth - total)
        if left <= size:
            return before + (level - before) * left / size
        left, before, total = left - size, level, depth
    return math.inf if left > 0 else before


@given(quoted(), st.floats(0.1, 1), st.floats(0, 10), st.floats(0, 1000))
def test_a_book_moves_until_its_orders_are_enough(book, surviving, arriving, notional):
    impact = book_impact(*book, surviving, arriving, 1.0)
    found = moved_by(impact, np.array([notional]))[0]
    # A little less and a little more: a gap in the book is a rise within next to nothing.
    assert filled(book, surviving, arriving, notional - 1e-6) <= found + 1e-9
    assert found <= filled(book, surviving, arriving, notional + 1e-6) + 1e-9


@given(
    st.one_of(
        st.builds(flow_impact, st.floats(1e-9, 1e-5)),
        st.builds(root_impact, st.floats(0.001, 0.2), st.floats(1e5, 1e8), st.floats(1e3, 1e7)),
        quoted().map(lambda book: book_impact(*book, 0.5, 1.0, 1.0)),
    ),
    st.floats(0, 0.2),
)
def test_the_notional_for_a_move_makes_it_and_less_does_not(impact, move):
    notional = notional_for(impact, move)
    if notional == 0.0 or math.isinf(notional):
        return
    just = notional * (1 + 1e-9) + 1e-9
    assert moved_by(impact, np.array([just]))[0] >= move * (1 - 1e-6)
    assert moved_by(impact, np.array([notional * (1 - 1e-6)]))[0] <= move


@given(st.floats(1e-9, 1e-5), st.integers(0, 1000))
def test_the_slope_of_flow_is_recovered(slope, seed):
    draws = np.random.default_rng(seed)
    flow = draws.normal(0, 1e4, 500)
    assert flow_slope(slope * flow, flow) == pytest.approx(slope)
    assert flow_slope(-slope * flow, flow) == 0.0
    assert math.isnan(flow_slope(np.zeros(3), np.zeros(3)))


@given(st.floats(0.001, 0.1), st.floats(1e5, 1e8), st.floats(0.001, 1))
def test_the_square_root_law_is_met_within_its_polygon(sigma, volume, share):
    impact = root_impact(sigma, volume, volume)
    found = moved_by(impact, np.array([share * volume]))[0]
    # A polygon of 64 sides, even in the move: less than half a side below the curve.
    assert sigma * math.sqrt(share) - sigma / 128 <= found <= sigma * math.sqrt(share) * (1 + 1e-9)


@given(st.lists(st.floats(0.2, 30), min_size=1, max_size=30))
def test_a_factor_is_that_of_all_events_the_expected_ones_included(values):
    prior = from_quantiles(1.5, 3.0, 8.0)
    factor = prior
    for value in values:
        factor = learned(factor, value)
    logs = np.log(values)
    mean = (8 * prior.mean + logs.sum()) / (8 + len(values))
    squares = 8 * (prior.deviation**2 + (prior.mean - mean) ** 2) + ((logs - mean) ** 2).sum()
    assert factor.mean == pytest.approx(mean)
    assert factor.deviation == pytest.approx(math.sqrt(squares / (8 + len(values))))
    assert factor.events == 8 + len(values)


def test_many_own_withdrawals_outweigh_what_was_measured_elsewhere():
    survival = survival_prior()
    for _ in range(500):
        survival = withdrawal_learned(survival, -9.0, 100.0, 20.0)
    assert withdrawal(survival, 9.0).median == pytest.approx(5.0, rel=0.05)
    assert withdrawal(survival, 25.0) == withdrawal(survival_prior(), 25.0)
    emptied = withdrawal_learned(survival_prior(), 9.0, 100.0, 0.0)
    assert math.isfinite(withdrawal(emptied, 9.0).p90)


@given(st.floats(1, 100), st.floats(0, 90), st.integers(0, 100))
def test_a_refill_is_recovered_from_its_depths(seconds, depleted, seed):
    times = np.concatenate(([0.0], np.random.default_rng(seed).uniform(0.5, 60, 10)))
    depth = 100 - (100 - depleted) * np.exp(-times / seconds)
    refill = fitted_refill(times, depth, 100.0)
    early = np.count_nonzero(np.exp(-times[1:] / seconds) > 0.05)
    if early:
        assert refill.samples == early
        assert refill.seconds == pytest.approx(seconds)
        assert refilled(refill, depleted, 100.0, times[3]) == pytest.approx(depth[3])
    else:
        assert refill is None
    assert fitted_refill(times, np.full(11, depleted), 100.0) is None


def test_an_episode_without_a_fall_teaches_no_factor():
    assert factor_learned(FACTOR_PRIOR, 0.01, 0.0) == FACTOR_PRIOR
    assert factor_learned(FACTOR_PRIOR, 0.0, 0.01) == FACTOR_PRIOR
    assert factor_learned(FACTOR_PRIOR, 0.01, 0.1).median > 1.5


def test_what_cannot_be_is_refused_by_name():
    one = np.ones(1)
    for call, message in (
        (lambda: flow_impact(math.nan), "slope is nan"),
        (lambda: flow_impact(1.0, 0.0), r"factor is 0\.0"),
        (lambda: flow_slope(one, np.ones(2)), "1 returns, 2 flows"),
        (lambda: book_impact(one, np.ones(2), 1, 1, 1), "1 distances, 2 depths"),
        (lambda: book_impact(np.ones(2), np.ones(2), 1, 1, 1), "must rise"),
        (lambda: book_impact(np.array([1.0, 2]), np.array([2.0, 1]), 1, 1, 1), "must not fall"),
        (lambda: book_impact(one, one, -1, 1, 1), "surviving_ratio is -1"),
        (lambda: root_impact(0.0, 1, 1), r"daily_sigma is 0\.0"),
        (lambda: fitted_refill(one, one, 2.0), "the first time is 1"),
        (lambda: fitted_refill(np.zeros(1), one, 1.0), "it is not depleted"),
        (lambda: withdrawal_learned(survival_prior(), 7, 0.0, 0.0), r"usual_depth is 0\.0"),
        (lambda: learned(FACTOR_PRIOR, 0.0), r"value is 0\.0"),
        (lambda: from_quantiles(2.0, 1.0, 1.0), r"median is 2\.0, p90 is 1\.0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
