"""Draws repeat by their seed, agree with one run where nothing is uncertain, and cover."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.drawn_runs import (
    OPEN_INTEREST_SHARES,
    drawn_distances,
    drawn_outcomes,
    drawn_runs,
)
from detectors.risk.draws import impact_draws, slope_draws
from detectors.risk.flow_impact import flow_impact, flow_slope
from detectors.risk.forced import forced_at, forced_of
from detectors.risk.log_normal import LogNormal
from detectors.risk.outcome import just_above, outcome_of
from detectors.risk.quantiles import probability, quantiles
from detectors.risk.reproduction import reproduction_number
from detectors.risk.runs import distance, run_ends, runs_of
from tests.risk.books import books, rules

CERTAIN = LogNormal(0.0, 0.0, 1.0)
FORCED_FLOW = LogNormal(math.log(1.5), 0.3, 4.0)
STRESS = LogNormal(math.log(1.75), 0.85, 8.0)


def market(seed, slope=1e-6, count=90):
    draws = np.random.default_rng(seed)
    flow = draws.normal(0, 1e3, count)
    return slope * flow + draws.normal(0, 1e-3, count), flow


def test_the_same_seed_gives_the_same_draws_and_another_does_not():
    returns, flow = market(1)

    def drawn(seed):
        return impact_draws(slope_draws(returns, flow, seed), FORCED_FLOW, STRESS, seed)

    assert drawn(7).tolist() == drawn(7).tolist()
    assert drawn(7).tolist() != drawn(8).tolist()
    assert len(drawn(7)) == 200


def test_the_slopes_cover_the_true_one_about_as_often_as_they_say():
    covered = 0
    for seed in range(300):
        returns, flow = market(seed)
        low, _, high = quantiles(slope_draws(returns, flow, seed))
        covered += low <= 1e-6 <= high
    # 80 % nominal; a bootstrap of 15 blocks is a little narrow.
    assert 0.68 <= covered / 300 <= 0.88


def test_blocks_keep_what_independent_resampling_loses():
    # Slopes that persist for a minute: intervals drawn one by one would look far too certain.
    draws = np.random.default_rng(3)
    flow = draws.normal(0, 1e3, 600)
    returns = np.repeat(draws.normal(1e-6, 5e-7, 100), 6) * flow
    by_block = np.std(slope_draws(returns, flow, 1, block=6))
    one_by_one = np.std(slope_draws(returns, flow, 1, block=1))
    assert by_block > 1.3 * one_by_one


@given(books(), rules(), st.floats(1e-7, 1e-4), st.floats(1, 1000))
def test_without_uncertainty_every_draw_is_the_one_run(book, rule, slope, seed_notional):
    forced = forced_of(book.ladder(), rule)
    open_interest = 1.3 * book.notional().sum()
    slopes = impact_draws(np.full(3, slope), CERTAIN, CERTAIN, seed=1)
    drawn = drawn_runs(forced, slopes, open_interest, seed_notional)
    runs = runs_of(forced, flow_impact(slope))
    for share in OPEN_INTEREST_SHARES:
        expected = distance(runs, share * open_interest)
        assert quantiles(drawn.distance[share]) == (expected, expected, expected)
        forces = drawn.notional[share]
        if math.isfinite(expected):
            assert np.all(forces >= share * open_interest * (1 - 1e-6))
        else:
            assert np.all(np.isnan(forces))
    assert np.all(drawn.reproduction == reproduction_number(runs, seed_notional))


@given(books(), rules(), st.lists(st.floats(1e-7, 1e-4), min_size=2, max_size=10))
def test_a_larger_impact_is_never_further_away(book, rule, slopes):
    forced = forced_of(book.ladder(), rule)
    drawn = drawn_runs(forced, np.sort(slopes), book.notional().sum(), 10.0)
    near, middle, far = (drawn.distance[share] for share in OPEN_INTEREST_SHARES)
    for distances in (near, middle, far):
        assert not np.any(distances[1:] > distances[:-1] + 1e-12)
    assert np.all(near <= middle)
    assert np.all(middle <= far)
    assert not np.any(drawn.reproduction[1:] < drawn.reproduction[:-1])


@given(books(), rules(), st.floats(0.05, 0.9), st.integers(0, 50), st.floats(0, 20))
def test_drawn_outcomes_are_the_runs_of_their_slopes(book, rule, share, seed, fund):
    ladder = book.ladder()
    forced = forced_of(ladder, rule)
    slopes = np.exp(np.random.default_rng(seed).normal(-11, 1, 9))
    wanted = share * book.notional().sum()
    outcomes = drawn_outcomes(ladder, rule, forced, slopes, wanted, fund)
    every = [runs_of(forced, flow_impact(slope)) for slope in slopes]
    possible = [runs for runs in every if math.isfinite(distance(runs, wanted))]
    assert len(outcomes) == len(possible)
    for outcome, runs in zip(outcomes, possible, strict=True):
        expected = just_above(distance(runs, wanted))
        assert outcome == outcome_of(ladder, rule, runs, expected, fund)
    if outcomes:
        losses = np.array([outcome.loss for outcome in outcomes])
        enough = probability(losses, at_most=fund)
        assert enough == np.mean([outcome.beyond_fund == 0.0 for outcome in outcomes])


def test_depth_never_grows_under_stress():
    drawn = impact_draws(np.full(500, 1.0), CERTAIN, LogNormal(-1.0, 1.0, 8.0), seed=1)
    assert drawn.min() == 1.0
    assert drawn.max() > 1.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-5, 5))
def test_quantiles_and_probabilities_count_draws(values, bound):
    drawn = np.array(values)
    for level, value in zip((0.1, 0.5, 0.9), quantiles(drawn), strict=True):
        assert np.mean(drawn <= value) >= level - 1e-12
        assert np.mean(drawn < value) < level
    assert probability(drawn, at_most=bound) == np.mean(drawn <= bound)
    assert probability(np.append(drawn, math.nan), at_least=bound) <= np.mean(drawn >= bound)


def test_intervals_without_flow_have_no_slope():
    assert slope_draws(np.ones(4), np.zeros(4), 1, draws=2).tolist() == [0.0, 0.0]
    assert math.isnan(flow_slope(np.ones(4), np.zeros(4)))


def test_what_cannot_be_is_refused_by_name():
    one = np.ones(1)
    for call, message in (
        (lambda: slope_draws(one, np.ones(2), 1), "1 returns, 2 flows"),
        (lambda: slope_draws(one, one, 1, draws=0), "draws is 0"),
        (lambda: drawn_runs(None, one, 0.0, 1.0), r"open_interest is 0\.0"),
        (lambda: quantiles(np.zeros(0)), "there are no draws"),
        (lambda: probability(np.zeros(0)), "there are no draws"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@given(
    books(),
    rules(),
    st.lists(st.floats(1e-7, 1e-3), min_size=1, max_size=8),
    st.floats(0.1, 1.0),
    st.floats(0.0, 0.02),
)
def test_all_draws_at_once_are_the_runs_of_each(book, rule, slopes, passed_ratio, least_rise):
    forced = forced_of(book.ladder(), rule)
    open_interest = 1.3 * book.notional().sum()
    how = {"passed_ratio": passed_ratio, "least_rise_ratio": least_rise}
    drawn = drawn_runs(forced, np.array(slopes), open_interest, 10.0, **how)
    for number, slope in enumerate(slopes):
        runs = runs_of(forced, flow_impact(slope), passed_ratio)
        for share in OPEN_INTEREST_SHARES:
            expected = distance(runs, share * open_interest, least_rise)
            assert drawn.distance[share][number] == pytest.approx(expected, abs=1e-12)
            if math.isfinite(expected):
                end = run_ends(runs, np.array([just_above(drawn.distance[share][number])]))
                forces = forced_at(forced, end)[0]
                assert drawn.notional[share][number] == pytest.approx(forces, rel=1e-6)
    alone = drawn_distances(forced, np.array(slopes), 0.4 * open_interest, **how)
    assert alone.tolist() == drawn.distance[0.4].tolist()
