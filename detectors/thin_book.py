"""A book that has become thin near the mid price.

The features compare the logarithm of depth within 10 and 25 bps of the mid with its own baseline.
They use the depth of the bar and depth smoothed over 15 seconds, to show a gap as well as a slow
recovery (resilience: Kyle, 1985; Foucault, Kadan and Kandel, 2005). The spread shows the cost of
the next trade. ``fading_book`` covers changes that take minutes, on another time scale.
"""

import math
from functools import partial

from detectors.detector import Detector, Features, log_ratio
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import NEAR_BAND, Bar

UNIT_BPS = 1.0

SHALLOW = frozenset({"shallow_10bps", "shallow_25bps", "shallow_side_25bps", "shallow_15s"})
"""The features that rise as depth falls."""

MIN_DEPTH_RATIO = 0.05
"""The smallest share of the usual depth; a smaller share counts as this one. A quiet book may have
no depth within 10 bps."""

TYPICAL = {
    "shallow_10bps": 0.3,
    "shallow_25bps": 0.2,
    "shallow_side_25bps": 0.3,
    "shallow_15s": 0.17,
    "spread": 0.7,
}
"""Typical standard deviations: between a recorded hour of a large stock and simulated markets."""


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
    ten, twenty_five, _ = map(max, opened.depth, closed.depth)
    thinner = min(
        max(opened.bid_depth[NEAR_BAND], closed.bid_depth[NEAR_BAND]),
        max(opened.ask_depth[NEAR_BAND], closed.ask_depth[NEAR_BAND]),
    )
    return {
        "shallow_10bps": shallow(ten, usual),
        "shallow_25bps": shallow(twenty_five, usual),
        "shallow_side_25bps": shallow(thinner, usual),
        "shallow_15s": -bar.smooth_log_depth[0],
        "spread": log_ratio(min(opened.spread_bps, closed.spread_bps), UNIT_BPS),
    }


_shallow = "depth within {band} bps of the mid price is {{times:.1f}} times less than usual"

DETECTOR = Detector(
    name="thin_book",
    version=5,
    features=features,
    headline="the order book is thin",
    phrases={
        "shallow_10bps": _shallow.format(band=10),
        "shallow_25bps": _shallow.format(band=25),
        "shallow_side_25bps": "depth of the thinner side within 25 bps of the mid price is"
        " {times:.1f} times less than usual",
        "shallow_15s": "depth near the touch has been {times:.1f} times less than usual over 15 s",
        "spread": "the spread is {level:.1f} bps (usually {usual:.1f} bps)",
    },
    model=partial(Surprise, typical=TYPICAL, mean_noise_bars=60.0),
    logarithms=SHALLOW | {"spread"},
    turned=SHALLOW,
)
