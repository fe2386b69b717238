"""Large orders on one side that are repeatedly placed and withdrawn within a second (spoofing).

A spoof is an order that is meant to be seen and not to trade (the "intent to cancel before
execution" of 7 U.S.C. 6c(a)(5)(C); in re Panther Energy Trading, CFTC docket 13-26, 2013). The
feature sums, per side, the large orders that are withdrawn within a second. Makers move quotes on
both sides, a spoofer on one. The accounts need not be known. Traders sometimes withdraw a large
order at once, so the tail of this score is heavy. The detector is separate from ``cancel_burst``
because this tail would determine a common threshold.
"""

import math
from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar, Flow

BALANCED = 0.2
"""The value added to the imbalance before its logarithm is taken: a smaller one is noise."""

ONE_ORDER = 0.5
"""The smallest deviation: about one more large order within 15 seconds. In a symbol with hardly any
such orders, the first one is no surprise."""

TYPICAL = {"large_fleeting_15s": 0.1}
"""The typical standard deviation in simulated markets."""


def fleeting_imbalance(flow: Flow, usual_depth: float) -> float:
    """Return the imbalance of large short-lived orders between the sides, in units of noise.

    The notional of each side is measured in shares of the usual depth. The result is 0 while the
    usual depth is unknown.
    """
    if usual_depth <= 0.0:
        return 0.0
    bids, asks = flow.large_fleeting_bid / usual_depth, flow.large_fleeting_ask / usual_depth
    return abs(bids - asks) / math.sqrt(1.0 + bids + asks)


def features(bar: Bar) -> Features | None:
    """Return the features of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    imbalance = fleeting_imbalance(bar.spans[1], bar.usual_depth)
    return {"large_fleeting_15s": math.log(BALANCED + imbalance)}


DETECTOR = Detector(
    name="spoofing",
    version=2,
    features=features,
    headline="large orders appear and vanish",
    phrases={
        "large_fleeting_15s": "large orders on one side of the book are cancelled within a second,"
        " again and again",
    },
    model=partial(Surprise, typical=TYPICAL, mean_noise_bars=60.0, min_deviation=ONE_ORDER),
    logarithms=frozenset(TYPICAL),
)
