"""How the symbols of a venue follow each other: their returns of a day, and which moves first."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from detectors.market_data.book_summary import BookSummary
from detectors.risk.contagion.lead_lag import LeadLag, lead_lag
from detectors.risk.contagion.stress_beta import stress_betas
from detectors.risk.contagion.triggered import Betas
from detectors.risk_watch.flow_history import packed, unpacked
from detectors.table import Floats, Ints

MINUTE_NS = 60_000_000_000
DAY_MINUTES = 1_440

LEAST_MINUTES = 30
"""Fewer minutes teach no betas."""

GRID_SECONDS = (0.0, 1.0, -1.0, 2.0, -2.0, 5.0, -5.0, 10.0, -10.0, 30.0, -30.0)
"""The lags that prices of whole seconds can tell apart."""

SECONDS = 900
"""How many mid prices, one a second, the lag is found from: a quarter of an hour."""


class MinuteReturns(Struct):
    """The returns of one symbol as they are kept for a successor.

    ``minutes`` are int32, counted since 1970, ``returns`` float64.
    """

    minutes: bytes
    returns: bytes


class CoMovement:
    """Returns of one minute of all symbols over a day, and their prices of a quarter of an hour.

    Examples
    --------
    >>> CoMovement().betas(["X", "Y"]) is None
    True
    """

    __slots__ = ("_betas", "_last", "_mids", "_minutes")

    def __init__(self) -> None:
        # The returns by minute since 1970, in its order.
        self._minutes: dict[int, dict[str, float]] = {}
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
                self._put(
                    ts_event // MINUTE_NS,
                    {its: mid - self._last[its] for its, mid in now.items() if its in self._last},
                )
            self._last, self._betas = now, None

    def _put(self, minute: int, returns: Mapping[str, float]) -> None:
        """Add to a minute; one that was restored is written again with what it was."""
        self._minutes[minute] = {**self._minutes.get(minute, {}), **returns}
        if len(self._minutes) > DAY_MINUTES:
            del self._minutes[min(self._minutes)]

    def state(self, symbol: str) -> MinuteReturns:
        """Return the returns of a symbol."""
        rows = [(its, row[symbol]) for its, row in self._minutes.items() if symbol in row]
        minutes = np.array([minute for minute, _ in rows], dtype="<i4")
        return MinuteReturns(minutes.tobytes(), packed(value for _, value in rows))

    def restore(self, states: Mapping[str, MinuteReturns]) -> None:
        """Continue with the returns of all symbols. Raises ValueError if columns do not fit."""
        for symbol, state in states.items():
            minutes = np.frombuffer(state.minutes, dtype="<i4").tolist()
            for minute, value in zip(minutes, unpacked(state.returns), strict=True):
                self._minutes.setdefault(minute, {})[symbol] = value
        self._minutes = dict(sorted(self._minutes.items())[-DAY_MINUTES:])

    def betas(self, symbols: Sequence[str]) -> Betas | None:
        """Return how the symbols follow each other; None before there are minutes enough.

        A symbol without a price in a minute did not move in it.
        """
        wanted = tuple(symbols)
        if self._betas is None or self._betas[0] != wanted:
            found = None
            if len(self._minutes) >= LEAST_MINUTES:
                returns = [
                    [row.get(symbol, 0.0) for symbol in wanted] for row in self._minutes.values()
                ]
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
