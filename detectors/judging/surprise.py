"""The surprise of a bar's features for a symbol: an online, one-sided distance."""

import math
from collections.abc import Mapping

from msgspec import Struct
from river import base, stats

LARGEST_DEVIATION = 1_000.0
"""The largest deviation of a feature that counts, in standard deviations."""


class Contribution(Struct, frozen=True):
    """The contribution of one feature to a score. The shares of all features add up to one."""

    feature: str
    value: float
    expected: float
    share: float


TYPICAL_BARS = 300
RELEARNED_BARS = 600
"""The weight of a feature's prior deviation, in bars: of a typical deviation, and of the one
before a drift. A few minutes of a smoothed feature are little evidence of its variance."""

SurpriseState = dict[str, tuple[int, float, float, int]]
"""By feature: the number of observations, the mean, the mean squared deviation, and the weight of
the prior of the mean squared deviation in bars."""


class Baseline:
    """The baseline of one feature: its mean and its mean squared deviation.

    The first ``grace`` observations use river's running means, because exponential weights would
    give the very first observations too much weight. Later observations use river's exponentially
    weighted means. ``expected`` and ``deviation`` are the resulting mean and standard deviation.
    ``square`` is the prior of the mean squared deviation. It has the weight of ``prior_bars`` bars.
    """

    __slots__ = (
        "deviation", "expected", "mean", "noise_bars", "observations", "prior_bars", "square",
    )  # fmt: skip

    def __init__(self, noise_bars: float, square: float = 0.0, prior_bars: int = 0) -> None:
        self.noise_bars = noise_bars
        self.observations = 0
        self.expected = self.deviation = 0.0
        self.prior_bars = prior_bars
        self.mean: stats.Mean | stats.EWMean = stats.Mean()
        self.square: stats.Mean | stats.EWMean = _plain(square, prior_bars)

    def update(self, x: float, deviation: float, grace: int, min_deviation: float) -> None:
        """Learn a value and its deviation from the expected value."""
        if self.observations == grace:
            self.mean = _exponential(self.mean.get(), grace)
            self.square = _exponential(self.square.get(), grace)
        self.observations += 1
        self.mean.update(x)
        self.square.update(deviation * deviation)
        self.settle(min_deviation)

    def settle(self, min_deviation: float) -> None:
        """Update ``expected`` and ``deviation`` from the means.

        ``min_deviation`` is the smallest deviation, absolute and relative to the mean.
        """
        self.expected = expected = self.mean.get()
        floor = min_deviation * max(1.0, abs(expected))
        # The difference between a value and a mean of few bars has the noise of both.
        noise = 1.0 + self.noise_bars / self.observations
        self.deviation = max(floor, math.sqrt(self.square.get() * noise))


