"""E-values may be looked at after each observation, and still err as rarely as they say."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.fairness.e_values import ALARM, Capital, Claim, bet, log_mean

EXCESS = Claim(0.05, 0.0, 1.0)
PAIR = Claim(0.1, -1.0, 1.0)
RUNS = 400
LENGTH = 300


def ever_reaches(claim, draw, seed, level, length=LENGTH):
    """Whether the capital of one run is ever at the level."""
    rng, capital, past = random.Random(seed), Capital(), 0.0
    for _ in range(length):
        past = draw(rng, past)
        bet(capital, claim, past)
        if capital.log >= math.log(level):
            return True
    return False


def share(claim, draw, level, runs=RUNS):
    return sum(ever_reaches(claim, draw, seed, level) for seed in range(runs)) / runs


def following(rng, past):
    """Values that follow each other: the mean given the past is at the limit all the same."""
    return 0.5 * (rng.random() < 0.1) if past else 1.0 * (rng.random() < 0.05)


NULLS = {
    "rare whole excesses": (EXCESS, lambda rng, _: float(rng.random() < 0.05)),
    "many small excesses": (EXCESS, lambda rng, _: 0.1 * (rng.random() < 0.5)),
    "symmetric pairs": (PAIR, lambda rng, _: rng.choice((-1.0, 1.0, 0.0, 0.3))),
    "runs that follow each other": (EXCESS, following),
}


@pytest.mark.parametrize("name", NULLS)
def test_a_fair_venue_is_accused_no_more_often_than_stated(name):
    claim, draw = NULLS[name]
    # At 1 / 20: the standard error of the share of 400 runs is 1.1 %.
    assert share(claim, draw, 20.0) <= 0.05 + 2 * 0.011


def test_an_unfair_venue_is_found():
    def unfair(rng, _):
        return min(1.0, max(0.0, rng.gauss(0.3, 0.2)))

    assert share(EXCESS, unfair, ALARM, runs=50) == 1.0
    assert share(PAIR, lambda rng, _: rng.gauss(0.5, 0.3), ALARM, runs=50) == 1.0


@given(
    st.lists(st.floats(-5.0, 5.0), max_size=40),
    st.floats(0.01, 0.99),
)
def test_a_bet_is_fair_whatever_was_before(values, mean):
    """The worst case of the claim is a coin between the bounds with the claimed mean."""
    claim, capital = Claim(mean, 0.0, 1.0), Capital()
    for value in values:
        bet(capital, claim, value)
    assert math.isfinite(capital.log)
    low, high = (Capital([*capital.logs]) for _ in "ab")
    bet(low, claim, 0.0)
    bet(high, claim, 1.0)
    expected = (1 - mean) * math.exp(low.log - capital.log) + mean * math.exp(
        high.log - capital.log
    )
    assert expected == pytest.approx(1.0)


def test_a_claim_outside_its_bounds_is_refused():
    with pytest.raises(ValueError, match=r"mean is 0.0: it must be between 0.0 and 1.0"):
        bet(Capital(), Claim(0.0, 0.0, 1.0), 0.5)
    with pytest.raises(ValueError, match="not a number"):
        bet(Capital(), EXCESS, math.nan)


def test_no_e_values_have_no_mean():
    assert log_mean([]) == -math.inf
