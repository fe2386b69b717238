"""What counts as a fluctuation of a market, and what does not teach one."""

import pytest

from detectors.market_data.bar import Bar, BookState
from detectors.market_data.flow import Flow
from detectors.market_data.market_noise import CLIP, MarketNoise
from tests.steps import NOTHING

USUAL = 200.0
SPREAD_BPS = 2.0


def book(mid=100.0, *, depth=1.0, spread=1.0):
    side = (0.5 * USUAL * depth,) * 3
    return BookState(mid, SPREAD_BPS * spread, side, side)


def learn(noise, opened, closed, tick=0.0):
    return noise.learn(
        Bar(
            symbol="S",
            starts_at=0,
            ends_at=1_000_000_000,
            flow=Flow(),
            span_sums=[],
            opened=opened,
            closed=closed,
            usual_depth=USUAL,
            typical_spread=SPREAD_BPS,
            smooth_log_depth=(0.0, 0.0, 0.0),
            recent=NOTHING,
            layered=0.0,
            spoofed=0.0,
        ),
        tick,
    )


def test_each_is_a_mean_over_bars():
    noise = MarketNoise(1.0)
    for number in range(600):
        falls = number % 2 == 0
        state = learn(
            noise,
            book(depth=0.5 if falls else 4.0, spread=2.0 if falls else 0.1),
            book(100.01, depth=0.5 if falls else 4.0, spread=2.0 if falls else 0.1),
        )
    assert state.price == pytest.approx(1.0, rel=1e-6)
    assert state.depth == pytest.approx(1.0, rel=0.01), "a deeper book is none"
    assert state.spread == pytest.approx(1.0, rel=0.01), "nor is a narrower spread"


def test_a_gap_at_one_end_of_a_bar_is_a_quote_that_moves():
    state = learn(MarketNoise(1.0), book(), book(depth=0.01, spread=9.0))
    assert (state.depth, state.spread) == (0.0, 0.0)


def test_a_crash_does_not_teach_its_own_noise():
    noise = MarketNoise(1.0)
    for _ in range(1_800):
        before = learn(noise, book(), book(100.01)).price
    after = learn(noise, book(), book(50.0)).price
    assert after <= before * (1.0 + CLIP / 1_800.0)


def test_a_book_in_ticks_is_measured_in_ticks_at_any_price():
    assert learn(MarketNoise(1.0), book(-3.0), book(-2.5), tick=0.25).price == 2.0


def test_a_bar_without_a_book_teaches_nothing():
    assert learn(MarketNoise(1.0), None, book()).bars == 0
