"""Betas, joint exceedances and lags on returns whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.contagion.convergence import convergence, exceedance_correlation
from detectors.risk.contagion.lead_lag import GRID_SECONDS, contrast, lead_lag
from detectors.risk.contagion.stress_beta import ordinary_betas, stress_betas


def returns_of(seed, minutes=1440, symbols=3):
    generator = np.random.default_rng(seed)
    common = generator.standard_t(4, minutes)
    return np.column_stack(
        [0.001 * (beta * common + generator.standard_normal(minutes)) for beta in (1.0, 0.8, 0.0)]
    )[:, :symbols]


@given(st.integers(0, 1000))
def test_betas_are_within_their_bounds_and_between_both_slopes(seed):
    returns = returns_of(seed)
    ordinary = ordinary_betas(returns)
    assert ordinary[0, 1] == pytest.approx(
        (returns[:, 0] @ returns[:, 1]) / (returns[:, 0] @ returns[:, 0])
    )
    found = stress_betas(returns)
    falls = returns[np.argsort(returns[:, 0])[:72]]
    tail = (falls[:, 0] @ falls[:, 1]) / (falls[:, 0] @ falls[:, 0])
    expected = (72 * tail + 30 * ordinary[0, 1]) / 102
    assert found.falls[0, 1] == pytest.approx(min(max(expected, 0), 3))
    for matrix in found:
        assert np.all((matrix >= 0) & (matrix <= 3))
        assert np.all(matrix.diagonal() == 1)


@given(st.integers(0, 1000), st.sampled_from([0.5, 4.0]))
def test_betas_do_not_know_units_but_their_ratio(seed, factor):
    returns = returns_of(seed)
    base, scaled = stress_betas(returns), stress_betas(factor * returns)
    assert scaled.falls == pytest.approx(base.falls)
    mirrored = stress_betas(-returns)
    assert mirrored.rises == pytest.approx(base.falls)
    assert mirrored.falls == pytest.approx(base.rises)


def test_a_symbol_that_does_not_move_leads_nobody():
    returns = np.column_stack((np.zeros(100), np.linspace(-1, 1, 100)))
    found = stress_betas(returns)
    assert found.falls.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(ValueError, match=r"tail_share is 0\.6"):
        stress_betas(returns, tail_share=0.6)
    with pytest.raises(ValueError, match=r"shrinkage is -1"):
        stress_betas(returns, shrinkage=-1)


def test_fat_tails_alone_are_no_convergence():
    """Of samples of the distribution itself, about one in twenty has a p-value below 0.05."""
    low = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        normal = generator.standard_normal((2, 800))
        tail = np.sqrt(4 / generator.chisquare(4, 800))
        x, y = normal[0] * tail, (0.6 * normal[0] + 0.8 * normal[1]) * tail
        low += convergence(x, y, seed, draws=200).p_value < 0.05
    assert low <= 9  # P(more than 9 of 60 at 1 in 20) < 0.001


def test_the_null_has_the_exceedance_correlation_of_fat_tails_not_zero():
    generator = np.random.default_rng(3)
    normal = generator.standard_normal((2, 5000))
    tail = np.sqrt(3 / generator.chisquare(3, 5000))
    found = convergence(normal[0] * tail, normal[1] * tail, seed=1, draws=200)
    # Uncorrelated, but large together: what is expected is well above 0.
    assert abs(found.fitted.correlation) < 0.05
    assert found.expected > 0.15
    assert abs(found.excess) < 0.35


def test_too_few_joint_falls_have_no_correlation():
    x = np.linspace(-1, 1, 100)
    assert math.isnan(exceedance_correlation(x, -x))
    found = convergence(x, -x, seed=1, draws=20)
    assert math.isnan(found.observed)
    assert math.isnan(found.p_value)
    with pytest.raises(ValueError, match="3 and 2 returns"):
        exceedance_correlation(np.zeros(3), np.zeros(2))


observations = st.lists(
    st.tuples(st.integers(1, 2000), st.sampled_from([-1.0, 0.0, 1.0, 2.5])), min_size=1, max_size=12
)


def series(steps):
    times = np.cumsum([gap for gap, _ in steps]) * 1_000_000
    return times, np.cumsum([change for _, change in steps])


@given(observations, observations, st.sampled_from([0.0, *GRID_SECONDS]))
def test_the_contrast_is_the_sum_over_intervals_that_meet(first, second, lag):
    x_ns, x = series(first)
    y_ns, y = series(second)
    expected = 0.0
    for i in range(1, len(x)):
        for j in range(1, len(y)):
            begin, end = y_ns[j - 1] - round(lag * 1e9), y_ns[j] - round(lag * 1e9)
            if begin < x_ns[i] and end > x_ns[i - 1]:
                expected += (x[i] - x[i - 1]) * (y[j] - y[j - 1])
    assert contrast(x_ns, x, y_ns, y, lag) == pytest.approx(expected)


@given(st.integers(0, 50), st.sampled_from(GRID_SECONDS))
def test_the_lag_is_found_on_times_that_never_meet(seed, lag):
    generator = np.random.default_rng(seed)
    fine = np.cumsum(generator.standard_normal(400_000))  # a price each millisecond
    at = [np.unique(generator.integers(50_000, 350_000, 30_000)) for _ in range(2)]
    shift = round(lag * 1000)
    found = lead_lag(
        at[0] * 1_000_000, fine[at[0]], at[1] * 1_000_000, fine[at[1] - shift]
    )  # fmt: skip
    assert found.lag_seconds == lag
    assert (found.ratio > 1) == (lag > 0)


def test_prices_that_stand_still_have_no_lag():
    times = np.arange(5) * 10**9
    found = lead_lag(times, np.zeros(5), times, np.arange(5.0))
    assert found[:2] == (0.0, 0.0)
    assert math.isnan(found.ratio)
    with pytest.raises(ValueError, match="the times of second do not rise"):
        lead_lag(times, np.zeros(5), times[::-1], np.zeros(5))
    with pytest.raises(ValueError, match="first has 5 times and 4 prices"):
        lead_lag(times, np.zeros(4), times, np.zeros(5))
    with pytest.raises(ValueError, match="grid_seconds is empty"):
        lead_lag(times, np.zeros(5), times, np.zeros(5), ())
