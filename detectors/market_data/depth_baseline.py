"""The usual depth of the book near the touch, and its recent depth."""

import math

import numpy as np
from msgspec import Struct

from detectors.table import Floats, Ints, Rows, Writes, at, enlarged

DEPTH_SPANS_SECONDS = (15, 60, 300)
"""The spans over which depth is smoothed: for a moving quote, a maker that left, a drain."""

MEMORY_SECONDS = 1_800.0
"""The time over which the usual depth forgets."""

MIN_BASELINE = 1e-90
"""The smallest usual depth; a smaller one counts as zero. It is below the depth of any single
order: a baseline falls below it only after weeks of an empty book."""


class DepthState(Struct):
    """The learned state of a depth baseline; part of a snapshot."""

    bars: int = 0
    usual: float = 0.0
    smooth: tuple[float, float, float] = (0.0, 0.0, 0.0)


class DepthBaselines:
    """The usual depth of the book, and its smoothed recent depth, a row for each symbol.

    Parameters
    ----------
    bar_seconds
        The length of a bar.

    Attributes
    ----------
    usual
        The usual notional near the touch on both sides; 0 while unknown.
    smooth
        The logarithm of depth over usual depth, smoothed over each of `DEPTH_SPANS_SECONDS`.
    """

    __slots__ = ("_bars", "_fading", "_smoothing", "smooth", "usual")

    def __init__(self, bar_seconds: float) -> None:
        self._fading = bar_seconds / MEMORY_SECONDS
        self._smoothing: Floats = np.array(
            [1.0 - math.exp(-bar_seconds / span) for span in DEPTH_SPANS_SECONDS]
        )
        self._bars: Ints = np.zeros(0, dtype=np.int64)
        self.usual: Floats = np.zeros(0)
        self.smooth: Floats = np.zeros((0, len(DEPTH_SPANS_SECONDS)))

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self._bars = enlarged(self._bars, (rows,))
        self.usual = enlarged(self.usual, (rows,))
        self.smooth = enlarged(self.smooth, (rows, len(DEPTH_SPANS_SECONDS)))

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self._bars[row], self.usual[row], self.smooth[row] = 0, 0.0, 0.0

    def learn_many(self, rows: Rows, depths: Floats, writes: Writes) -> tuple[Floats, Floats]:
        """Learn the depth of a bar: the notional near the touch on both sides; NaN if unknown.

        Returns the usual and the smoothed depth after the bar, see `usual` and `smooth`.
        """
        place = at(rows)
        before, smooth = self.usual[place], self.smooth[place]
        known = depths == depths  # noqa: PLR0124 - NaN is not equal to itself
        bars = self._bars[place] + known
        # A plain mean at first: the first bar has no lasting weight.
        learned = before + np.maximum(self._fading, 1.0 / bars) * (depths - before)
        usual = np.where(known, np.where(learned < MIN_BASELINE, 0.0, learned), before)
        learns = known & (usual > 0.0)
        shares = np.where(learns, np.maximum(depths, 1e-3 * usual) / usual, 1.0)
        # The logarithm of Python is the same on every machine.
        logarithms = np.array([[math.log(share)] for share in shares.tolist()])
        smooth = np.where(learns[:, None], smooth + self._smoothing * (logarithms - smooth), smooth)
        writes.put(self._bars, place, bars)
        writes.put(self.usual, place, usual)
        writes.put(self.smooth, place, smooth)
        return usual, smooth

    def state(self, row: int) -> DepthState:
        """Return the learned state of a row, for a snapshot."""
        a, b, c = self.smooth[row].tolist()
        return DepthState(int(self._bars[row]), float(self.usual[row]), (a, b, c))

    def restore(self, row: int, state: DepthState) -> None:
        """Let a row continue from the state of a snapshot."""
        self._bars[row], self.usual[row] = state.bars, state.usual
        self.smooth[row] = state.smooth
