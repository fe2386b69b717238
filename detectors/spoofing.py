"""Large orders on one side that are shown and withdrawn within seconds, again and again (spoofing).

The statistic is the largest sum of one account over the last seconds: the logarithm of the size of
each such order in median sizes, bids against asks. Makers move quotes on both sides, a spoofer on
one. Traders sometimes withdraw one large order at once: a single one does not matter.
"""

import math

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

THREE_LARGE_ORDERS = 3.0 * math.log(10.0)
"""The smallest sum that matters: three orders of ten times the median size."""

SCALE = 0.25 * math.log(10.0)
"""The smallest scale of the tail: a quarter of such an order."""


def features(bar: Bar) -> Features | None:
    """Return the statistic of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    return {"large_withdrawn_15s": bar.spoofed}


DETECTOR = Detector(
    name="spoofing",
    version=3,
    features=features,
    headline="large orders appear and vanish",
    phrases={
        "large_withdrawn_15s": "one account keeps withdrawing large orders of one side within"
        " three seconds",
    },
    statistics={"large_withdrawn_15s": Statistic("plain", floor=THREE_LARGE_ORDERS, unit=SCALE)},
)
