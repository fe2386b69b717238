"""Bad execution is found where size, cost and spread are rare together, and only there."""

import random

import pytest

from detectors.conduct.detector import Scene
from detectors.conduct.execution_quality import ExecutionQuality
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.monitor import WHOLE
from tests.conduct.liquidated import BEGIN, SECOND

DEPTH = (1e5,) * 4


class Market:
    """Feeds bars of a second: ordinary ones, but for what a test multiplies."""

    def __init__(self, seed=1):
        self.detector = ExecutionQuality()
        self.random = random.Random(seed)
        self.now = BEGIN
        self.found = []
        self.scene = Scene(Holdings(1_000, WHOLE), {}, {})

    def run(self, seconds, *, pieced=1.0, cost=1.0, spread=1.0, orders=3):
        for _ in range(seconds):
            self.now += SECOND
            traded = orders * self.random.expovariate(1.0) * 1_000.0
            many = sum(self.random.random() < 0.03 * pieced for _ in range(orders))
            bps = 2.0 * cost * self.random.lognormvariate(0.0, 0.3)
            bar = BookSummary(
                100.0, 1.5 * spread * self.random.lognormvariate(0.0, 0.2), DEPTH, DEPTH,
                bought=traded, taker_orders=float(orders), pieced_orders=float(many),
                shortfall=traded * bps / 1e4,
            )  # fmt: skip
            self.detector.summarise("X", self.now, bar)
            verdicts = self.detector.judge(self.now, self.scene)
            self.found += [(self.now, its) for its in verdicts.values()]


@pytest.fixture(scope="module")
def calm():
    market = Market()
    market.run(3 * 3_600)
    return market


def test_ordinary_hours_are_no_alarm(calm):
    assert calm.found == []


def test_size_cost_and_spread_together_are():
    market = Market(seed=2)
    market.run(3_000)
    began = market.now
    market.run(90, pieced=12.0, cost=6.0, spread=5.0)
    at, verdict = market.found[0]
    assert at - began <= 60 * SECOND
    assert verdict.p_value < 1e-3
    assert "trades or more, usually 3 %; the spread is" in verdict.summary
    assert [its.feature for its in verdict.evidence] == [
        "pieced_orders_ratio", "shortfall_bps", "spread_bps",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"pieced": 12.0, "cost": 6.0},
        {"pieced": 12.0, "spread": 5.0},
        {"cost": 6.0, "spread": 5.0},
    ],
    ids=str,
)
def test_two_of_the_three_are_not(changed):
    market = Market(seed=3)
    market.run(3_000)
    market.run(120, **changed)
    assert market.found == []


def test_a_minute_with_few_orders_is_not_judged():
    market = Market(seed=4)
    market.run(3_000)
    market.run(60, orders=0)
    market.run(15, pieced=12.0, cost=6.0, spread=5.0, orders=1)
    assert market.found == []