class Surprise(base.AnomalyDetector):
    r"""One-sided standardised distance from an exponentially weighted baseline.

    For features $x_j$ with baseline mean $\mu_j$ and standard deviation $\sigma_j$ the score is

    $$s = \sqrt{\sum_j \max(0, z_j)^2}, \qquad z_j = \frac{x_j - \mu_j}{\max(\sigma_j, m,
    m |\mu_j|)}$$

    Only a rise counts. If the fall of a quantity is the finding, its feature has the opposite
    sign. The contribution of a feature is its share of $s^2$, because squares add up. The floor
    $m$ prevents a finding from a tiny change of a feature that hardly moved before. Learned values
    are clipped at ``clip`` standard deviations: an anomaly moves the baseline slowly, and a
    lasting change becomes the new normal.

    Parameters
    ----------
    memory
        The number of bars over which the baseline forgets (the inverse of the fading factor).
    min_deviation
        The smallest standard deviation, absolute and relative to the mean. Features should be
        ratios, shares or logarithms: dimensionless, of order one.
    clip
        The largest distance from the mean at which values are learned, in standard deviations.
    typical
        The prior standard deviation of each feature for which one is known. It prevents false
        surprises from a baseline with few observations.
    mean_noise_bars
        The mean of n bars is as uncertain as the mean of n / ``mean_noise_bars`` independent bars.

    Examples
    --------
    >>> from detectors.judging.surprise import Surprise
    >>> model = Surprise(memory=100)
    >>> for i in range(200):
    ...     model.learn_one({"hazard": 0.1 + 0.01 * (i % 3), "depth": 2.0 + (i % 5) / 10})
    >>> model.score_one({"hazard": 0.11, "depth": 2.2}) < 0.1
    True
    >>> score = model.score_one({"hazard": 0.9, "depth": 2.2})
    >>> score > 10
    True
    >>> deviations = model.deviations_one({"hazard": 0.9, "depth": 2.2})
    >>> max(deviations, key=deviations.get)
    'hazard'

    References
    ----------
    [^1]: [Lowry, C. A., Woodall, W. H., Champ, C. W. and Rigdon, S. E., 1992. A Multivariate
    Exponentially Weighted Moving Average Control Chart. Technometrics, 34(1), pp.46-53.]
    (https://doi.org/10.2307/1269551)
    """

    def __init__(
        self,
        memory: int = 1_800,
        min_deviation: float = 0.02,
        clip: float = 2.5,
        typical: dict[str, float] | None = None,
        mean_noise_bars: float = 30.0,
    ) -> None:
        self.memory = memory
        self.min_deviation = min_deviation
        self.clip = clip
        self.typical = typical
        self.mean_noise_bars = mean_noise_bars
        self._baselines: dict[str, Baseline] = {}
        self.prior_squares: dict[str, float] = {}

    def _begin(self, feature: str) -> Baseline:
        if feature in self.prior_squares:
            return Baseline(self.mean_noise_bars, self.prior_squares[feature], RELEARNED_BARS)
        if self.typical is not None and feature in self.typical:
            return Baseline(self.mean_noise_bars, self.typical[feature] ** 2, TYPICAL_BARS)
        return Baseline(self.mean_noise_bars)

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn the features of one bar. Values that are not finite are ignored."""
        baselines = self._baselines
        for feature, value in x.items():
            if not math.isfinite(value):
                continue
            baseline = baselines.get(feature)
            if baseline is None:
                baseline = baselines[feature] = self._begin(feature)
                baseline.expected = value
            deviation = value - baseline.expected
            if baseline.observations + baseline.prior_bars > self.memory // 10:
                limit = self.clip * baseline.deviation
                deviation = min(limit, max(-limit, deviation))
            x_learned = baseline.expected + deviation
            baseline.update(x_learned, deviation, self.memory, self.min_deviation)

    def deviations_one(self, x: dict[str, float]) -> dict[str, float]:
        """Return the deviation of each feature from its expected value, in standard deviations."""
        deviations = {}
        for feature, value in x.items():
            baseline = self._baselines.get(feature)
            if baseline is not None and math.isfinite(value):
                deviation = (value - baseline.expected) / baseline.deviation
                deviations[feature] = min(LARGEST_DEVIATION, deviation)
        return deviations

    def score_one(self, x: dict[str, float]) -> float:  # type: ignore[override]  # names are str
        """Return the distance in standard deviations; 0 if no feature rose or none was learned."""
        return distance(self.deviations_one(x))

    def state(self) -> SurpriseState:
        """Return the baseline of each feature, for a snapshot."""
        return {
            feature: (b.observations, b.mean.get(), b.square.get(), b.prior_bars)
            for feature, b in self._baselines.items()
        }

    def expected(self, feature: str) -> float:
        """Return the expected value of a feature that has been learned."""
        return self._baselines[feature].expected

    def deviation(self, feature: str) -> float:
        """Return the standard deviation of a feature that has been learned."""
        return self._baselines[feature].deviation

    def relearn(self) -> None:
        """Forget the mean of every feature. Keep the mean squared deviations as priors."""
        self.prior_squares = {name: b.square.get() for name, b in self._baselines.items()}
        self._baselines = {}

    def restore(self, state: SurpriseState) -> None:
        """Continue from the baselines of a snapshot."""
        for feature, (observations, mean, square, prior_bars) in state.items():
            baseline = Baseline(self.mean_noise_bars, 0.0, prior_bars)
            self._baselines[feature] = baseline
            baseline.observations = observations
            if observations > self.memory:
                baseline.mean = _exponential(mean, self.memory)
                baseline.square = _exponential(square, self.memory)
            else:
                baseline.mean = _plain(mean, observations)
                baseline.square = _plain(square, observations + prior_bars)
            baseline.settle(self.min_deviation)


def distance(deviations: Mapping[str, float]) -> float:
    """Return the distance of the risen features from their expected values. Falls do not count.

    >>> distance({"hazard": 3.0, "spread": 4.0, "depth": -9.0})
    5.0
    """
    return math.sqrt(sum(z * z for z in deviations.values() if z > 0.0))


def _exponential(start: float, grace: int) -> stats.EWMean:
    """Return an exponentially weighted mean with the value ``start``."""
    mean = stats.EWMean(fading_factor=1.0 / grace)
    mean.update(start)
    return mean


def _plain(start: float, observations: int) -> stats.Mean:
    """Return a plain mean of ``observations`` observations with the value ``start``."""
    mean = stats.Mean()
    if observations:
        mean.update(start, observations)
    return mean
