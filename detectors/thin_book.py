"""A book that has become thin near the mid price.

The statistics compare the logarithm of depth within five typical spreads with its usual value, for
the depth of the bar and for depth smoothed over 15 seconds, to show a gap as well as a slow
recovery (resilience: Kyle, 1985; Foucault, Kadan and Kandel, 2005). The spread shows the cost of
the next trade. ``cancel_burst`` sees a book that is being emptied; ``fading_book`` covers changes
that take minutes.
"""

import math

from detectors.detector import Detector, Features, log_ratio
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import WIDEST_SPREAD_BPS, Bar

SHALLOW = frozenset({"shallow_near", "shallow_15s"})
"""The features that rise as depth falls."""

MIN_DEPTH_RATIO = 0.001
"""The smallest share of the usual depth; a smaller share counts as this one. A quiet book may have
no depth near the touch."""

HALF = math.log(2.0)
"""The smallest fall of depth, and the smallest rise of the spread, that matters: by a half, and to
twice."""

SCALE = 0.1
"""The smallest scale of the tails: a tenth of the depth."""

SHALLOW_TAIL = Statistic("plain", floor=HALF, unit=SCALE, cap=-math.log(MIN_DEPTH_RATIO))


def shallow(depth: float, usual: float) -> float:
    """Return the logarithm of ``usual`` / ``depth``, bounded by `MIN_DEPTH_RATIO`."""
    return -math.log(max(depth / usual, MIN_DEPTH_RATIO))


def features(bar: Bar) -> Features | None:
    """Return the features of one bar; None until the book has had both sides."""
    if bar.closed is None or bar.opened is None or bar.usual_depth <= 0.0:
        return None
    opened, closed = bar.opened, bar.closed
    usual = bar.usual_depth
    # A quote that moves from one price to the next leaves a gap. This gap is not a finding, so the
    # depth of a bar is the larger depth of its two ends.
    near = max(opened.near_depth, closed.near_depth)
    x: Features = {
        "shallow_near": shallow(near, usual),
        "shallow_15s": -bar.smooth_log_depth[0],
    }
    spread = min(opened.spread_bps, closed.spread_bps)
    if spread < WIDEST_SPREAD_BPS:  # an empty side says nothing of how dear the next trade is
        x["spread"] = log_ratio(spread, bar.typical_spread)
    return x


DETECTOR = Detector(
    name="thin_book",
    version=6,
    features=features,
    headline="the order book is thin",
    phrases={
        "shallow_near": "depth within five typical spreads of the mid price is {times:.1f} times"
        " less than usual",
        "shallow_15s": "depth near the touch has been {times:.1f} times less than usual over 15 s",
        "spread": "the spread is {times:.1f} times the typical one",
    },
    statistics={
        "shallow_near": SHALLOW_TAIL,
        "shallow_15s": SHALLOW_TAIL,
        "spread": Statistic("plain", floor=HALF, unit=SCALE),
    },
    logarithms=SHALLOW | {"spread"},
    turned=SHALLOW,
)
