"""The baseline of one statistic: what is usual over the last hour, without its last minute.

Every tenth bar is a sample. An episode of some minutes hardly moves the median of an hour, nor the
mean without the highest twentieth.
"""

import math
from array import array
from typing import Literal

from msgspec import Struct

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
    """The learned state of a Baseline; part of a snapshot. ``samples`` are 32-bit floats."""

    bars: int = 0
    usual: float = 0.0
    noise: float = 1.0
    samples: bytes = b""


class Baseline:
    r"""The baseline of one statistic, and the deviation of a value from it.

    For a difference of counts over the square root of their sum (Skellam, 1946), with the median
    $m$, the deviation of $x$ is $d = x - m$. For a count, with the mean $m$ and the variance $v$ of
    the hour without its highest twentieth, it is $d = (x - m) / \sqrt{\max(v, m) + 1}$: counts are
    overdispersed (negative binomial: Anscombe, 1949). The score is $d |d| / 2$ for both: minus the
    logarithm of the tail of a Gaussian. The score of a long count is $d$: its tail is exponential,
    because the number of bursts is.

    Examples
    --------
    >>> baseline = Baseline("count")
    >>> for bar in range(600):
    ...     baseline.learn(float(bar % 3))
    >>> round(baseline.usual, 1), round(baseline.deviation(10.0), 1)
    (0.9, 6.5)
    """

    __slots__ = ("_bars", "_samples", "kind", "noise", "usual")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._bars = 0
        self.usual, self.noise = 0.0, 1.0
        self._samples: array[float] = array("f")
        self.restore(BaselineState())

    def deviation(self, value: float) -> float:
        """Return the deviation of a value from the usual one, in units of its noise."""
        return (value - self.usual) / self.noise

    def score(self, value: float) -> float:
        """Return the score of a value: its deviation, squared and halved for `SQUARED` kinds."""
        deviation = self.deviation(value)
        return deviation * abs(deviation) / 2.0 if self.kind in SQUARED else deviation

    def learn(self, value: float) -> None:
        """Learn the value of a bar."""
        if self.kind == "plain":
            return
        self._bars += 1
        if self._bars % SAMPLE_BARS:
            return
        samples = self._samples
        samples.append(value)
        if len(samples) > MOST_SAMPLES:
            del samples[0]
        taken = self._bars // SAMPLE_BARS
        if taken < 10 * REFRESH_SAMPLES or taken % REFRESH_SAMPLES == 0:
            self._estimate()

    def _estimate(self) -> None:
        samples = self._samples
        if self._bars // SAMPLE_BARS >= 5 * SKIPPED_SAMPLES:
            samples = samples[:-SKIPPED_SAMPLES]
        ordered = sorted(samples)
        if not ordered:
            return
        if self.kind == "net":
            self.usual = ordered[len(ordered) // 2]
            return
        kept = ordered[: max(1, round(len(ordered) * (1.0 - TRIMMED)))]
        self.usual = mean = math.fsum(kept) / len(kept)
        variance = math.fsum((x - mean) ** 2 for x in kept) / len(kept)
        self.noise = math.sqrt(max(variance, mean) + 1.0)

    def state(self) -> BaselineState:
        """Return the learned state, for a snapshot."""
        return BaselineState(self._bars, self.usual, self.noise, self._samples.tobytes())

    def restore(self, state: BaselineState) -> None:
        """Continue from the state of a snapshot."""
        self._bars, self.usual, self.noise = state.bars, state.usual, state.noise
        self._samples = array("f", state.samples)
