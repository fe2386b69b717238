"""A book that has been losing depth for minutes.

Makers that quote slightly less each time leave no gap that a single bar shows. The remaining book
absorbs less than it did an hour ago (the withdrawal of liquidity before the flash crash of 2010:
Easley, Lopez de Prado and O'Hara, 2011; Kirilenko, Kyle, Samadi and Tuzun, 2017). The features are
the logarithms of depth near the touch relative to its baseline, smoothed over one and five minutes.
Makers that leave for half a minute hardly change them. The detector is separate from ``thin_book``
because such makers would determine a common threshold.
"""

import math

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

A_THIRD = -math.log(2.0 / 3.0)
"""The smallest fall of depth that matters."""

SLOW = Statistic("plain", floor=A_THIRD, unit=0.05)


def features(bar: Bar) -> Features | None:
    """Return the features of one bar; None until the book has had both sides."""
    if bar.closed is None or bar.opened is None or bar.usual_depth <= 0.0:
        return None
    _, minute, five_minutes = bar.smooth_log_depth
    return {"shallow_60s": -minute, "shallow_300s": -five_minutes}


_smooth = "depth near the touch has been {times:.1f} times less than usual over "

DETECTOR = Detector(
    name="fading_book",
    version=2,
    features=features,
    headline="the order book is losing depth",
    phrases={
        "shallow_60s": _smooth + "a minute",
        "shallow_300s": _smooth + "five minutes",
    },
    statistics={"shallow_60s": SLOW, "shallow_300s": SLOW},
    logarithms=frozenset({"shallow_60s", "shallow_300s"}),
    turned=frozenset({"shallow_60s", "shallow_300s"}),
)
