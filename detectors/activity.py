"""The activity of a market: high activity is not stress, but a lasting change is worth a report.

A market that is ten times as busy raises no alarm: the features of the other detectors are relative
to activity. If the market stays ten times as busy, a team wants one report of this change. This
detector therefore watches drift only. Its feature is the logarithm of the number of events per bar.
"""

import math
from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

COUNT_OFFSET = 1.0
"""The number added to a count before its logarithm is taken."""


def features(bar: Bar) -> Features | None:
    """Return the features of one bar."""
    flow = bar.flow
    return {"events": math.log(flow.orders + flow.cancels + flow.trades + COUNT_OFFSET)}


DETECTOR = Detector(
    name="activity",
    version=1,
    features=features,
    phrases={"events": "there are {level:.0f} events per bar (usually {usual:.0f})"},
    model=partial(Surprise, min_deviation=0.1, typical={"events": 0.6}),
    logarithms=frozenset({"events"}),
)
