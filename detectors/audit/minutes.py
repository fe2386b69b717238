"""Calm and stress: what each minute of a symbol's market cost those who traded in it."""

import math
from array import array
from collections import Counter
from collections.abc import Mapping

import numpy as np

from detectors.table import Flags, Floats

MINUTE_NS = 60_000_000_000
_PER_OCTAVE = 16
"""Bins of a latency between one power of two and the next: a bin is 4.4 % wide."""


class Latencies:
    """Counts latencies in bins of equal ratio.

    >>> its = Latencies()
    >>> for ns in [1_000] * 98 + [5_000_000] * 2:
    ...     its.add(ns)
    >>> its.count, round(its.quantile_ms(0.5), 4), round(its.quantile_ms(0.99), 1)
    (100, 0.001, 5.0)
    """

    __slots__ = ("_bins", "count")

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.count = 0

    def add(self, latency_ns: int) -> None:
        """Count a latency; one below a nanosecond counts as one."""
        self._bins[round(math.log2(max(latency_ns, 1)) * _PER_OCTAVE)] += 1
        self.count += 1

    def merge(self, other: "Latencies") -> None:
        """Add the counts of another."""
        self._bins.update(other.bins())
        self.count += other.count

    def bins(self) -> Mapping[int, int]:
        """Return the counts by bin."""
        return self._bins

    def quantile_ms(self, share: float) -> float:
        """Return a quantile in milliseconds, to half a bin; NaN without any."""
        wanted, seen = share * self.count, 0
        for place in sorted(self._bins):
            seen += self._bins[place]
            if seen >= wanted:
                return float(2.0 ** (place / _PER_OCTAVE)) / 1e6
        return math.nan


class Minutes:
    """The minutes of one symbol, one after the other.

    A minute is one of stress if the venue closed a position in it by force. All others are calm.

    Attributes
    ----------
    number
        Of each minute with something in it, since 1970.
    is_stress
        1 for a minute of stress.
    spread_bps, shortfall_bps, latency_ms
        Mean spread at the references; mean of what ordinary market orders paid more than the mid
        price at their arrival, weighted with their notional; 99 % quantile of the time from receipt
        to answer. NaN if unknown.
    pieces
        Trades for each ordinary market order, as a mean.
    answers
        Latencies of orders by whether the minute was one of stress.
    """

    __slots__ = (
        "_answers", "_cost", "_forced", "_notional", "_now", "_orders", "_seen", "_spread",
        "_spreads", "_trades", "answers", "is_stress", "latency_ms", "number", "pieces",
        "shortfall_bps", "spread_bps",
    )  # fmt: skip

    def __init__(self) -> None:
        self.number = array("q")
        self.is_stress = array("b")
        self.spread_bps = array("d")
        self.shortfall_bps = array("d")
        self.latency_ms = array("d")
        self.pieces = array("d")
        self.answers: Mapping[bool, Latencies] = {False: Latencies(), True: Latencies()}
        self._now = 0
        self._begin()

    def _begin(self) -> None:
        self._forced = self._seen = False
        self._spread = self._cost = self._notional = 0.0
        self._spreads = self._orders = self._trades = 0
        self._answers = Latencies()

    def pass_time(self, ts_event: int) -> None:
        """End the minutes before a time."""
        now = ts_event // MINUTE_NS
        if now > self._now:
            self.close()
            self._now = now

    def close(self) -> None:
        """End the present minute."""
        if self._seen:
            self.number.append(self._now)
            self.is_stress.append(self._forced)
            self.spread_bps.append(self._spread / self._spreads if self._spreads else math.nan)
            cost = self._cost / self._notional if self._notional else math.nan
            self.shortfall_bps.append(cost)
            self.latency_ms.append(self._answers.quantile_ms(0.99))
            self.pieces.append(self._trades / self._orders if self._orders else math.nan)
            self.answers[self._forced].merge(self._answers)
        self._begin()

    def on_spread(self, spread_bps: float) -> None:
        """Take the spread at a reference."""
        self._seen = True
        self._spread += spread_bps
        self._spreads += 1

    def on_slice(self) -> None:
        """Note that a position is closed by force."""
        self._seen = self._forced = True

    def on_taker(self, shortfall_bps: float, notional: float, trades: int) -> None:
        """Take what an ordinary market order paid."""
        self._seen = True
        self._cost += shortfall_bps * notional
        self._notional += notional
        self._orders += 1
        self._trades += trades

    def on_answer(self, latency_ns: int) -> None:
        """Take the time from the receipt of an order to its answer."""
        self._seen = True
        self._answers.add(latency_ns)

    def stress(self) -> Flags:
        """Return which minutes are of stress."""
        return np.array(self.is_stress, np.bool_)

    def column(self, name: str) -> Floats:
        """Return a copy of a column."""
        return np.array(getattr(self, name), np.float64)

    def stress_at(self, ts_event: int) -> bool:
        """Return whether the minute of a time is one of stress; after the last event."""
        place = int(np.searchsorted(np.array(self.number, np.int64), ts_event // MINUTE_NS))
        return (
            place < len(self.number)
            and self.number[place] == ts_event // MINUTE_NS
            and bool(self.is_stress[place])
        )
