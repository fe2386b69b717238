"""Collects the data of a report during a replay; its memory does not grow with the replay time."""

import math
from heapq import heappop, heappush, heapreplace

from msgspec import Struct

from detectors.closing import Signal
from detectors.market_data.bar import Bar
from service.pipeline.output import Output
from service.presentation.incidents import Incident, fold
from service.presentation.series import STRESSED, row
from service.report.envelope import Envelope
from service.report.risk import RiskCollected

SERIES = 400
"""Symbols whose series are kept. Above the limit, a stressed symbol replaces the calmest one."""


class SymbolSummary(Struct):
    """A symbol over the whole replay; times in nanoseconds."""

    symbol: str
    bars: int = 0
    events: float = 0.0
    first_ns: int = 0
    last_ns: int = 0
    first_mid: float = math.nan
    last_mid: float = math.nan
    peak_stress_ratio: float = -1.0
    peak_ns: int = 0


class Collected:
    """Collects the outputs of a replay.

    Parameters
    ----------
    bar_ns
        Length of a bar in nanoseconds.

    Attributes
    ----------
    symbols
        Summaries of all symbols, by name.
    series
        Plotted values, for at most ``SERIES`` symbols.
    risk
        How far a cascade was; empty if the replay had no positions.
    """

    def __init__(self, bar_ns: int) -> None:
        self.bar_ns = bar_ns
        self.symbols: dict[str, SymbolSummary] = {}
        self.series: dict[str, Envelope] = {}
        self.incidents: dict[str, Incident] = {}
        self.risk = RiskCollected()
        # A heap of the symbols with a series, by a peak of stress that they have reached.
        self._peaks: list[tuple[float, str]] = []

    def take(self, output: Output) -> None:
        """Add the output of a step."""
        for bar, signal in output.bars:
            self._add(bar, signal)
        for alert in output.alerts:
            fold(self.incidents, alert)

    def _add(self, bar: Bar, signal: Signal) -> None:
        summary = self.symbols.get(bar.symbol)
        if summary is None:
            summary = self.symbols[bar.symbol] = SymbolSummary(bar.symbol, first_ns=bar.starts_at)
        flow = bar.flow
        summary.bars += 1
        summary.events += flow.orders + flow.cancels + flow.trades
        summary.last_ns = bar.ends_at
        if bar.closed is not None:
            summary.last_mid = bar.closed.mid
            if math.isnan(summary.first_mid):
                summary.first_mid = bar.closed.mid
        stress = signal.stress_ratio
        if stress is not None and stress > summary.peak_stress_ratio:
            summary.peak_stress_ratio = stress
            summary.peak_ns = bar.ends_at
        series = self.series.get(bar.symbol) or self._place(bar.symbol, stress or 0.0)
        if series is not None:
            series.add(bar.ends_at // self.bar_ns, row(bar, signal))

    def _place(self, symbol: str, stress: float) -> Envelope | None:
        """Return a new series for a symbol; None if there is no room and its stress is too low."""
        if len(self.series) >= SERIES:
            if stress < STRESSED or self._calmest() >= stress:
                return None
            del self.series[heappop(self._peaks)[1]]
        heappush(self._peaks, (self.symbols[symbol].peak_stress_ratio, symbol))
        series = self.series[symbol] = Envelope()
        return series

    def _calmest(self) -> float:
        """Return the lowest peak of stress of the symbols with a series, and put it first.

        Peaks only rise. An outdated entry is corrected when it comes first.
        """
        while True:
            stored, symbol = self._peaks[0]
            peak = self.symbols[symbol].peak_stress_ratio
            if peak <= stored:
                return stored
            heapreplace(self._peaks, (peak, symbol))
