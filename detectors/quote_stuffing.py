"""Orders that are cancelled within milliseconds, far more of them than usual (quote stuffing).

Egginton, Van Ness and Van Ness (2016) describe it. The statistic counts the cancels of orders
younger than 50 ms over two seconds. Such counts are overdispersed: they are compared with their own
mean and variance over the last hour (negative binomial).
"""

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

YOUNG = ("young_cancels_2s", "young_cancels_15s")

TEN_CANCELS = 10.0
"""The smallest count that matters: fewer stuff nothing."""


def features(bar: Bar) -> Features | None:
    """Return the statistic of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    return dict(zip(YOUNG, bar.recent.young_cancels, strict=True))


_young = "{value:.0f} orders were cancelled within 50 ms of their arrival"

DETECTOR = Detector(
    name="quote_stuffing",
    version=1,
    features=features,
    headline="the book is stuffed with orders that are cancelled at once",
    phrases={
        "young_cancels_2s": _young + " over 2 s (usually {expected:.1f})",
        "young_cancels_15s": _young + " over 15 s (usually {expected:.1f})",
    },
    statistics=dict.fromkeys(YOUNG, Statistic("count", floor=TEN_CANCELS, unit=0.1)),
)
