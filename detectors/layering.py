"""One account that keeps placing large orders on one side of the book (layering).

The statistic is the largest sum of one account over the last seconds: the logarithm of the size of
each large order in median sizes, bids against asks, net of fills and of quotes on the move. A
market maker's quotes balance.
"""

import math

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar
from detectors.market_data.large_orders import LARGE_SIZES

THREE_LARGE_ORDERS = 3.0 * math.log(LARGE_SIZES)
"""The smallest sum that matters: three of the smallest orders that count. One is no layer."""

SCALE = 0.5
"""The smallest scale of the tail: half of such an order."""


def features(bar: Bar) -> Features | None:
    """Return the statistic of one bar; None without accounts, or before the book has both sides."""
    if bar.opened is None or bar.layered is None:
        return None
    return {"one_account_one_side_30s": bar.layered}


DETECTOR = Detector(
    name="layering",
    version=1,
    features=features,
    headline="one side of the book is being layered",
    phrases={
        "one_account_one_side_30s": "one account keeps placing large orders on one side that do not"
        " trade",
    },
    statistics={
        "one_account_one_side_30s": Statistic("plain", floor=THREE_LARGE_ORDERS, unit=SCALE)
    },
)
