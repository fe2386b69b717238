r"""Liquidity withdrawn faster than it is placed.

A raw cancel ratio is a base rate, not a finding: on ordinary days over nine orders in ten are
cancelled. What stands out is the *net* withdrawal, by count

$$w_\tau = (C_\tau - O_\tau) / \sqrt{C_\tau + O_\tau + 1}$$

for cancels C and orders O over a span tau (the difference of two Poisson counts in units of its
own noise, Skellam, 1946), and by notional near the touch as a share of the depth that stood there
(the cancellation part of order flow imbalance: Cont, Kukanov and Stoikov, 2014, eq. 4). Cancels of
orders that hardly lived, against the trades they led to, show quote stuffing (Hasbrouck and Saar,
2009).
"""

import math

from detectors.bar import SPANS_SECONDS, Bar, Flow
from detectors.detector import Detector, Features, ratio
from detectors.surprise import Surprise

NET_WITHDRAWALS = tuple(f"net_withdrawal_{span}s" for span in SPANS_SECONDS)


def net_withdrawal(flow: Flow) -> float:
    """Cancels less orders, in units of the noise of their difference."""
    return (flow.cancels - flow.orders) / math.sqrt(flow.cancels + flow.orders + 1.0)


def depth_withdrawn(flow: Flow, bid_depth: float, ask_depth: float) -> float:
    """Net notional withdrawn near the touch on the worse side, as a share of its depth."""
    return max(
        ratio(flow.near_cancelled_bid - flow.near_placed_bid, bid_depth, 0.0),
        ratio(flow.near_cancelled_ask - flow.near_placed_ask, ask_depth, 0.0),
    )


def features(bar: Bar) -> Features | None:
    """The features of one bar; None until the book has had both sides."""
    if bar.opened is None:
        return None
    flow = bar.flow
    # A side that is thin already is measured against what usually stands there.
    usual = bar.usual_depth / 2.0
    bid_depth = max(bar.opened.bid_depth[1], usual)
    ask_depth = max(bar.opened.ask_depth[1], usual)
    placed = flow.near_placed_bid + flow.near_placed_ask
    cancelled = flow.near_cancelled_bid + flow.near_cancelled_ask
    x = {
        "cancel_hazard": ratio(cancelled, bid_depth + ask_depth + placed, 0.0),
        "depth_withdrawn": depth_withdrawn(flow, bid_depth, ask_depth),
        "net_withdrawal": net_withdrawal(flow),
    }
    for name, sums in zip(NET_WITHDRAWALS, bar.spans, strict=True):
        x[name] = net_withdrawal(sums)
    five, fifteen = bar.spans[0], bar.spans[1]
    x["depth_withdrawn_5s"] = depth_withdrawn(five, bid_depth, ask_depth)
    x["young_cancels_per_trade_15s"] = math.log(
        (fifteen.young_cancels + 10.0) / (fifteen.trades + 10.0)
    )
    return x


_net = "cancels outnumber new orders by {value:.1f} standard deviations"

DETECTOR = Detector(
    name="cancel_burst",
    version=1,
    features=features,
    phrases={
        "cancel_hazard": "{value:.0%} of the liquidity near the touch was cancelled within the bar"
        " (usually {expected:.0%})",
        "depth_withdrawn": "one side lost {value:.0%} of its depth near the touch, net of new"
        " orders (usually {expected:.0%})",
        "depth_withdrawn_5s": "one side lost {value:.0%} of its depth near the touch over 5 s, net"
        " of new orders (usually {expected:.0%})",
        "net_withdrawal": _net + " (usually {expected:.1f})",
        "net_withdrawal_5s": _net + " over 5 s (usually {expected:.1f})",
        "net_withdrawal_15s": _net + " over 15 s (usually {expected:.1f})",
        "net_withdrawal_60s": _net + " over 60 s (usually {expected:.1f})",
        "young_cancels_per_trade_15s": "orders cancelled within half a second are {times:.1f} times"
        " as many a trade as usual over 15 s",
    },
    model=Surprise,
)
