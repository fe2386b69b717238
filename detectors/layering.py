"""One account that keeps placing large orders on one side of the book (layering).

The statistic is the largest sum of one account: its large orders of the last seconds, each as a
share of the usual depth and at most a tenth of it, bids against asks, net of fills and of quotes
on the move. A market maker's quotes balance.
"""

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

TWO_LARGE_ORDERS = 0.2
"""The smallest sum that matters: two of the largest orders that count. One is no layer."""

SCALE = 0.02
"""The smallest scale of the tail: a fifth of the largest order that counts."""


def features(bar: Bar) -> Features | None:
    """Return the statistic of one bar; None until the usual depth is known."""
    if bar.opened is None or bar.usual_depth <= 0.0:
        return None
    return {"one_account_one_side_15s": bar.layered}


DETECTOR = Detector(
    name="layering",
    version=1,
    features=features,
    headline="one side of the book is being layered",
    phrases={
        "one_account_one_side_15s": "one account has placed {value:.0%} of the usual depth in large"
        " orders on one side",
    },
    statistics={"one_account_one_side_15s": Statistic("plain", floor=TWO_LARGE_ORDERS, unit=SCALE)},
)
