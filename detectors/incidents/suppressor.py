"""Suppression at work on one symbol: what nobody wants to hear is marked, counted and kept."""

from msgspec.structs import replace

from detectors.detector import Detector
from detectors.incidents.kind import DRIFT
from detectors.incidents.suppression import ReasonKind, Suppression, limits, suppressed_because
from detectors.judging.surprise import Contribution
from detectors.market_data.bar import Bar
from detectors.scorer import Reading

SuppressedAlarms = dict[tuple[str, ReasonKind], int]
"""How many alarms were suppressed, by detector and kind of reason."""


class Suppressor:
    """SymbolProgress the alarms and drifts of one symbol that are to have no effect.

    Parameters
    ----------
    symbol
        Whose they are.
    suppression
        What a team does not want to hear.
    detectors
        The detectors that watch the symbol.
    counts
        Where to count; symbols may share it.
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
        """Give the readings of a bar that are to have no effect the reason why."""
        for detector in self._detectors:
            name = detector.name
            reading = readings[name]
            if reading.alarm:
                why = self._why(name, detector, reading.contributions[0], bar)
                readings[name] = reading = replace(reading, suppressed=why)
            if reading.drift:
                why = self._why(DRIFT, detector, reading.drift[0], bar)
                readings[name] = replace(reading, drift_suppressed=why)

    def _why(self, name: str, detector: Detector, top: Contribution, bar: Bar) -> str | None:
        why = suppressed_because(self._limits[name], detector, top, bar.starts_at)
        if why is None:
            return None
        self._counts[name, why.kind] = self._counts.get((name, why.kind), 0) + 1
        return why.reason
