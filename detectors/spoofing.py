"""Very large orders on one side that are shown and withdrawn within seconds (spoofing).

The statistic is the largest sum of one account over the last seconds: the logarithm of the size of
each such order, in sizes from which an order is very large, bids against asks. Makers move quotes
on both sides, a spoofer on one. Traders sometimes withdraw one large order at once: a single one
does not matter.
"""

import math

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

THREE_ORDERS = 3.0 * math.log(2.0)
"""The smallest sum that matters: three orders of twice the size from which one is very large."""

SCALE = 0.5
"""The smallest scale of the tail: most of such an order."""


def features(bar: Bar) -> Features | None:
    """Return the statistic of one bar; None without accounts, or before the book has both sides."""
    if bar.opened is None or bar.spoofed is None:
        return None
    return {"large_withdrawn_30s": bar.spoofed}


DETECTOR = Detector(
    name="spoofing",
    version=3,
    features=features,
    headline="large orders appear and vanish",
    phrases={
        "large_withdrawn_30s": "one account keeps withdrawing very large orders of one side within"
        " three seconds",
    },
    statistics={"large_withdrawn_30s": Statistic("plain", floor=THREE_ORDERS, unit=SCALE)},
)
