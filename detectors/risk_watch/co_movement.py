"""How the symbols of a venue follow each other: their returns of a day, and which moves first."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from detectors.market_data.book_summary import BookSummary
from detectors.risk.contagion.lead_lag import LeadLag, lead_lag
from detectors.risk.contagion.stress_beta import stress_betas
from detectors.risk.contagion.triggered import Betas
from detectors.table import Floats, Ints

MINUTE_NS = 60_000_000_000
DAY_MINUTES = 1_440

LEAST_MINUTES = 30
"""Fewer minutes teach no betas."""

GRID_SECONDS = (0.0, 1.0, -1.0, 2.0, -2.0, 5.0, -5.0, 10.0, -10.0, 30.0, -30.0)
"""The lags that prices of whole seconds can tell apart."""

SECONDS = 900
"""How many mid prices, one a second, the lag is found from: a quarter of an hour."""


class CoMovement:
    """Returns of one minute of all symbols over a day, and their prices of a quarter of an hour.

    Examples
    --------
    >>> CoMovement().betas(["X", "Y"]) is None
    True
    """

    __slots__ = ("_betas", "_last", "_mids", "_minutes")

    def __init__(self) -> None:
        self._minutes: deque[dict[str, float]] = deque(maxlen=DAY_MINUTES)
        self._last: dict[str, float] = {}
        self._mids: dict[str, deque[tuple[int, float]]] = {}
        self._betas: tuple[tuple[str, ...], Betas | None] | None = None

    def add(self, ts_event: int, summaries: Mapping[str, BookSummary]) -> None:
        """Take the summaries of the second that ends at ``ts_event``."""
        for symbol, summary in summaries.items():
            mids = self._mids.setdefault(symbol, deque(maxlen=SECONDS))
            mids.append((ts_event, math.log(summary.mid)))
        if ts_event % MINUTE_NS == 0:
            now = {symbol: mids[-1][1] for symbol, mids in self._mids.items()}
            if self._last:
                self._minutes.append(
                    {symbol: mid - self._last.get(symbol, mid) for symbol, mid in now.items()}
                )
            self._last, self._betas = now, None

    def betas(self, symbols: Sequence[str]) -> Betas | None:
        """Return how the symbols follow each other; None before there are minutes enough.

        A symbol without a price in a minute did not move in it.
        """
        wanted = tuple(symbols)
        if self._betas is None or self._betas[0] != wanted:
            found = None
            if len(self._minutes) >= LEAST_MINUTES:
                returns = [[row.get(symbol, 0.0) for symbol in wanted] for row in self._minutes]
                found = stress_betas(np.array(returns, dtype=np.float64))
            self._betas = wanted, found
        return self._betas[1]

    def lag(self, first: str, second: str) -> LeadLag:
        """Return by how much the second symbol follows the first, to a second."""
        return lead_lag(*self._series(first), *self._series(second), GRID_SECONDS)

    def _series(self, symbol: str) -> tuple[Ints, Floats]:
        mids = self._mids.get(symbol, ())
        times = np.array([at for at, _ in mids], dtype=np.int64)
        return times, np.array([price for _, price in mids], dtype=np.float64)
