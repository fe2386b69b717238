"""The recent bars of symbols, in ring buffers of bounded memory, and the recent incidents."""

import struct
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.closing import Signal
from detectors.incidents.alerts import Alert
from detectors.market_data.bar import Bar
from service.pipeline.output import Output
from service.presentation.incidents import Incident, fold
from service.presentation.series import COLUMNS, STRESSED, row

BARS = 900
"""Bars kept per symbol: 15 minutes at 1 s per bar."""

SYMBOLS = 300
"""Symbols whose bars are kept: at most 20 MB."""

INCIDENTS = 200
"""Incidents kept, open and resolved; the partitions know all open ones too."""

DTYPE = np.dtype(
    [("ts_event", "<i8"), ("mid", "<f8"), *((name, "<f4") for name in COLUMNS if name != "mid")]
)
_pack = struct.Struct(f"<qd{len(COLUMNS) - 1}f").pack
_LARGEST = 3.4e38


class Ring:
    """The latest bars of one symbol, in a ring buffer.

    Parameters
    ----------
    bars
        Highest number of bars.
    number
        Partition number of the symbol.

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
        """Add a bar that closed at ``ts_event``, with its values in the order of COLUMNS."""
        try:
            packed = _pack(ts_event, *values)
        except OverflowError:  # beyond single precision: limited to its largest value
            packed = _pack(ts_event, *(max(-_LARGEST, min(_LARGEST, value)) for value in values))
        size = len(packed)
        if len(self._bytes) < self._bars * size:
            self._bytes += packed
            return
        self._bytes[self._next : self._next + size] = packed
        self._next = (self._next + size) % len(self._bytes)

    def rows(self) -> NDArray[Any]:
        """Return a copy of the bars, the oldest first, as an array with the fields of DTYPE."""
        return np.frombuffer(self._bytes[self._next :] + self._bytes[: self._next], DTYPE)


class History:
    """The history of the symbols that this process watches, for the console.

    Parameters
    ----------
    bars
        Bars kept per symbol.
    symbols
        Symbols whose bars are kept. Above this limit, a symbol under stress replaces the calmest
        one.
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
        """Keep only these partitions: drop the bars and open incidents of all others."""
        self.rings = {symbol: ring for symbol, ring in self.rings.items() if ring.number in numbers}
        self.incidents = {
            alert_id: incident
            for alert_id, incident in self.incidents.items()
            if incident.ended is not None or incident.number in numbers
        }

    def take(self, number: int, output: Output) -> None:
        """Add the output of a partition's step."""
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
        """Time since a bar closed, by the clock; None before the first bar."""
        return None if self._last_bar_at is None else self._clock() - self._last_bar_at

    def known_incidents(
        self, open_alerts: Mapping[int, Sequence[Alert] | None]
    ) -> Sequence[Incident]:
        """Return the open incidents and the ended ones that are kept.

        ``open_alerts`` holds the open alerts of each owned partition, None while unknown. In a
        partition with unknown alerts, the incidents that were open last count as open. All
        partitions are unknown while Kafka is not connected.
        """
        open_ids = {alert.alert_id for alerts in open_alerts.values() for alert in alerts or ()}
        incidents = {
            alert_id: incident
            for alert_id, incident in self.incidents.items()
            if incident.ended is not None
            or alert_id in open_ids
            or open_alerts.get(incident.number) is None
        }
        for number, alerts in open_alerts.items():
            for alert in alerts or ():
                # Restored after a restart, or dropped because of the limit.
                if alert.alert_id not in incidents:
                    fold(incidents, alert, number)
        return list(incidents.values())

    def _forget_incidents(self) -> None:
        """Above the limit, drop the oldest resolved incident, or else the oldest of all."""
        if len(self.incidents) > INCIDENTS:
            ended = (i for i, incident in self.incidents.items() if incident.ended is not None)
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
