"""The tails of statistics: how often chance alone gives a value as high.

The highest value of each block of bars (a minute, at most) is kept, whether it raised an alarm or
not. Above the 60 % quantile of these maxima the excess is exponential. Its scale is estimated with
everything above the 92 % quantile censored: what occurs in fewer than one block in twelve cannot
move the tail, so an alarm does not raise its own threshold. What is more frequent becomes ordinary
after a few blocks, so a statistic that alarms all the time does not starve.
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from detectors.table import Flags, Floats, Ints, Rows, Singles, Writes, at, enlarged, some

DAY_SECONDS = 86_400.0

BLOCK_SECONDS = 60.0
"""The length of a block once enough has been seen. Maxima of a minute are almost independent."""

LEAST_BLOCKS = 20
"""The number of maxima from which a value can be judged."""

MOST_BLOCKS = 480
"""The number of remembered maxima: eight hours."""

TAIL_BEGINS = 0.6
CENSORED = 0.92
"""The quantiles of the maxima where the tail begins and where it is censored."""

PRIOR_EXCESSES = 5.0
"""Added to the number of excesses for the shape: a scale that is estimated from k excesses gives a
predictive tail that is heavier than exponential, of shape 1 / k. The shape stays below a fifth."""


class TailState(Struct):
    """The learned tail of one statistic; part of a snapshot.

    ``block_bars`` is the length of a block, ``bars`` and ``top`` are the number and the highest
    value of the bars of the open block. ``maxima`` are those of the closed blocks, as 32-bit
    floats, the oldest first.
    """

    block_bars: int
    bars: int = 0
    top: float = 0.0
    maxima: bytes = b""


class Tails:
    r"""The tails of statistics, a row for each symbol.

    A block reaches a value $x$ above the start $u$ of the tail with the probability
    $(1 - q) (1 + k z)^{-1 / k}$, where $q$ is `TAIL_BEGINS`, $k$ is the shape and
    $z = (x - u) / \sigma$ the excess in units of the scale $\sigma$.

    A new tail has short blocks. When it has twice the least number of them, neighbours merge, until
    a block is about a minute long.

    Parameters
    ----------
    units
        The smallest scale of the excesses of each statistic, in its units, one a column. A
        statistic that is almost always the same has no scale of its own.
    block_bars
        The length of the first blocks, in bars.
    bar_seconds
        The length of a bar.

    Attributes
    ----------
    start, scale, shape
        The fitted tail of each statistic: where it begins, and its scale and shape.

    Examples
    --------
    >>> noise = np.random.default_rng(1)
    >>> tails = Tails([0.1])
    >>> tails.resize(1)
    >>> first = np.array([0])
    >>> for value in noise.exponential(size=7_200):
    ...     with Writes() as writes:
    ...         tails.learn_many(first, np.array([[value]]), np.array([[True]]), writes)
    >>> per_day = tails.per_day_many(np.array([0, 0]), np.array([[5.0], [30.0]]))
    >>> bool(per_day[0, 0] > 100.0), bool(per_day[1, 0] < 0.01)
    (True, True)

    References
    ----------
    [^1]: [Deemer, W. L. and Votaw, D. F., 1955. Estimation of Parameters of Truncated or Censored
    Exponential Distributions. The Annals of Mathematical Statistics, 26(3), pp.498-504.]
    (https://doi.org/10.1214/aoms/1177728494)
    [^2]: [Leadbetter, M. R., 1991. On a basis for 'Peaks over Threshold' modeling. Statistics &
    Probability Letters, 12(4), pp.357-362.](https://doi.org/10.1016/0167-7152(91)90107-3)
    """

    __slots__ = (
        "_bars", "_block_bars", "_count", "_first_block_bars", "_longest", "_maxima", "_oldest",
        "_top", "_units", "bar_seconds", "scale", "shape", "start",
    )  # fmt: skip

    def __init__(
        self, units: Sequence[float], block_bars: int = 1, bar_seconds: float = 1.0
    ) -> None:
        self._units: Floats = np.array(units, dtype=np.float64)
        self.bar_seconds = bar_seconds
        self._longest = max(1, round(BLOCK_SECONDS / bar_seconds))
        self._first_block_bars = min(block_bars, self._longest)
        shape = (0, len(units))
        self._block_bars: Ints = np.zeros(shape, dtype=np.int64)
        self._bars: Ints = np.zeros(shape, dtype=np.int64)
        self._top: Floats = np.zeros(shape)
        # Of each ring of maxima: their number, the place of the oldest, and the maxima.
        self._count: Ints = np.zeros(shape, dtype=np.int64)
        self._oldest: Ints = np.zeros(shape, dtype=np.int64)
        self._maxima: Singles = np.zeros((*shape, 2 * LEAST_BLOCKS), dtype=np.float32)
        self.start: Floats = np.zeros(shape)
        self.scale: Floats = np.ones(shape)
        self.shape: Floats = np.ones(shape)

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self._enlarge(rows, self.start.shape[1], self._maxima.shape[2])

    def add(self, unit: float) -> None:
        """Add a column for a statistic."""
        rows, columns = self.start.shape
        self._units = np.append(self._units, unit)
        self._enlarge(rows, columns + 1, self._maxima.shape[2])

    def _enlarge(self, rows: int, columns: int, blocks: int) -> None:
        old_rows, old_columns = self.start.shape
        shape = (rows, columns)
        self._block_bars = enlarged(self._block_bars, shape, self._first_block_bars)
        self._bars = enlarged(self._bars, shape)
        self._top = enlarged(self._top, shape)
        self._count = enlarged(self._count, shape)
        self._oldest = enlarged(self._oldest, shape)
        self._maxima = enlarged(self._maxima, (*shape, blocks))
        self.start = enlarged(self.start, shape)
        self.scale = enlarged(self.scale, shape)
        self.shape = enlarged(self.shape, shape)
        self._clear(slice(old_rows, None), slice(None))
        self._clear(slice(None), slice(old_columns, None))

    def _keep(self, blocks: int) -> None:
        """Make room for so many maxima of each statistic."""
        rows, columns = self.start.shape
        self._enlarge(rows, columns, blocks)

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self._clear(slice(row, row + 1), slice(None))

    def _clear(self, rows: slice, columns: slice) -> None:
        place = (rows, columns)
        self._block_bars[place] = self._first_block_bars
        self._bars[place] = self._count[place] = self._oldest[place] = 0
        self._top[place] = self.start[place] = 0.0
        self.scale[place] = self._units[columns]
        self.shape[place] = 1.0 / PRIOR_EXCESSES

    def known_many(self, rows: Rows) -> Flags:
        """Return which tails have enough blocks to judge a value."""
        known: Flags = self._count[at(rows)] >= LEAST_BLOCKS
        return known

    def warming_up(self, row: int, columns: slice) -> bool:
        """Whether too few blocks have been learned to judge a value of any of the columns."""
        return not (self._count[row, columns] >= LEAST_BLOCKS).any()

    def blocks_per_day(self, rows: Rows) -> Floats:
        """Return the number of blocks a day."""
        return np.asarray(DAY_SECONDS / (self._block_bars[at(rows)] * self.bar_seconds), np.float64)

    def per_day_many(self, rows: Rows, values: Floats) -> Floats:
        """Return how many blocks a day reach each value by chance, at most all of them."""
        blocks, start = self.blocks_per_day(rows), self.start[at(rows)]
        # Below the tail only the order matters.
        share = np.zeros_like(values)
        np.divide(values, start, out=share, where=start > 0.0)
        np.maximum(share, 0.0, out=share)
        per_day = np.multiply(blocks, 1.0 - TAIL_BEGINS * share)
        in_tail = values > start
        if some(in_tail):
            places, columns = np.nonzero(in_tail)
            numbers = rows[places]
            excesses = (values - start)[places, columns] / self.scale[numbers, columns]
            shapes = self.shape[numbers, columns].tolist()
            # Few values are in the tail; the power of Python is the same on every machine.
            beyond = [
                (1.0 + shape * excess) ** (-1.0 / shape)
                for shape, excess in zip(shapes, excesses.tolist(), strict=True)
            ]
            begins = blocks[places, columns] * (1.0 - TAIL_BEGINS)
            per_day[places, columns] = begins * np.array(beyond)
        return per_day

    def threshold(self, row: int, column: int, per_day: float) -> float:
        """Return the value that ``per_day`` blocks a day reach by chance."""
        blocks = DAY_SECONDS / (int(self._block_bars[row, column]) * self.bar_seconds)
        share = max(1e-300, min(1.0, per_day / (blocks * (1.0 - TAIL_BEGINS))))
        shape = float(self.shape[row, column])
        multiple: float = (share**-shape - 1.0) / shape
        return float(self.start[row, column]) + float(self.scale[row, column]) * multiple

    def learn_many(self, rows: Rows, values: Floats, learns: Flags, writes: Writes) -> None:
        """Learn the values of a bar where it ``learns``. A bar without a value has the value 0."""
        place = at(rows)
        before = self._top[place]
        top = np.where(learns, np.maximum(before, values), before)
        bars = self._bars[place] + learns
        closed = learns & (bars >= self._block_bars[place])
        if some(closed):
            places, columns = np.nonzero(closed)
            self._close(rows[places], columns, top[places, columns].astype(np.float32), writes)
            top[closed], bars[closed] = 0.0, 0
        writes.put(self._top, place, top)
        writes.put(self._bars, place, bars)

    def _close(self, rows: Rows, columns: Rows, tops: Singles, writes: Writes) -> None:
        """Close a block of each pair of a row and a column; the oldest of too many goes."""
        pairs = (rows, columns)
        count, oldest, length = (
            its[pairs] for its in (self._count, self._oldest, self._block_bars)
        )
        most = int(count.max())
        if most == self._maxima.shape[2] < MOST_BLOCKS:
            self._keep(min(MOST_BLOCKS, most + most // 2))
        maxima = self._maxima[pairs]
        full = count == MOST_BLOCKS
        newest = np.where(full, oldest, count)
        maxima[np.arange(len(rows)), newest] = tops
        writes.put(self._maxima, (rows, columns, newest), tops)
        count, oldest = count + ~full, np.where(full, (oldest + 1) % MOST_BLOCKS, oldest)
        # Neighbouring blocks merge while they are short.
        short = (count >= 2 * LEAST_BLOCKS) & (2 * length <= self._longest)
        for i in np.flatnonzero(short):
            half = int(count[i]) // 2  # in order: the ring is not full
            merged = np.maximum(maxima[i, : 2 * half : 2], maxima[i, 1 : 2 * half : 2])
            maxima[i, :half] = merged
            writes.put(self._maxima, (rows[i], columns[i], slice(half)), merged)
            count[i], length[i] = half, 2 * length[i]
        writes.put(self._count, pairs, count)
        writes.put(self._oldest, pairs, oldest)
        writes.put(self._block_bars, pairs, length)
        self._fit(rows, columns, count, maxima, writes)

    def _ordered(self, row: int, column: int) -> Singles:
        """Return the maxima of one statistic, the oldest first."""
        count, oldest = int(self._count[row, column]), int(self._oldest[row, column])
        return np.roll(self._maxima[row, column, :count], -oldest)

    def _fit(self, rows: Rows, columns: Rows, count: Ints, maxima: Singles, writes: Writes) -> None:
        """Fit the tails of pairs of a row and a column to so many maxima, which it sorts."""
        known = count >= LEAST_BLOCKS
        if not known.all():
            rows, columns, count, maxima = rows[known], columns[known], count[known], maxima[known]
        if not len(count):
            return
        width = int(count.max())
        maxima = maxima[:, :width]
        if (count < width).any():
            maxima[np.arange(width) >= count[:, None]] = np.inf
        maxima.sort(axis=1)
        begins = (TAIL_BEGINS * count).astype(np.intp)
        ends = np.minimum(count - 1, (CENSORED * count).astype(np.intp))
        pairs = np.arange(len(count))
        start = maxima[pairs, begins].astype(np.float64)
        most = maxima[pairs, ends].astype(np.float64) - start
        first = int(begins.min())
        excesses = maxima[:, first:].astype(np.float64) - start[:, None]
        risen = (excesses > 0.0) & (np.arange(first, width) < count[:, None])
        uncensored = (risen & (excesses <= most[:, None])).sum(axis=1)
        counted = np.where(risen, np.minimum(excesses, most[:, None]), 0.0)
        # The sum is exact, so that it depends on neither the order nor the machine.
        total = np.array([math.fsum(its) for its in counted.tolist()])
        mean = np.divide(total, uncensored, out=np.zeros_like(total), where=uncensored > 0)
        writes.put(self.start, (rows, columns), start)
        writes.put(self.scale, (rows, columns), np.maximum(self._units[columns], mean))
        writes.put(self.shape, (rows, columns), 1.0 / (uncensored + PRIOR_EXCESSES))

    def state(self, row: int, column: int) -> TailState:
        """Return the learned tail of one statistic, for a snapshot."""
        return TailState(
            int(self._block_bars[row, column]),
            int(self._bars[row, column]),
            float(self._top[row, column]),
            self._ordered(row, column).tobytes(),
        )

    def restore(self, row: int, column: int, state: TailState) -> None:
        """Continue from the tail of a snapshot.

        Raises
        ------
        ValueError
            The tail has too many maxima.
        """
        maxima = array("f", state.maxima)
        count = len(maxima)
        if count > MOST_BLOCKS:
            raise ValueError(f"a tail has {count} maxima; there are at most {MOST_BLOCKS}")
        self._clear(slice(row, row + 1), slice(column, column + 1))
        if count > self._maxima.shape[2]:
            self._keep(count)
        self._block_bars[row, column], self._bars[row, column] = state.block_bars, state.bars
        self._top[row, column], self._count[row, column] = state.top, count
        self._maxima[row, column, :count] = maxima
        one = np.array([row]), np.array([column])
        with Writes() as writes:
            self._fit(*one, np.array([count]), self._maxima[one], writes)
