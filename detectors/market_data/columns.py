"""What is summed up and learned of the flow and the depth of all symbols of a partition at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.market_data.depth_baseline import DepthBaselines
from detectors.market_data.running_median import RunningMedians
from detectors.market_data.spans import Spans
from detectors.market_data.windows import Recent, Windows, recent
from detectors.table import Rows, Writes


class BarFlow(NamedTuple):
    """The flow of a bar that has ended.

    Its ``number`` is the same for all bars that are summed up at once. ``elapsed`` is the number of
    bars since the symbol's last one, ``amounts`` are those of its `Flow`. ``size`` is the quantity
    of one of its orders, ``spread`` that at its end; 0 without one. ``depth`` is the notional near
    the touch; NaN if it is not learned. ``paused``: the recent flow is forgotten after the bar.
    """

    row: int
    number: int
    elapsed: int
    amounts: tuple[float, ...]
    size: float
    spread: float
    depth: float
    paused: bool


class Sums(NamedTuple):
    """The sums and the baselines of one symbol with a bar, see `Bar`.

    ``median_size`` and ``median_spread`` include the bar; ``typical_spread`` does not.
    """

    span_sums: list[list[float]]
    recent: Recent
    usual_depth: float
    smooth_log_depth: tuple[float, float, float]
    typical_spread: float
    median_spread: float
    median_size: float


class MarketColumns:
    """The recent flow and the baselines of the market data, a row for each symbol.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = ("depth", "sizes", "spans", "spreads", "windows")

    def __init__(self, bar_seconds: float) -> None:
        self.spans = Spans(bar_seconds)
        self.windows = Windows(bar_seconds)
        self.sizes = RunningMedians()
        self.spreads = RunningMedians()
        self.depth = DepthBaselines(bar_seconds)

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        for its in (self.spans, self.windows, self.sizes, self.spreads, self.depth):
            its.resize(rows)

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        for its in (self.spans, self.windows, self.sizes, self.spreads, self.depth):
            its.clear(row)

    def add_many(self, rows: Rows, flows: Sequence[BarFlow], writes: Writes) -> list[Sums]:
        """Add bars of different symbols with the same number; ``writes`` takes what is learned."""
        amounts = np.array([its.amounts for its in flows], dtype=np.float64)
        elapsed = np.array([its.elapsed for its in flows], dtype=np.int64)
        typical = self.spreads.value[rows].tolist()
        depth, smooth = self.depth.learn_many(rows, np.array([its.depth for its in flows]), writes)
        spans = self.spans.add_many(rows, amounts, elapsed, writes)
        sums, usual = self.windows.add_many(rows, flows[0].number, amounts, writes)
        sizes = self.sizes.learn_many(rows, np.array([its.size for its in flows]), writes)
        spreads = self.spreads.learn_many(rows, np.array([its.spread for its in flows]), writes)
        if any(its.paused for its in flows):
            paused = rows[[its.paused for its in flows]]
            self.spans.pause(paused, writes)
            self.windows.pause(paused, writes)
        return [
            Sums(its, recent(seconds, hour), depth, (a, b, c), before, spread, size)
            for its, seconds, hour, depth, (a, b, c), before, spread, size in zip(
                spans.tolist(),
                sums.tolist(),
                usual.tolist(),
                depth.tolist(),
                smooth.tolist(),
                typical,
                spreads.tolist(),
                sizes.tolist(),
                strict=True,
            )
        ]
