"""The prices of each symbol in the last eleven minutes, a row a second."""

import math

import numpy as np

from detectors.fairness.mark_windows import Path
from detectors.table import Floats

SECONDS = 720
"""How long prices are kept: five minutes after a liquidation, and what is needed before it."""

MOST_SYMBOLS = 2_000
"""How many symbols have a path: those that came first."""

SECOND_NS = 1_000_000_000


class PricePaths:
    """Mid, last, index and mark price of symbols at the end of each second.

    It takes 29 kB for each symbol.
    """

    __slots__ = ("_last", "_rows")

    def __init__(self) -> None:
        self._rows: dict[str, Floats] = {}
        self._last: dict[str, float] = {}

    def traded(self, symbol: str, price: float) -> None:
        """Note the price of the last trade."""
        self._last[symbol] = price

    def note(self, ts_event: int, symbol: str, mid: float, index: float, mark: float) -> None:
        """Note the prices of a symbol at the end of a second; NaN where unknown."""
        rows = self._rows.get(symbol)
        if rows is None:
            if len(self._rows) >= MOST_SYMBOLS:
                return
            rows = self._rows[symbol] = np.full((SECONDS, 5), math.nan)
        last = self._last.get(symbol, math.nan)
        rows[ts_event // SECOND_NS % SECONDS] = (ts_event / SECOND_NS, mid, last, index, mark)

    def mid(self, symbol: str, ts_event: int) -> float:
        """Return the mid price at the end of the second before a time; NaN if it is unknown."""
        second = (ts_event - 1) // SECOND_NS
        rows = self._rows.get(symbol)
        if rows is None:
            return math.nan
        row = rows[second % SECONDS]
        return float(row[1]) if row[0] == float(second) else math.nan

    def path(self, symbol: str, since_ns: int, until_ns: int) -> Path | None:
        """Return the path between two times, both included; None if nothing is known of it."""
        rows = self._rows.get(symbol)
        if rows is None:
            return None
        times = rows[:, 0]
        with np.errstate(invalid="ignore"):
            within = np.flatnonzero(
                (times >= since_ns / SECOND_NS) & (times <= until_ns / SECOND_NS)
            )
        if not len(within):
            return None
        kept = rows[within[np.argsort(times[within])]]
        return Path(kept[:, 0], kept[:, 1], kept[:, 2], kept[:, 3], kept[:, 4])
