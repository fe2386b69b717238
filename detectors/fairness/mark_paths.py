"""Mark prices recomputed along a path of prices."""

import numpy as np

from detectors.risk.mark_path import exponential, window_mean
from detectors.risk.marks import MarkRule
from detectors.table import Floats


def mark_along(
    rule: MarkRule,
    *,
    times: Floats,
    mid: Floats,
    last: Floats,
    index: Floats,
    between: Floats,
    mark: Floats,
    clamp: float,
) -> Floats:
    """Return the mark price that a rule gives at each time; NaN where it is unknown.

    An average starts from the published mark price, and then runs free.

    Parameters
    ----------
    rule
        The rule.
    times
        Rising times in seconds, at least one.
    mid, last, index, mark
        Mid price, last price, index price and published mark price; the mid price of a time counts
        for the span since the one before it.
    between
        The index price that the mid price of a span is compared with.
    clamp
        The largest premium, as a ratio.

    Examples
    --------
    A book that stands 1 % above the index from the second time on, and an average premium over
    1 s that starts at 0: 1 - e^-1 = 63 % of it is reached after a second.

    >>> index = np.array([100.0, 100.0])
    >>> mark_along(
    ...     MarkRule("ema_premium", 1.0), times=np.array([0.0, 1.0]), mid=np.array([100.0, 101.0]),
    ...     last=index, index=index, between=index, mark=index, clamp=0.05
    ... ).round(4).tolist()
    [100.0, 100.6321]
    """
    if rule.kind == "last":
        return last
    if rule.kind == "sma":
        return window_mean(times, mid, rule.seconds)
    if rule.kind == "ema_price":
        return exponential(times, mid, rule.seconds, mark[0])
    premium = exponential(times, mid / between - 1.0, rule.seconds, mark[0] / index[0] - 1.0)
    price: Floats = index * (1.0 + np.clip(premium, -clamp, clamp))
    return price
