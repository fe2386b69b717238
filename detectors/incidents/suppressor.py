"""Suppression for one symbol: suppressed alarms are marked and counted, and stay in the signals."""

from msgspec.structs import replace

from detectors.detector import Detector
from detectors.incidents.kind import DRIFT
from detectors.incidents.suppression import ReasonKind, Suppression, limits, suppressed_because
from detectors.judging.surprise import Contribution
from detectors.market_data.bar import Bar
from detectors.scorer import Reading

SuppressedAlarms = dict[tuple[str, ReasonKind], int]
"""The number of suppressed alarms, by detector and kind of reason."""


class Suppressor:
    """Marks the suppressed alarms and drifts of one symbol.

    Parameters
    ----------
    symbol
        The symbol whose alarms it marks.
    suppression
        The overrides and maintenance windows.
    detectors
        The detectors that run on the symbol.
    counts
        The counters to increment; symbols may share them.
    """

    __slots__ = ("_counts", "_detectors", "_limits")

    def __init__(
        self,
        symbol: str,
        suppression: Suppression,
        detectors: tuple[Detector, ...],
        counts: SuppressedAlarms,
    ) -> None:
        names = (*(detector.name for detector in detectors), DRIFT)
        self._limits = {name: limits(suppression, symbol, name) for name in names}
        self._detectors = detectors
        self._counts = counts

    def mark(self, bar: Bar, readings: dict[str, Reading]) -> None:
        """Add the reason of the suppression to the suppressed readings of a bar."""
        for detector in self._detectors:
            name = detector.name
            reading = readings[name]
            if reading.alarm:
                reason = self._reason(name, detector, reading.contributions[0], bar)
                readings[name] = reading = replace(reading, suppressed=reason)
            if reading.drift:
                reason = self._reason(DRIFT, detector, reading.drift[0], bar)
                readings[name] = replace(reading, drift_suppressed=reason)

    def _reason(self, name: str, detector: Detector, top: Contribution, bar: Bar) -> str | None:
        suppressed = suppressed_because(self._limits[name], detector, top, bar.starts_at)
        if suppressed is None:
            return None
        self._counts[name, suppressed.kind] = self._counts.get((name, suppressed.kind), 0) + 1
        return suppressed.reason
