"""Orders that are cancelled within milliseconds, far more of them than usual (quote stuffing).

Egginton, Van Ness and Van Ness (2016) describe it. The statistic counts the cancels of orders
younger than 50 ms over a span of time. Such counts are overdispersed: they are compared with their
own mean and variance over the last hour. Over two seconds it sees a burst, over thirty a loop that
goes on; the real bursts of a market are shorter. A market that is only busy has more of them too,
but it also trades more: trades explain orders.
"""

from detectors.detector import Detector, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

YOUNG = ("young_cancels_2s", "young_cancels_30s")

EXPLAINED = 3.0
"""Trades explain up to this many times the usual number of orders per trade."""

STUFFED_SHARE = 1.0 / 3.0
"""A smaller share of the orders that is cancelled at once stuffs nothing."""

TEN_CANCELS = 10.0
"""The smallest number that matters: fewer stuff nothing."""


def features(bar: Bar) -> Features | None:
    """Return the statistics of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    return dict(zip(YOUNG, bar.recent.young_cancels, strict=True))


def explained(bar: Bar) -> bool:
    """Whether the orders are explained: by trades, or because most of them stay.

    Trades explain at most three times as many orders as usual.
    """
    orders, trades = bar.recent.traded
    by_trades = EXPLAINED * bar.recent.usual.orders_per_trade * trades + TEN_CANCELS
    return orders < by_trades or bar.recent.young_cancels[-1] < STUFFED_SHARE * orders


_young = "{value:.0f} orders were cancelled within 50 ms of their arrival"

DETECTOR = Detector(
    name="quote_stuffing",
    version=1,
    features=features,
    explained=explained,
    headline="the book is stuffed with orders that are cancelled at once",
    phrases={
        "young_cancels_2s": _young + " over 2 s (usually {expected:.1f})",
        "young_cancels_30s": _young + " over 30 s (usually {expected:.1f})",
    },
    statistics={
        "young_cancels_2s": Statistic("count", floor=TEN_CANCELS, unit=0.1),
        "young_cancels_30s": Statistic("long_count", floor=TEN_CANCELS, unit=0.1),
    },
)
