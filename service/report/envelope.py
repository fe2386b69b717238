"""A series of any length in bounded memory, without losing extremes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.presentation.series import COLUMNS

BUCKETS = 1_200
"""Buckets of a series: about the width of a plot in pixels."""


class Envelope:
    """The lowest and the highest value of each column in each bucket of time.

    A bucket starts as one bar. When the series exceeds ``buckets``, neighbours are merged in pairs,
    so that a series can have any length.

    Parameters
    ----------
    buckets
        Highest number of buckets; even.
    columns
        Number of columns; those of `COLUMNS` by default.

    Examples
    --------
    >>> envelope = Envelope(buckets=4)
    >>> for bar in range(10):
    ...     envelope.add(bar, [float(bar)] * len(COLUMNS))
    >>> envelope.bars_per_bucket
    4
    >>> bars, values = envelope.points()
    >>> bars.tolist(), values[:, 0].tolist()
    ([0, 2, 4, 6, 8, 10], [0.0, 3.0, 4.0, 7.0, 8.0, 9.0])
    """

    __slots__ = ("_count", "_high", "_keys", "_low", "bars_per_bucket")

    def __init__(self, buckets: int = BUCKETS, columns: int = len(COLUMNS)) -> None:
        self.bars_per_bucket = 1
        self._count = 0
        self._keys = np.zeros(buckets, np.int64)
        self._low = np.zeros((buckets, columns), np.float32)
        self._high = np.zeros((buckets, columns), np.float32)

    def add(self, bar: int, values: Sequence[float]) -> None:
        """Add the values of a bar. ``bar`` is its number since the epoch; bars come in order."""
        with np.errstate(over="ignore"):  # values beyond single precision are not drawn
            row = np.asarray(values, np.float32)
        key = bar // self.bars_per_bucket
        last = self._count - 1
        if last < 0 or self._keys[last] != key:
            if self._count == len(self._keys):
                self._halve()
                self.add(bar, values)
                return
            self._keys[self._count] = key
            self._low[self._count] = self._high[self._count] = row
            self._count += 1
            return
        np.fmin(self._low[last], row, out=self._low[last])
        np.fmax(self._high[last], row, out=self._high[last])

    def _halve(self) -> None:
        """Merge neighbouring buckets until there is room."""
        while self._count == len(self._keys):
            self.bars_per_bucket *= 2
            keys, first = np.unique(self._keys[: self._count] // 2, return_index=True)
            low = np.fmin.reduceat(self._low[: self._count], first)
            high = np.fmax.reduceat(self._high[: self._count], first)
            self._count = len(keys)
            self._keys[: self._count] = keys
            self._low[: self._count] = low
            self._high[: self._count] = high

    def points(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return bar numbers, and a row of values for each.

        Without merged buckets, a row has the values of a bar. A merged bucket gives two rows: the
        lowest values at its start, and the highest values in its middle.
        """
        keys, low, high = (a[: self._count] for a in (self._keys, self._low, self._high))
        if self.bars_per_bucket == 1:
            return keys.copy(), low.copy()
        begin = keys * self.bars_per_bucket
        bars = np.stack([begin, begin + self.bars_per_bucket // 2], axis=1).reshape(-1)
        values = np.stack([low, high], axis=1).reshape(-1, low.shape[1])
        return bars, values
