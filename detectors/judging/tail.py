"""The tail of one statistic: how often chance alone gives a value as high.

The highest value of each block of bars (a minute, at most) is kept, whether it raised an alarm or
not. Above the 60 % quantile of these maxima the excess is exponential. Its scale is estimated with
everything above the 92 % quantile censored: what occurs in fewer than one block in twelve cannot
move the tail, so an alarm does not raise its own threshold. What is more frequent becomes ordinary
after a few blocks, so a statistic that alarms all the time does not starve.
"""

import math
from array import array

from msgspec import Struct

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
    """The learned state of a Tail; part of a snapshot.

    ``block_bars`` is the length of a block, ``bars`` and ``top`` are the number and the highest
    value of the bars of the open block. ``maxima`` are those of the closed blocks, as 32-bit
    floats, the oldest first.
    """

    block_bars: int
    bars: int = 0
    top: float = 0.0
    maxima: bytes = b""


class Tail:
    """The tail of one statistic.

    A new tail has short blocks. When it has twice the least number of them, neighbours merge, until
    a block is about a minute long.

    Parameters
    ----------
    unit
        The smallest scale of the excesses, in units of the statistic. A statistic that is almost
        always the same has no scale of its own.
    block_bars
        The length of the first blocks, in bars.
    bar_seconds
        The length of a bar.

    Examples
    --------
    >>> import random
    >>> noise = random.Random(1)
    >>> tail = Tail(unit=0.1)
    >>> for _ in range(7_200):
    ...     tail.learn(noise.expovariate(1.0))
    >>> tail.per_day(5.0) > 100.0, tail.per_day(30.0) < 0.01
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
        "_bars",
        "_longest",
        "_maxima",
        "_top",
        "bar_seconds",
        "block_bars",
        "scale",
        "shape",
        "start",
        "unit",
    )

    def __init__(self, unit: float, block_bars: int = 1, bar_seconds: float = 1.0) -> None:
        self._bars = 0
        self._top = 0.0
        self._maxima: array[float] = array("f")
        self.unit = unit
        self.bar_seconds = bar_seconds
        self._longest = max(1, round(BLOCK_SECONDS / bar_seconds))
        self.restore(TailState(min(block_bars, self._longest)))

    @property
    def warming_up(self) -> bool:
        """Whether too few blocks have been learned to judge a value."""
        return len(self._maxima) < LEAST_BLOCKS

    @property
    def blocks_per_day(self) -> float:
        """The number of blocks a day."""
        return DAY_SECONDS / (self.block_bars * self.bar_seconds)

    def per_day(self, value: float) -> float:
        """Return how many blocks a day reach a value by chance, at most `blocks_per_day`."""
        if value > self.start:
            excess = (value - self.start) / self.scale
            beyond: float = (1.0 + self.shape * excess) ** (-1.0 / self.shape)
            return self.blocks_per_day * (1.0 - TAIL_BEGINS) * beyond
        # Below the tail only the order matters.
        share = value / self.start if value > 0.0 else 0.0
        return self.blocks_per_day * (1.0 - TAIL_BEGINS * share)

    def threshold(self, per_day: float) -> float:
        """Return the value that ``per_day`` blocks a day reach by chance."""
        share = max(1e-300, min(1.0, per_day / (self.blocks_per_day * (1.0 - TAIL_BEGINS))))
        multiple: float = (share**-self.shape - 1.0) / self.shape
        return self.start + self.scale * multiple

    def learn(self, value: float) -> None:
        """Learn the value of a bar. A bar without a value has the value 0."""
        self._top = max(self._top, value)
        self._bars += 1
        if self._bars >= self.block_bars:
            self._maxima.append(self._top)
            self._bars, self._top = 0, 0.0
            self._bound()
            self._fit()

    def _bound(self) -> None:
        """Merge neighbouring blocks while they are short; then drop the oldest."""
        maxima = self._maxima
        if len(maxima) >= 2 * LEAST_BLOCKS and 2 * self.block_bars <= self._longest:
            self.block_bars *= 2
            self._maxima = array("f", map(max, maxima[::2], maxima[1::2]))
        elif len(maxima) > MOST_BLOCKS:
            del maxima[0]

    def _fit(self) -> None:
        ordered = sorted(self._maxima)
        n = len(ordered)
        if n < LEAST_BLOCKS:
            return
        self.start = start = ordered[int(TAIL_BEGINS * n)]
        censored = ordered[min(n - 1, int(CENSORED * n))]
        excesses = [x - start for x in ordered[int(TAIL_BEGINS * n) :] if x > start]
        uncensored = sum(start < x <= censored for x in ordered)
        total = math.fsum(min(excess, censored - start) for excess in excesses)
        self.scale = max(self.unit, total / uncensored if uncensored else 0.0)
        self.shape = 1.0 / (uncensored + PRIOR_EXCESSES)

    def state(self) -> TailState:
        """Return the learned state, for a snapshot."""
        return TailState(self.block_bars, self._bars, self._top, self._maxima.tobytes())

    def restore(self, state: TailState) -> None:
        """Continue from the state of a snapshot."""
        self.block_bars, self._bars, self._top = state.block_bars, state.bars, state.top
        self._maxima = array("f", state.maxima)
        self.start, self.scale, self.shape = 0.0, self.unit, 1.0 / PRIOR_EXCESSES
        self._fit()
