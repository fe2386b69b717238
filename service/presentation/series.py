"""What a bar comes to as one row of numbers: what the console and reports plot over time."""

import math
from collections.abc import Sequence

from detectors.catalogue import ALARMING
from detectors.market_data.bar import NEAR_BAND, Bar
from detectors.market_data.leverage_baselines import excess_ratio, near_maximum_ratio
from detectors.symbol import Signal

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

Depths are notional in the quote currency within 25 bps of the mid, ``usual_depth`` on both sides
together. ``orders``, ``cancels`` and ``trades`` are numbers of events in the bar.
``leverage_excess_ratio`` is how far new orders of the last 15 s are above their accounts' own
habits (0.1: by a tenth, as the geometric mean weighted by notional), ``near_maximum_ratio`` the
share of new leveraged notional over the last minute that is near the venue's maximum. Scores are in
standard deviations. What a bar does not have is NaN.
"""

STRESSED = 0.9
"""Stress that is worth a word, though no alarm: at this a symbol beyond the bound gets a place."""

_NAN = math.nan


def row(bar: Bar, signal: Signal) -> Sequence[float]:
    """A bar and what the detectors made of it, in the order of COLUMNS."""
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
