"""How surprising a bar's features are for this symbol: an online, one-sided distance."""

import math
from collections.abc import Mapping

from msgspec import Struct
from river import base, stats

LARGEST_DEVIATION = 1_000.0
"""A feature's deviation counts for at most this many standard deviations."""


class Contribution(Struct, frozen=True):
    """One feature's part in a score: shares of all features' parts add up to one."""

    feature: str
    value: float
    expected: float
    share: float


TYPICAL_BARS = 300
PEER_BARS = 600
"""What is known of a feature's deviation beforehand weighs like so many bars: a few minutes of a
feature that is smoothed over a minute say next to nothing of how it varies."""

SurpriseState = dict[str, tuple[int, float, float, int]]
"""A feature's observations, mean, mean squared deviation, and the bars that what was known of the
latter beforehand weighs like."""


class Baseline:
    """What is normal for one feature: its mean and its mean squared deviation.

    River's running means for the first ``grace`` observations, when exponential weights would
    give the very first ones too much say; its exponentially weighted means from then on.
    ``expected`` and ``deviation`` are what they come to. ``square`` is what is known of the mean
    squared deviation beforehand, and weighs like ``prior_bars``.
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
        """Learn a value and its deviation from what was expected of it."""
        if self.observations == grace:
            self.mean = _exponential(self.mean.get(), grace)
            self.square = _exponential(self.square.get(), grace)
        self.observations += 1
        self.mean.update(x)
        self.square.update(deviation * deviation)
        self.settle(min_deviation)

    def settle(self, min_deviation: float) -> None:
        """Take up what was learned; no deviation is below the least, absolute or relative."""
        self.expected = expected = self.mean.get()
        floor = min_deviation * max(1.0, abs(expected))
        # A value differs from a mean of few bars by the noise of both.
        noise = 1.0 + self.noise_bars / self.observations
        self.deviation = max(floor, math.sqrt(self.square.get() * noise))


class Surprise(base.AnomalyDetector):
    r"""One-sided standardised distance from an exponentially weighted baseline.

    For features $x_j$ with baseline mean $\mu_j$ and standard deviation $\sigma_j$ the score is

    $$s = \sqrt{\sum_j \max(0, z_j)^2}, \qquad z_j = \frac{x_j - \mu_j}{\max(\sigma_j, m,
    m |\mu_j|)}$$

    so that only a rise counts; a feature whose fall is the finding is given with its sign turned.
    Squares add up, so each feature's share of $s^2$ is its contribution. The floor $m$ keeps a
    feature that hardly moved from turning the least change into a finding; what is learned is cut
    at ``clip`` standard deviations, so that an anomaly moves the baseline slowly but a lasting
    change does become the new normal.

    Parameters
    ----------
    memory
        The number of bars over which the baseline forgets (its fading factor is the inverse).
    min_deviation
        The least standard deviation, absolute and relative to the mean. Features are expected to
        be ratios, shares or logarithms: dimensionless, of order one.
    clip
        Values are learned as if at most this many standard deviations from the mean.
    typical
        Each feature's standard deviation as far as it is known beforehand: it keeps a baseline
        that has seen little from taking the ordinary for a surprise.
    mean_noise_bars
        The mean of n bars is as uncertain as that of n / ``mean_noise_bars`` independent ones.

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
    >>> [(c.feature, round(c.share, 2)) for c in model.explain_one({"hazard": 0.9, "depth": 2.2})]
    [('hazard', 1.0)]

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

    def set_prior_squares(self, squares: Mapping[str, float]) -> None:
        """Take what peers have learned of each feature's mean squared deviation beforehand."""
        self.prior_squares = dict(squares)

    def _begin(self, feature: str) -> Baseline:
        if feature in self.prior_squares:
            return Baseline(self.mean_noise_bars, self.prior_squares[feature], PEER_BARS)
        if self.typical is not None and feature in self.typical:
            return Baseline(self.mean_noise_bars, self.typical[feature] ** 2, TYPICAL_BARS)
        return Baseline(self.mean_noise_bars)

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn one bar's features; values that are not finite are passed over."""
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
                most = self.clip * baseline.deviation
                deviation = min(most, max(-most, deviation))
            x_learned = baseline.expected + deviation
            baseline.update(x_learned, deviation, self.memory, self.min_deviation)

    def deviations_one(self, x: dict[str, float]) -> dict[str, float]:
        """Each feature's deviation from what is expected of it, in standard deviations."""
        deviations = {}
        for feature, value in x.items():
            baseline = self._baselines.get(feature)
            if baseline is not None and math.isfinite(value):
                deviation = (value - baseline.expected) / baseline.deviation
                deviations[feature] = min(LARGEST_DEVIATION, deviation)
        return deviations

    def score_one(self, x: dict[str, float]) -> float:  # type: ignore[override]  # names are str
        """The distance in standard deviations; 0 where nothing rose or nothing was learned."""
        return distance(self.deviations_one(x))

    def explain_one(self, x: dict[str, float]) -> list[Contribution]:
        """Each risen feature's share of the squared score, the largest first."""
        rises = {feature: z for feature, z in self.deviations_one(x).items() if z > 0.0}
        total = sum(z * z for z in rises.values())
        contributions = [
            Contribution(feature, x[feature], self._baselines[feature].expected, z * z / total)
            for feature, z in rises.items()
        ]
        return sorted(contributions, key=lambda c: (-c.share, c.feature))

    def state(self) -> SurpriseState:
        """What is known of each feature, for a snapshot."""
        return {
            feature: (b.observations, b.mean.get(), b.square.get(), b.prior_bars)
            for feature, b in self._baselines.items()
        }

    def expected(self, feature: str) -> float:
        """What is expected of a feature that has been learned."""
        return self._baselines[feature].expected

    def deviation(self, feature: str) -> float:
        """The standard deviation of a feature that has been learned."""
        return self._baselines[feature].deviation

    def relearn(self) -> None:
        """Forget what is expected of every feature, but not by how much it varies."""
        self.prior_squares = self.squares()
        self._baselines = {}

    def squares(self) -> dict[str, float]:
        """Each feature's mean squared deviation: what peers may borrow."""
        return {feature: b.square.get() for feature, b in self._baselines.items()}

    def restore(self, state: SurpriseState) -> None:
        """Take over the baselines of a snapshot."""
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
    """How far what rose is from what is expected of it; what fell does not count.

    >>> distance({"hazard": 3.0, "spread": 4.0, "depth": -9.0})
    5.0
    """
    return math.sqrt(sum(z * z for z in deviations.values() if z > 0.0))


def _exponential(start: float, grace: int) -> stats.EWMean:
    """An exponentially weighted mean that stands at ``start``."""
    mean = stats.EWMean(fading_factor=1.0 / grace)
    mean.update(start)
    return mean


def _plain(start: float, observations: int) -> stats.Mean:
    """A plain mean of so many observations that stands at ``start``."""
    mean = stats.Mean()
    if observations:
        mean.update(start, observations)
    return mean
