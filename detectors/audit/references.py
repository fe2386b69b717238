"""The references of a symbol as columns, and the marks that may have held between two of them.

A venue checks margins more often than it publishes its mark price. What it saw at a time between
two references is within an interval: between both marks, and as far beyond as a path between them
goes by chance. A rule counts as broken only if it is broken for every mark of the interval.
"""

import math
from array import array
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from detectors.risk.mark_path import excursion
from detectors.table import Floats, Ints

EXCURSION_PROBABILITY = 1e-6
"""The probability that the true mark was beyond the interval."""

NEIGHBOURS = 10
"""References on each side from which the local volatility is taken."""

_SECOND = 1e9


class Interval(NamedTuple):
    """Marks, or index prices, that may have held at a time.

    ``near_low`` to ``near_high`` are those between the neighbouring references; ``low`` to ``high``
    is wider by the excursion of a path between them.
    """

    low: float
    near_low: float
    near_high: float
    high: float


class References:
    """The references of one symbol, in order; appended while the record is read.

    Attributes
    ----------
    ts_event
        In nanoseconds.
    stale
        1 where the venue itself holds the prices for too old.
    mark, index, open_interest, funding
        As published; NaN where a record leaves one out.
    mid, last
        Mid price and price of the last trade at that time, NaN while unknown.
    mid_mean, mid_low, mid_high
        Time-weighted mean, lowest and highest mid price since the reference before.
    """

    __slots__ = (
        "_volatility", "funding", "index", "last", "mark", "mid", "mid_high", "mid_low", "mid_mean",
        "open_interest", "stale", "ts_event",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts_event = array("q")
        self.stale = array("b")
        self.mark = array("d")
        self.index = array("d")
        self.open_interest = array("d")
        self.funding = array("d")
        self.mid = array("d")
        self.last = array("d")
        self.mid_mean = array("d")
        self.mid_low = array("d")
        self.mid_high = array("d")
        self._volatility: dict[str, Floats] = {}

    def __len__(self) -> int:
        """Return the number of references."""
        return len(self.ts_event)

    def times(self) -> Ints:
        """Return a copy of the times."""
        return np.array(self.ts_event, np.int64)

    def column(self, name: str) -> Floats:
        """Return a copy of a column of prices or rates."""
        return np.array(getattr(self, name), np.float64)

    def around(self, name: str, ts_event: int) -> Interval | None:
        """Return the interval of ``mark`` or ``index`` at a time; None if it is unknown.

        Use it only once all references are there.
        """
        times, column = self.ts_event, getattr(self, name)
        after = bisect_right(times, ts_event)
        if after == 0:
            return None
        before = after - 1
        left = column[before]
        right = column[after] if after < len(times) else left
        if math.isnan(left) or math.isnan(right):
            return None
        span = (times[after] - times[before]) / _SECOND if after < len(times) else 1.0
        variance = float(self._local_variance(name)[before]) * span
        beyond = excursion(math.log(right / left), variance, EXCURSION_PROBABILITY)
        low, high = min(left, right), max(left, right)
        return Interval(low * math.exp(-beyond), low, high, high * math.exp(beyond))

    def _local_variance(self, name: str) -> Floats:
        """Return the variance of the log price per second around each reference."""
        if name not in self._volatility:
            self._volatility[name] = _moving_variance(self.times(), self.column(name))
        return self._volatility[name]


def _moving_variance(times: Ints, prices: Floats) -> Floats:
    if len(prices) < 2:
        return np.zeros(len(prices))
    spans = np.maximum(np.diff(times) / _SECOND, 1e-3)
    with np.errstate(invalid="ignore"):
        squared = np.diff(np.log(prices)) ** 2
    known = np.isfinite(squared)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, squared, 0.0))])
    time = np.concatenate([[0.0], np.cumsum(np.where(known, spans, 0.0))])
    place = np.arange(len(prices))
    first = np.maximum(place - NEIGHBOURS, 0)
    last = np.minimum(place + NEIGHBOURS, len(squared))
    summed = time[last] - time[first]
    variance: Floats = np.where(
        summed > 0.0, (total[last] - total[first]) / np.maximum(summed, 1e-9), 0.0
    )
    return np.maximum(variance, 0.0)
