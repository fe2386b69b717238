"""What is learned of flow, depth and forced sales is what was put in."""

import math
import random

import pytest

from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.flow_history import LEAST_SPANS, FlowHistory
from detectors.risk_watch.forced_flow import ForcedFlow
from detectors.risk_watch.withdrawals import Withdrawals
from tests.risk_watch.venue import Venue, crowd, margin, position, reference


def summary(mid=100.0, *, depth=100.0, bought=0.0, sold=0.0, forced_sold=0.0, spread=1.0):
    sides = (depth,) * 4
    return BookSummary(mid, spread, sides, sides, bought, sold, 0.0, forced_sold)


def test_the_slope_of_flow_is_learned_from_ten_second_spans():
    venue = Venue(slope=3e-6)
    venue.run(10 * LEAST_SPANS - 1)
    assert math.isnan(venue.monitor.learned["X"].flow.slope)
    venue.run(1)
    flow = venue.monitor.learned["X"].flow
    assert flow.slope == pytest.approx(3e-6, rel=1e-6)
    assert len(flow.slopes) == 200


def test_the_volatility_of_a_minute_is_that_of_the_price():
    venue = Venue(slope=1e-6)
    venue.run(900)
    # 60 independent returns of slope x 1,000.
    expected = 1e-6 * 1_000.0 * math.sqrt(60.0)
    assert venue.monitor.learned["X"].flow.sigma_60s == pytest.approx(expected, rel=0.5)


def test_forced_flow_teaches_its_factor_and_not_the_slope():
    venue = Venue(slope=1e-6)
    venue.take(margin(), reference(), *crowd(900.0, 0.3), position("s", -1_000.0, 0.5))
    venue.run(600)
    venue.run(20, forced_sold=5_000.0, factor=3.0)
    venue.run(40)
    learned = venue.monitor.learned["X"]
    # Prior 1.5, worth four events, and one at 3.
    assert learned.forced.factor.events == 5.0
    assert learned.forced.factor.median == pytest.approx(1.5 * 2.0**0.2, rel=0.05)
    assert learned.flow.slope == pytest.approx(1e-6, rel=0.05)


def test_a_small_liquidation_teaches_nothing():
    venue = Venue(slope=1e-6)
    venue.run(600)
    venue.run(3, forced_sold=10.0, factor=50.0)
    venue.run(40)
    assert venue.monitor.learned["X"].forced.factor.events == 4.0


def test_other_flow_is_taken_out_of_what_a_forced_sale_moved():
    forced = ForcedFlow()
    mid = 100.0
    for _ in range(20):
        now = mid * math.exp(-1e-6 * (2.0 * 1_000.0 + 500.0))
        forced.add(summary(now, sold=1_500.0, forced_sold=1_000.0), mid, now, 1e-6, 1e-4)
        mid = now
    for _ in range(10):
        forced.add(None, mid, mid, 1e-6, 1e-4)
    assert forced.factor.median == pytest.approx(1.5 * (2.0 / 1.5) ** 0.2, rel=1e-3)


def spans(withdrawals, depths, sigmas=0.0):
    for depth in depths:
        for _ in range(10):
            withdrawals.add(summary(depth=depth))
        withdrawals.close_span(sigmas)


def test_a_withdrawal_begins_and_ends_with_the_depth_and_teaches_its_factor():
    withdrawals = Withdrawals()
    spans(withdrawals, [100.0] * 20)
    assert not withdrawals.going_on
    assert withdrawals.factor("long").median == 1.0
    spans(withdrawals, [20.0])
    assert withdrawals.going_on
    assert withdrawals.factor("long").median == pytest.approx(1.4)
    spans(withdrawals, [40.0, 55.0, 65.0])
    assert withdrawals.going_on
    spans(withdrawals, [90.0])
    assert not withdrawals.going_on
    # Prior 1.4, worth eight events, and one at 100 / 20.
    learned = withdrawals.survival["long"].factors[0]
    assert learned.median == pytest.approx(1.4 * (5.0 / 1.4) ** (1 / 9))
    assert withdrawals.refill["long"].seconds > 0.0


def test_a_large_move_is_a_withdrawal_of_its_class_and_teaches_nothing_without_one():
    withdrawals = Withdrawals()
    spans(withdrawals, [100.0] * 20)
    spans(withdrawals, [95.0], sigmas=-13.0)
    assert withdrawals.factor("long").median == pytest.approx(2.4)
    spans(withdrawals, [95.0])
    assert not withdrawals.going_on
    assert all(its.events == 8.0 for its in withdrawals.survival["long"].factors)


def test_one_thin_second_is_no_withdrawal():
    withdrawals = Withdrawals()
    spans(withdrawals, [100.0] * 20)
    withdrawals.add(summary(depth=0.0))
    for _ in range(9):
        withdrawals.add(summary(depth=100.0))
    withdrawals.close_span(0.0)
    assert not withdrawals.going_on


def test_the_minutes_of_a_day_are_bounded():
    flow = FlowHistory()
    for _ in range(9_000):
        flow.add(summary(sold=1.0))
        flow.close_span()
    assert len(flow._minute_moves) == 1_440
    assert flow.p99_minute_flow == 6.0


def test_flow_that_follows_the_index_is_no_impact():
    """Traders who buy because the index rises do not move the price over it."""

    def slope(*, with_index):
        flow, draws, mid, index = FlowHistory(), random.Random(1), 100.0, 100.0
        for _ in range(60):
            news, noise = draws.gauss(0.0, 1e-3), draws.gauss(0.0, 300.0)
            net = 1e6 * news + noise
            index *= math.exp(news)
            mid *= math.exp(news + 1e-7 * net)
            flow.index = index if with_index else math.nan
            flow.add(summary(mid, bought=max(net, 0.0), sold=max(-net, 0.0)))
            flow.close_span()
        return flow.slope

    assert slope(with_index=True) == pytest.approx(1e-7, rel=0.01)
    assert slope(with_index=False) > 5e-7


def test_an_index_that_appears_is_no_return():
    flow = FlowHistory()
    for number in range(2 * LEAST_SPANS):
        flow.index = 50_000.0 if number > LEAST_SPANS else math.nan
        flow.add(summary(sold=1_000.0))
        flow.close_span()
    assert flow.slope == 0.0
