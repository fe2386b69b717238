"""The baselines of statistics: what is usual over the last hour, without its last minute.

Every tenth bar is a sample. An episode of some minutes hardly moves the median of an hour, nor the
mean without the highest twentieth.
"""

import math
from array import array
from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from detectors.table import Flags, Floats, Ints, Rows, Singles, Writes, at, enlarged, some

Kind = Literal["plain", "net", "count", "long_count"]
"""What a statistic is. ``plain``: in units of its own noise already. ``net``: a difference of
counts in units of its noise. ``count``: a count. ``long_count``: a count over so long a span that
bursts add up in it."""

SQUARED: frozenset[Kind] = frozenset({"net", "count"})
"""The kinds whose deviation is nearly Gaussian. Their scores are squares."""

SAMPLE_BARS = 10
MOST_SAMPLES = 360
"""A sample each ten bars, for an hour."""

SKIPPED_SAMPLES = 6
"""The samples of the last minute: an episode does not become usual while it lasts."""

REFRESH_SAMPLES = 6
"""The number of samples between two estimates, once there are ten times as many."""

TRIMMED = 0.05
"""The share of the highest counts that are left out."""


class BaselineState(Struct):
    """The learned baseline of one statistic; part of a snapshot.

    ``samples`` are 32-bit floats, the oldest first.
    """

    bars: int = 0
    usual: float = 0.0
    noise: float = 1.0
    samples: bytes = b""


