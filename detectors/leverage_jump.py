"""Accounts that exceed their leverage baseline, and orders near the venue's maximum leverage.

Leverage is compared as a logarithm: from 5 to 10 is the same jump as from 50 to 100. The excess
over each account's own baseline shows a jump within seconds, and a slow common rise of many
accounts. Mean leverage needs longer and changes with the mix of active accounts. The first adverse
move liquidates the positions near the venue's maximum, because their maintenance margin is closest
(Brunnermeier and Pedersen, 2009, on margin spirals). The share near the maximum also covers new
accounts, which have no baseline.
"""

from functools import partial

from detectors.detector import Detector, Features, ratio
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

ABOVE_BASELINE = ("leverage_over_habit", "leverage_over_habit_5s")


def features(bar: Bar) -> Features | None:
    """Return the features of one bar; None if no recent order states a leverage."""
    minute = bar.spans[-1]
    if minute.leveraged <= 0.0:
        return None
    x: Features = {}
    # Few orders are noise: the divisor of a span is at least a tenth of the minute's flow.
    floor = 0.1 * minute.leveraged
    for name, sums in zip(ABOVE_BASELINE, (bar.flow, bar.spans[0]), strict=True):
        x[name] = ratio(sums.leverage_excess_weighted, sums.leveraged, floor)
    x["near_maximum_60s"] = minute.near_maximum_leverage / minute.leveraged
    return x


_above_baseline = "new orders have {value:.1%} more leverage than is usual for their accounts"

DETECTOR = Detector(
    name="leverage_jump",
    version=3,
    features=features,
    headline="accounts are taking on leverage",
    phrases={
        "leverage_over_habit": _above_baseline,
        "leverage_over_habit_5s": _above_baseline + " over 5 s",
        "near_maximum_60s": "{value:.0%} of new leveraged orders are near the venue's maximum"
        " (usually {expected:.0%})",
    },
    # Most accounts never change their leverage, so a small change already counts.
    model=partial(Surprise, min_deviation=0.005),
    logarithms=frozenset(ABOVE_BASELINE),
)
