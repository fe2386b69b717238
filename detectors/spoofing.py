"""Large orders of one side that are shown for a moment and withdrawn, again and again.

A spoof is an order that is meant to be seen and not to trade (the "intent to cancel before
execution" of 7 U.S.C. 6c(a)(5)(C); in re Panther Energy Trading, CFTC docket 13-26, 2013). So
large orders that are gone within a second are summed up by side: makers move the quotes of both, a
spoofer shows one. Whoever places them need not be known. Now and then somebody changes his mind
about a large order, which makes the tail of this so heavy that it is no part of ``cancel_burst``: a
common threshold would be its own.
"""

import math
from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar, Flow

BALANCED = 0.2
"""One side is compared as if there were so much more of it: below it there is only noise."""

ONE_ORDER = 0.5
"""The least deviation, about one more large order within a quarter of a minute: where a symbol has
hardly seen any, the first one is no surprise."""

TYPICAL = {"large_fleeting_15s": 0.1}
"""The standard deviation in simulated markets."""


def fleeting_imbalance(flow: Flow, usual_depth: float) -> float:
    """Large fleeting orders of one side less the other's, in usual depths and units of noise."""
    if usual_depth <= 0.0:
        return 0.0
    bids, asks = flow.large_fleeting_bid / usual_depth, flow.large_fleeting_ask / usual_depth
    return abs(bids - asks) / math.sqrt(1.0 + bids + asks)


def features(bar: Bar) -> Features | None:
    """The features of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    imbalance = fleeting_imbalance(bar.spans[1], bar.usual_depth)
    return {"large_fleeting_15s": math.log(BALANCED + imbalance)}


DETECTOR = Detector(
    name="spoofing",
    version=2,
    features=features,
    phrases={
        "large_fleeting_15s": "large orders on one side of the book keep being withdrawn within a"
        " second",
    },
    model=partial(Surprise, typical=TYPICAL, mean_noise_bars=60.0, min_deviation=ONE_ORDER),
    logarithms=frozenset(TYPICAL),
)