class Baselines:
    r"""The baselines of statistics, a row for each symbol, and the deviations from them.

    For a difference of counts over the square root of their sum (Skellam, 1946), with the median
    $m$, the deviation of $x$ is $d = x - m$. For a count, with the mean $m$ and the variance $v$ of
    the hour without its highest twentieth, it is $d = (x - m) / \sqrt{\max(v, m) + 1}$: counts are
    overdispersed (negative binomial: Anscombe, 1949). The score is $d |d| / 2$ for both: minus the
    logarithm of the tail of a Gaussian. The score of a long count is $d$: its tail is exponential,
    because the number of bursts is.

    Parameters
    ----------
    kinds
        The kind of each statistic, one a column.

    Attributes
    ----------
    usual, noise
        The usual value of each statistic and its noise.

    Examples
    --------
    >>> baselines = Baselines(["count"])
    >>> baselines.resize(1)
    >>> first = np.array([0])
    >>> for bar in range(600):
    ...     with Writes() as writes:
    ...         baselines.learn_many(first, np.array([[bar % 3.0]]), np.array([[True]]), writes)
    >>> deviation = baselines.deviation_many(first, np.array([[10.0]]))
    >>> round(baselines.usual[0, 0], 1), round(deviation[0, 0], 1)
    (np.float64(0.9), np.float64(6.5))
    """

    __slots__ = ("_bars", "_learns", "_place", "_samples", "is_net", "is_squared", "noise", "usual")

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.is_squared: Flags = np.array([kind in SQUARED for kind in kinds], dtype=np.bool_)
        self.is_net: Flags = np.array([kind == "net" for kind in kinds], dtype=np.bool_)
        # Plain statistics learn nothing, and have no samples.
        self._learns: Rows = np.flatnonzero([kind != "plain" for kind in kinds])
        self._place = {int(column): place for place, column in enumerate(self._learns)}
        self.usual: Floats = np.zeros((0, len(kinds)))
        self.noise: Floats = np.ones((0, len(kinds)))
        self._bars: Ints = np.zeros((0, len(self._learns)), dtype=np.int64)
        # The ring of the last samples; the sample number n is in place n modulo their number.
        self._samples: Singles = np.zeros((0, len(self._learns), MOST_SAMPLES), dtype=np.float32)

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        columns, learning = self.usual.shape[1], len(self._learns)
        self.usual = enlarged(self.usual, (rows, columns))
        self.noise = enlarged(self.noise, (rows, columns), 1.0)
        self._bars = enlarged(self._bars, (rows, learning))
        self._samples = enlarged(self._samples, (rows, learning, MOST_SAMPLES))

    def add_plain(self) -> None:
        """Add a column for a plain statistic."""
        rows, columns = self.usual.shape
        self.is_squared, self.is_net = (
            np.append(self.is_squared, False),
            np.append(self.is_net, False),
        )
        self.usual = enlarged(self.usual, (rows, columns + 1))
        self.noise = enlarged(self.noise, (rows, columns + 1), 1.0)

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self.usual[row], self.noise[row] = 0.0, 1.0
        self._bars[row] = 0

    def deviation_many(self, rows: Rows, values: Floats) -> Floats:
        """Return the deviation of each value from the usual one, in units of its noise."""
        place = at(rows)
        deviations: Floats = (values - self.usual[place]) / self.noise[place]
        return deviations

    def score_many(self, deviations: Floats) -> Floats:
        """Return the scores of deviations: each squared and halved for `SQUARED` kinds."""
        return np.where(self.is_squared, deviations * np.abs(deviations) / 2.0, deviations)

    def learn_many(self, rows: Rows, values: Floats, given: Flags, writes: Writes) -> None:
        """Learn the values of a bar that are ``given``."""
        learns = self._learns
        if not len(learns):
            return
        place = at(rows)
        given = given.take(learns, axis=1)
        bars = self._bars[place] + given
        writes.put(self._bars, place, bars)
        sampled = given & (bars % SAMPLE_BARS == 0)
        if not some(sampled):
            return
        places, columns = np.nonzero(sampled)
        taken = bars[places, columns] // SAMPLE_BARS
        numbers = rows[places]
        samples = values[places, learns[columns]].astype(np.float32)
        writes.put(self._samples, (numbers, columns, (taken - 1) % MOST_SAMPLES), samples)
        due = (taken < 10 * REFRESH_SAMPLES) | (taken % REFRESH_SAMPLES == 0)
        if some(due):
            self._estimate(numbers[due], columns[due], taken[due], samples[due], writes)

    def _estimate(
        self, rows: Rows, columns: Rows, taken: Ints, newest: Singles, writes: Writes
    ) -> None:
        """Estimate what is usual of pairs of a row and a column with so many samples taken."""
        kept = np.minimum(taken, MOST_SAMPLES)
        skipped = np.where(taken >= 5 * SKIPPED_SAMPLES, SKIPPED_SAMPLES, 0)
        width = int(kept.max())
        samples = self._samples[rows, columns, :width]
        samples[np.arange(len(rows)), (taken - 1) % MOST_SAMPLES] = newest
        # The age of each place: 0 is the newest sample.
        age = (taken[:, None] - 1 - np.arange(width)) % MOST_SAMPLES
        used = (age >= skipped[:, None]) & (age < kept[:, None])
        ordered = np.where(used, samples, np.float32(np.inf))
        ordered.sort(axis=1)
        for i, n in enumerate((kept - skipped).tolist()):
            place = (rows[i], self._learns[columns[i]])
            if self.is_net[place[1]]:
                writes.put(self.usual, place, ordered[i, n // 2])
                continue
            low = ordered[i, : max(1, round(n * (1.0 - TRIMMED)))].astype(np.float64)
            mean = math.fsum(low.tolist()) / len(low)
            variance = math.fsum(np.square(low - mean).tolist()) / len(low)
            writes.put(self.usual, place, mean)
            writes.put(self.noise, place, math.sqrt(max(variance, mean) + 1.0))

    def state(self, row: int, column: int) -> BaselineState:
        """Return the learned baseline of one statistic, for a snapshot."""
        place = self._place.get(column)
        if place is None:
            return BaselineState()
        bars = int(self._bars[row, place])
        taken = bars // SAMPLE_BARS
        samples = self._samples[row, place]
        ordered = samples[:taken] if taken <= MOST_SAMPLES else np.roll(samples, -taken)
        usual, noise = float(self.usual[row, column]), float(self.noise[row, column])
        return BaselineState(bars, usual, noise, ordered.tobytes())

    def restore(self, row: int, column: int, state: BaselineState) -> None:
        """Continue from the baseline of a snapshot.

        Raises
        ------
        ValueError
            The number of samples is not that of the bars.
        """
        place = self._place.get(column)
        if place is None:
            return
        samples = array("f", state.samples)
        taken = state.bars // SAMPLE_BARS
        if len(samples) != min(taken, MOST_SAMPLES):
            raise ValueError(f"a baseline of {state.bars} bars has {len(samples)} samples")
        self.usual[row, column], self.noise[row, column] = state.usual, state.noise
        self._bars[row, place] = state.bars
        numbers = np.arange(taken - len(samples), taken) % MOST_SAMPLES
        self._samples[row, place, numbers] = samples
