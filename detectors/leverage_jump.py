"""Accounts that exceed their leverage habits, and orders near the venue's maximum leverage.

Leverage is compared as a logarithm: from 5 to 10 is the same jump as from 50 to 100. The statistic
of a span of time is the sum of the log leverage of n orders over their accounts' own habits, less n
times its usual mean, over the square root of n times its usual variance plus one. Each order
counts once: the size of one order must not be the statistic of a second. The first adverse move
liquidates the positions near the venue's maximum, because their maintenance margin is closest
(Brunnermeier and Pedersen, 2009, on margin spirals). The share near the maximum also covers new
accounts, which have no habit.
"""

import math

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

THREE_ORDERS = 3.0
"""The smallest number of orders that is judged."""

OVER_HABIT = ("leverage_over_habit_5s", "leverage_over_habit_45s")
NEAR_MAXIMUM = "near_maximum_45s"

TWO_DEVIATIONS = 2.0
"""The smallest value that matters."""

LINEAR = Statistic("plain", floor=TWO_DEVIATIONS, unit=0.25)
"""The smallest scale is that of a Gaussian tail at four standard deviations."""


def features(bar: Bar) -> Features | None:
    """Return the statistics of one bar; None if too few recent orders state a leverage."""
    recent, usual = bar.recent, bar.recent.usual
    x: Features = {}
    for name, (orders, excess) in zip(OVER_HABIT, recent.habitual, strict=True):
        if orders >= THREE_ORDERS:
            noise = math.sqrt(orders * usual.variance + 1.0)
            x[name] = (excess - orders * usual.excess) / noise
    orders, near_maximum = recent.leveraged
    if orders >= THREE_ORDERS:
        expected = orders * usual.near_maximum
        noise = math.sqrt(expected * (1.0 - usual.near_maximum) + 1.0)
        x[NEAR_MAXIMUM] = (near_maximum - expected) / noise
    return x or None


_over_habit = "new orders exceed the leverage of their accounts by {value:.1f} standard deviations"

DETECTOR = Detector(
    name="leverage_jump",
    version=4,
    features=features,
    headline="accounts are taking on leverage",
    phrases={
        "leverage_over_habit_5s": _over_habit + " over 5 s",
        "leverage_over_habit_45s": _over_habit + " over 45 s",
        "near_maximum_45s": "orders near the venue's maximum leverage exceed their usual number by"
        " {value:.1f} standard deviations over 45 s",
    },
    statistics=dict.fromkeys((*OVER_HABIT, NEAR_MAXIMUM), LINEAR),
)
