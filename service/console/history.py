"""The recent past of symbols, in memory that does not grow: a ring of bars each, and incidents."""

import struct
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.incidents.alerts import Alert
from detectors.market_data.bar import Bar
from detectors.symbol import Signal
from service.pipeline.output import Output
from service.presentation.incidents import Incident, fold
from service.presentation.series import COLUMNS, STRESSED, row

BARS = 900
"""Bars kept of a symbol: a quarter of an hour, at a second each."""

SYMBOLS = 300
"""Symbols whose bars are kept: 20 MB at the most."""

INCIDENTS = 200
"""Incidents kept, open and resolved; what is open is known from elsewhere, too."""

DTYPE = np.dtype(
    [("ts_event", "<i8"), ("mid", "<f8"), *((name, "<f4") for name in COLUMNS if name != "mid")]
)
_pack = struct.Struct(f"<qd{len(COLUMNS) - 1}f").pack
_LARGEST = 3.4e38


class Ring:
    """The latest bars of one symbol, at most so many.

    Parameters
    ----------
    bars
        How many.
    number
        The partition of the symbol.

    Examples
    --------
    >>> ring = Ring(2)
    >>> for ts_event in (1, 2, 3):
    ...     ring.add(ts_event, [float(ts_event)] * len(COLUMNS))
    >>> ring.rows()["mid"].tolist()
    [2.0, 3.0]
    """

    __slots__ = ("_bars", "_bytes", "_next", "number", "stress_ratio")

    def __init__(self, bars: int, number: int = 0) -> None:
        self.number = number
        self._bars = bars
        self._bytes = bytearray()
        self._next = 0
        self.stress_ratio = 0.0

    def add(self, ts_event: int, values: Sequence[float]) -> None:
        """Take a bar that closed at ``ts_event``, with its values in the order of COLUMNS."""
        try:
            packed = _pack(ts_event, *values)
        except OverflowError:  # beyond single precision: drawn as the largest that is not
            packed = _pack(ts_event, *(max(-_LARGEST, min(_LARGEST, value)) for value in values))
        size = len(packed)
        if len(self._bytes) < self._bars * size:
            self._bytes += packed
            return
        self._bytes[self._next : self._next + size] = packed
        self._next = (self._next + size) % len(self._bytes)

    def rows(self) -> NDArray[Any]:
        """A copy of the bars, the oldest first, as an array with the fields of DTYPE."""
        return np.frombuffer(self._bytes[self._next :] + self._bytes[: self._next], DTYPE)


class History:
    """What the console remembers of the symbols that a process watches.

    Parameters
    ----------
    bars
        Bars kept of a symbol.
    symbols
        Symbols whose bars are kept. A symbol beyond that takes the place of the calmest once it
        is stressed itself.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        bars: int = BARS,
        symbols: int = SYMBOLS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rings: dict[str, Ring] = {}
        self.incidents: dict[str, Incident] = {}
        self._last_bar_at: float | None = None
        self._bars = bars
        self._symbols = symbols
        self._clock = clock

    def owns(self, numbers: Collection[int]) -> None:
        """Forget the bars and the open incidents of partitions that others have from now on."""
        self.rings = {symbol: its for symbol, its in self.rings.items() if its.number in numbers}
        self.incidents = {
            alert_id: its
            for alert_id, its in self.incidents.items()
            if its.ended is not None or its.number in numbers
        }

    def take(self, number: int, output: Output) -> None:
        """Remember what a step of a partition gave rise to."""
        if output.bars:
            self._last_bar_at = self._clock()
            for bar, signal in output.bars:
                self._add(number, bar, signal)
        for alert in output.alerts:
            fold(self.incidents, alert, number)
            self._forget_incidents()
        for symbol in output.forgotten:
            self.rings.pop(symbol, None)

    @property
    def silent_seconds(self) -> float | None:
        """For how long no bar has closed, by the clock; None before the first."""
        return None if self._last_bar_at is None else self._clock() - self._last_bar_at

    def known_incidents(
        self, open_alerts: Mapping[int, Sequence[Alert] | None]
    ) -> Sequence[Incident]:
        """The incidents to tell of: those that are open, and the ended ones that are remembered.

        ``open_alerts`` is what is open in each partition that is owned, None while that is not
        known. Of a partition for which nothing is known, such as all while Kafka is not connected,
        what was open last is open still.
        """
        still = {alert.alert_id for alerts in open_alerts.values() for alert in alerts or ()}
        incidents = {
            alert_id: its
            for alert_id, its in self.incidents.items()
            if its.ended is not None or alert_id in still or open_alerts.get(its.number) is None
        }
        for number, alerts in open_alerts.items():
            for alert in alerts or ():
                # A restart brought it back, or it was one of too many to remember.
                if alert.alert_id not in incidents:
                    fold(incidents, alert, number)
        return list(incidents.values())

    def _forget_incidents(self) -> None:
        """Down to the bound: the oldest that is resolved, or the oldest of all."""
        if len(self.incidents) > INCIDENTS:
            ended = (i for i, its in self.incidents.items() if its.ended is not None)
            del self.incidents[next(ended, next(iter(self.incidents)))]

    def _add(self, number: int, bar: Bar, signal: Signal) -> None:
        ring = self.rings.get(bar.symbol)
        stress = signal.stress_ratio or 0.0
        if ring is None:
            if len(self.rings) >= self._symbols:
                if stress < STRESSED:
                    return
                calmest = min(self.rings, key=lambda symbol: self.rings[symbol].stress_ratio)
                if self.rings[calmest].stress_ratio >= stress:
                    return
                del self.rings[calmest]
            ring = self.rings[bar.symbol] = Ring(self._bars, number)
        ring.stress_ratio = stress
        ring.add(bar.ends_at, row(bar, signal))
