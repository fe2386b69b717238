"""Liquidity that is withdrawn faster than it is replaced.

The statistic of a span of time is (C - O) / sqrt(C + O + 1) for its cancels C and orders O: the
difference of two Poisson counts in units of its own noise (Skellam, 1946). It is compared with its
median over the last hour. Gross measures (the hazard of cancellation, the withdrawn notional) find
less, and alarm in a market that is only busy.
"""

from detectors.detector import NET, Detector, Features, net_withdrawal
from detectors.market_data.bar import Bar
from detectors.market_data.windows import NET_SECONDS

NET_WITHDRAWALS = tuple(f"net_withdrawal_{seconds}s" for seconds in NET_SECONDS)


def features(bar: Bar) -> Features | None:
    """Return the statistics of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    spans = zip(NET_WITHDRAWALS, bar.recent.net, strict=True)
    return {name: net_withdrawal(orders, cancels) for name, (orders, cancels) in spans}


_net = "cancels exceed new orders by {value:.1f} standard deviations"

DETECTOR = Detector(
    name="cancel_burst",
    version=4,
    features=features,
    headline="liquidity is being withdrawn",
    phrases={
        "net_withdrawal_3s": _net + " over 3 s (usually {expected:.1f})",
        "net_withdrawal_20s": _net + " over 20 s (usually {expected:.1f})",
        "net_withdrawal_60s": _net + " over 60 s (usually {expected:.1f})",
    },
    headlines={"net_withdrawal_60s": "the order book is being emptied"},
    statistics=dict.fromkeys(NET_WITHDRAWALS, NET),
)
