"""How much goes on: not stress by itself, but what is usual of it is worth knowing.

A market that is ten times as busy is no alarm, and the other detectors' features are relative to
activity so that it is none. That it stays ten times as busy is a change that a team wants to be
told of once: only drift is watched here. The number of events of a bar is compared as a logarithm.
"""

import math
from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

FEW = 1.0
"""Counts are compared as if so many more had been seen."""


def features(bar: Bar) -> Features | None:
    """The features of one bar."""
    flow = bar.flow
    return {"events": math.log(flow.orders + flow.cancels + flow.trades + FEW)}


DETECTOR = Detector(
    name="activity",
    version=1,
    features=features,
    phrases={"events": "{level:.0f} events come in a bar (usually {usual:.0f})"},
    model=partial(Surprise, min_deviation=0.1, typical={"events": 0.6}),
    logarithms=frozenset({"events"}),
    alarms=False,
)
