r"""Liquidity that is withdrawn faster than it is placed, and orders not meant to trade.

A raw cancel ratio is a base rate, not a finding: on ordinary days over nine orders in ten are
cancelled. The finding is the *net* withdrawal by count

$$w_\tau = (C_\tau - O_\tau) / \sqrt{C_\tau + O_\tau + 1}$$

for cancels C and orders O over a span tau (the difference of two Poisson counts in units of its
own noise, Skellam, 1946). Cancels of very young orders relative to trades show quote stuffing
(Egginton, Van Ness and Van Ness, 2016). An account that keeps placing large orders on one side,
net of its fills, shows layering. Gross measures (the hazard of cancellation, the withdrawn
notional) find less and raise alarms in a market that is only busy.
"""

import math
from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import SPANS_SECONDS, Bar, Flow

COUNT_OFFSET = 10.0
"""The number added to counts before they are compared: smaller counts are noise."""

BALANCED = 0.2
"""The value added to the one-sidedness before its logarithm is taken. Below it are only makers."""

NET_WITHDRAWALS = tuple(f"net_withdrawal_{span}s" for span in SPANS_SECONDS)

TYPICAL = {
    "net_withdrawal_5s": 0.7,
    "net_withdrawal_15s": 0.9,
    "net_withdrawal_60s": 1.1,
    "young_cancels_per_trade_15s": 0.4,
    "one_account_one_side_15s": 0.1,
}
"""Typical standard deviations: between a recorded hour of a large stock and simulated markets."""


def net_withdrawal(flow: Flow) -> float:
    """Return cancels minus orders, in units of the noise of their difference."""
    return (flow.cancels - flow.orders) / math.sqrt(flow.cancels + flow.orders + 1.0)


def features(bar: Bar) -> Features | None:
    """Return the features of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    x: Features = {
        name: net_withdrawal(sums) for name, sums in zip(NET_WITHDRAWALS, bar.spans, strict=True)
    }
    fifteen = bar.spans[1]
    x["young_cancels_per_trade_15s"] = math.log(
        (fifteen.young_cancels + COUNT_OFFSET) / (fifteen.trades + COUNT_OFFSET)
    )
    x["one_account_one_side_15s"] = math.log(BALANCED + bar.one_sided)
    return x


_net = "cancels exceed new orders by {value:.1f} standard deviations"

DETECTOR = Detector(
    name="cancel_burst",
    version=3,
    features=features,
    headline="liquidity is being withdrawn",
    headlines={
        "young_cancels_per_trade_15s": "the book is stuffed with orders that are cancelled at once",
        "one_account_one_side_15s": "one side of the book is being layered",
    },
    phrases={
        "net_withdrawal_5s": _net + " over 5 s (usually {expected:.1f})",
        "net_withdrawal_15s": _net + " over 15 s (usually {expected:.1f})",
        "net_withdrawal_60s": _net + " over 60 s (usually {expected:.1f})",
        "young_cancels_per_trade_15s": "cancels within 50 ms per trade are {times:.1f} times the"
        " usual number over 15 s",
        "one_account_one_side_15s": "one account keeps placing large orders on one side only",
    },
    model=partial(Surprise, typical=TYPICAL, mean_noise_bars=60.0),
    logarithms=frozenset({"young_cancels_per_trade_15s", "one_account_one_side_15s"}),
)
