"""Accounts that take on more leverage than is their habit, and orders near the venue's maximum.

Leverage is compared as a logarithm: from 5 to 10 is as much a jump as from 50 to 100. The excess
over each account's own habit shows a jump within seconds, and many accounts that creep up together;
mean leverage needs longer, and moves with who happens to trade. The part near the venue's maximum
is the part that the first adverse move liquidates (maintenance margin is then as close as it can
be: Brunnermeier and Pedersen, 2009, on margin spirals); it also shows accounts that are new and so
have no habit.
"""

from functools import partial

from detectors.detector import Detector, Features, ratio
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

ABOVE_BASELINE = ("leverage_over_habit", "leverage_over_habit_5s")


def features(bar: Bar) -> Features | None:
    """The features of one bar; None where no recent order states a leverage."""
    minute = bar.spans[-1]
    if minute.leveraged <= 0.0:
        return None
    x: Features = {}
    # Few orders are noise: a span is measured against at least a tenth of the minute's flow.
    floor = 0.1 * minute.leveraged
    for name, sums in zip(ABOVE_BASELINE, (bar.flow, bar.spans[0]), strict=True):
        x[name] = ratio(sums.leverage_excess_weighted, sums.leveraged, floor)
    x["near_maximum_60s"] = minute.near_maximum_leverage / minute.leveraged
    return x


_habit = "leverage is {value:.1%} above the accounts' own habits (usually {expected:.1%})"

DETECTOR = Detector(
    name="leverage_jump",
    version=3,
    features=features,
    phrases={
        "leverage_over_habit": _habit,
        "leverage_over_habit_5s": "over 5 s " + _habit,
        "near_maximum_60s": "{value:.0%} of new leveraged orders are near the venue's maximum"
        " (usually {expected:.0%})",
    },
    # Most accounts never change their leverage: what counts as a change may be small.
    model=partial(Surprise, min_deviation=0.005),
    logarithms=frozenset(ABOVE_BASELINE),
)
