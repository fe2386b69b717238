"""What order flow looks like, to compare the simulated exchange with recordings.

``python benchmarks/flow.py DIR...`` prints a table with a column for each directory of streams. It
looks at one symbol of each, the one with the most orders.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.market_data.bar import NEAR_BAND, WIDEST_SPREAD_BPS, Bar
from detectors.market_data.events import Cancel, Event, Order, Trade
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor
from service.scorecard.background import recorded_events
from service.scorecard.cells import markdown_table

SECOND_NS = 1_000_000_000


@dataclass
class Flow:
    """One symbol's flow, as lists of numbers."""

    seconds: Counter[tuple[str, int]] = field(default_factory=Counter)
    began_ns: int = 0
    ended_ns: int = 0
    sizes: array[float] = field(default_factory=lambda: array("d"))
    lifetimes: array[float] = field(default_factory=lambda: array("d"))
    spreads_bps: array[float] = field(default_factory=lambda: array("d"))
    near_depths: array[float] = field(default_factory=lambda: array("d"))
    """In orders of median size, within five typical spreads of the mid price."""

    def counts(self, kind: str, window: int = 1) -> NDArray[np.float64]:
        """The number of events of a kind in each window of so many seconds."""
        first, last = self.began_ns // SECOND_NS, self.ended_ns // SECOND_NS
        each = np.array([self.seconds[kind, n] for n in range(first, last + 1)], dtype=float)
        whole = len(each) // window * window
        sums: NDArray[np.float64] = each[:whole].reshape(-1, window).sum(axis=1)
        return sums


def measure(symbol: str, events: Iterable[Event]) -> Flow:
    """Replay a symbol's events. The service's own book leaves out what a venue no longer shows."""
    flow, placed = Flow(), dict[str, int]()
    monitor = SymbolMonitor(symbol, Parameters(), CATALOGUE, Counts())
    second = 0
    for event in events:
        flow.began_ns = flow.began_ns or event.ts_event
        flow.ended_ns = event.ts_event
        if event.ts_event // SECOND_NS > second:
            if second:
                monitor.close_bar((second + 1) * SECOND_NS)
                _look(flow, monitor.bar)
            second = event.ts_event // SECOND_NS
        monitor.apply(event)
        match event:
            case Order(price=float()) if event.type != "market":
                flow.seconds["order", second] += 1
                flow.sizes.append(event.quantity)
                placed[event.order_id] = event.ts_event
            case Cancel():
                flow.seconds["cancel", second] += 1
                if event.order_id in placed:
                    lived_ns = event.ts_event - placed.pop(event.order_id)
                    flow.lifetimes.append(lived_ns / SECOND_NS)
            case Trade():
                flow.seconds["trade", second] += 1
    return flow


def _look(flow: Flow, bar: Bar | None) -> None:
    if bar is None or bar.closed is None or bar.closed.spread_bps >= WIDEST_SPREAD_BPS:
        return
    flow.spreads_bps.append(bar.closed.spread_bps)
    median_notional = bar.closed.mid * statistics.median(flow.sizes[-600:])
    flow.near_depths.append(bar.closed.depth[NEAR_BAND] / median_notional)


def _per_second(kind: str) -> Callable[[Flow], float]:
    return lambda flow: float(flow.counts(kind).mean())


def _per_order(kind: str) -> Callable[[Flow], float]:
    return lambda flow: float(flow.counts(kind).sum() / flow.counts("order").sum())


def _dispersion(kind: str, window: int) -> Callable[[Flow], float]:
    """The variance over the mean of the counts (Fano, 1947); 1 for a Poisson process."""

    def fano(flow: Flow) -> float:
        counts = flow.counts(kind, window)
        return float(counts.var() / counts.mean())

    return fano


def _share_younger(seconds: float) -> Callable[[Flow], float]:
    return lambda flow: float((np.array(flow.lifetimes) < seconds).mean())


def _over_median(name: str, quantile: float) -> Callable[[Flow], float]:
    def ratio(flow: Flow) -> float:
        values = np.array(getattr(flow, name))
        return float(np.quantile(values, quantile) / np.median(values))

    return ratio


MEASURES: tuple[tuple[str, Callable[[Flow], float]], ...] = (
    ("orders a second", _per_second("order")),
    ("cancels per order", _per_order("cancel")),
    ("trades per order", _per_order("trade")),
    ("lifetime of cancelled orders, median, s", lambda flow: float(np.median(flow.lifetimes))),
    ("cancelled within 50 ms, share", _share_younger(0.05)),
    ("cancelled within 1 s, share", _share_younger(1.0)),
    ("spread, median, bps", lambda flow: float(np.median(flow.spreads_bps))),
    ("spread, 99 % quantile over median", _over_median("spreads_bps", 0.99)),
    ("depth in five spreads, orders of median size", lambda flow: np.median(flow.near_depths)),
    ("that depth, 1 % quantile over median", _over_median("near_depths", 0.01)),
    ("order size, 99 % quantile over median", _over_median("sizes", 0.99)),
    ("orders in 1 s, variance over mean", _dispersion("order", 1)),
    ("orders in 60 s, variance over mean", _dispersion("order", 60)),
    ("cancels in 1 s, variance over mean", _dispersion("cancel", 1)),
    ("trades in 60 s, variance over mean", _dispersion("trade", 60)),
)


def busiest(directory: Path) -> tuple[str, list[Event]]:
    """The symbol with the most orders, and its events."""
    events = list(recorded_events(directory))
    symbols = Counter(event.symbol for event in events if isinstance(event, Order))
    ((symbol, _),) = symbols.most_common(1)
    return symbol, [event for event in events if event.symbol == symbol]


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    options = parser.parse_args(arguments)
    flows = [measure(*busiest(directory)) for directory in options.directories]
    rows = [[name, *(f"{of(flow):.3g}" for flow in flows)] for name, of in MEASURES]
    print(markdown_table(["", *(its.name for its in options.directories)], rows))


if __name__ == "__main__":
    main(sys.argv[1:])
