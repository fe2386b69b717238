"""Liquidity that is withdrawn faster than it is replaced.

The statistic of a span of time is (C - O) / sqrt(C + O + 1) for its cancels C and orders O: the
difference of two Poisson counts in units of its own noise (Skellam, 1946). It is compared with its
median over the last hour. Gross measures (the hazard of cancellation, the withdrawn notional) find
less, and alarm in a market that is only busy.
"""

from detectors.detector import NET, Detector, Features, net_withdrawal
from detectors.market_data.bar import Bar


def features(bar: Bar) -> Features | None:
    """Return the statistics of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    short, long, _ = bar.recent.net
    return {
        "net_withdrawal_3s": net_withdrawal(*short),
        "net_withdrawal_20s": net_withdrawal(*long),
    }


_net = "cancels exceed new orders by {value:.1f} standard deviations"

DETECTOR = Detector(
    name="cancel_burst",
    version=4,
    features=features,
    headline="liquidity is being withdrawn",
    phrases={
        "net_withdrawal_3s": _net + " over 3 s (usually {expected:.1f})",
        "net_withdrawal_20s": _net + " over 20 s (usually {expected:.1f})",
    },
    statistics={"net_withdrawal_3s": NET, "net_withdrawal_20s": NET},
)
