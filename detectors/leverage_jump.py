"""Accounts that take on more leverage than is their habit, or than is usual for the symbol.

Leverage is compared as a logarithm: from 5 to 10 is as much a jump as from 50 to 100. The excess
over each account's own habit shows a jump within seconds, the notional-weighted mean needs longer
but also sees many accounts creeping up together; the part near the venue's maximum is the part
that the first adverse move liquidates (maintenance margin is then as close as it can be:
Brunnermeier and Pedersen, 2009, on margin spirals).
"""

import math

from detectors.bar import SPANS_SECONDS, Bar
from detectors.detector import Detector, Features, log_ratio, ratio
from detectors.surprise import Surprise

OVER_HABIT = ("leverage_over_habit", *(f"leverage_over_habit_{s}s" for s in SPANS_SECONDS))
MEAN_LEVERAGE = tuple(f"mean_log_leverage_{s}s" for s in SPANS_SECONDS[1:])


def features(bar: Bar) -> Features | None:
    """The features of one bar; None where no recent order states a leverage."""
    minute = bar.spans[-1]
    if minute.leveraged <= 0.0:
        return None
    x: Features = {}
    # Few orders are noise: a span is measured against at least a tenth of the minute's flow.
    floor = 0.1 * minute.leveraged
    for name, sums in zip(OVER_HABIT, (bar.flow, *bar.spans), strict=True):
        x[name] = ratio(sums.leverage_excess_weighted, sums.leveraged, floor)
    for name, sums in zip(MEAN_LEVERAGE, bar.spans[1:], strict=True):
        if sums.leveraged > 0.0:
            x[name] = sums.log_leverage_weighted / sums.leveraged
    x["tail_log_leverage_60s"] = math.log(minute.leverage_weighted / minute.leveraged)
    x["near_maximum_60s"] = minute.near_maximum_leverage / minute.leveraged
    if bar.open_interest and bar.closed is not None:
        added = minute.leverage_weighted / (bar.open_interest * bar.closed.mid)
        x["added_per_open_interest_60s"] = log_ratio(added, 1.0)
    return x


_habit = "accounts order at {level:.1f} times their own usual leverage"
_mean = "the mean leverage of new orders is {level:.1f}"

DETECTOR = Detector(
    name="leverage_jump",
    version=1,
    features=features,
    phrases={
        "leverage_over_habit": _habit,
        "leverage_over_habit_5s": _habit + " over 5 s",
        "leverage_over_habit_15s": _habit + " over 15 s",
        "leverage_over_habit_60s": _habit + " over 60 s",
        "mean_log_leverage_15s": _mean + " over 15 s (usually {usual:.1f})",
        "mean_log_leverage_60s": _mean + " over 60 s (usually {usual:.1f})",
        "tail_log_leverage_60s": "the mean leverage of new orders, by notional, is {level:.0f} over"
        " 60 s (usually {usual:.0f})",
        "near_maximum_60s": "{value:.0%} of new leveraged orders are near the venue's maximum"
        " (usually {expected:.0%})",
        "added_per_open_interest_60s": "leveraged exposure is ordered at {times:.1f} times its"
        " usual rate against open interest",
    },
    model=Surprise,
)
