"""A bar as one row of numbers, for the plots of the console and the report."""

import math
from collections.abc import Sequence

from detectors.catalogue import ALARMING
from detectors.closing import Signal
from detectors.market_data.bar import NEAR_BAND, Bar
from detectors.market_data.leverage_baselines import excess_ratio, near_maximum_ratio

SCORES = tuple(f"score_{name}" for name in ALARMING)

COLUMNS = (
    "mid",
    "bid_depth",
    "ask_depth",
    "usual_depth",
    "orders",
    "cancels",
    "trades",
    "leverage_excess_ratio",
    "near_maximum_ratio",
    "stress_ratio",
    *SCORES,
)
"""The columns of a row.

Depths are notional in the quote currency within five typical spreads of the mid, ``usual_depth`` on
both sides together. ``orders``, ``cancels`` and ``trades`` are numbers of events in the bar.
``leverage_excess_ratio`` is the excess of the leverage of new orders of the last 15 s over the
baselines of their accounts (0.1: a tenth above, as the geometric mean weighted by notional).
``near_maximum_ratio`` is the share of new leveraged notional over the last minute that is near the
venue's maximum. Scores are minus the decimal logarithm of a p-value. A value that a
bar does not have is NaN.
"""

STRESSED = 0.9
"""Stress that is shown as raised, below an alarm. At this stress, a symbol above a limit of kept
symbols can replace the calmest one."""

_NAN = math.nan


def row(bar: Bar, signal: Signal) -> Sequence[float]:
    """Return the values of a bar and of the detectors' signal, in the order of COLUMNS."""
    flow = bar.flow
    closed = bar.closed
    if closed is None:
        book = (_NAN, _NAN, _NAN)
    else:
        book = (closed.mid, closed.bid_depth[NEAR_BAND], closed.ask_depth[NEAR_BAND])
    _, fifteen, minute = bar.spans
    stress = signal.stress_ratio
    readings = signal.detectors
    scores = [
        _NAN if name not in readings or (score := readings[name].score) is None else score
        for name in ALARMING
    ]
    return (
        *book,
        bar.usual_depth,
        flow.orders,
        flow.cancels,
        flow.trades,
        excess_ratio(fifteen),
        near_maximum_ratio(minute),
        _NAN if stress is None else stress,
        *scores,
    )
