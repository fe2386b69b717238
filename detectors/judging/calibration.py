"""Turn a score of any scale into an alarm, under a budget of false alarms.

The method is peaks over threshold on the stream of scores. The threshold is a high quantile of
the scores. Exceedances of the threshold that are close together form one episode. A generalised
Pareto tail is fitted to the highest score of each episode. The tail gives the number of episodes a
day that reach a score by chance alone. A score is an alarm if this number is within the budget.
Scores far out in the tail are not learned, unless they last: then they are the new normal. The
learned state does not depend on the budget.
"""

import math
from typing import NamedTuple

from msgspec import Struct

DAY_SECONDS = 86_400.0
YOUNG_SHAPE = 0.1
PRIOR_SHAPE = 0.0
PRIOR_EXCESS_RATIO = 0.35
"""The prior of the tail without peer priors: its shape in the first two hours, its shape later,
and its mean excess as a share of the threshold. Chosen on the scorecard's tuning seeds."""
PRIOR_EPISODES = 10
PEER_EPISODES = 60
"""The weight of the tail's prior, in episodes: without peer priors, and with them."""
SHAPE_EPISODES = 50
"""The least weight of the shape's prior, in episodes: the shape is the hardest to estimate."""
PEER_BARS = 600
"""The weight of the peers' threshold, in bars of the warm-up."""
SHAPES = (-0.07, 0.5)
"""The range of the shape. A very negative shape implies a largest possible score, which is
unknown. A shape far above the range has no mean."""
LEARN_BARS = 60
"""The number of settled scores that are learned at a time."""
QUANTILE_STEP = 0.005
FIRST_STEPS = 5.0
"""Step sizes of the threshold's approximation, as shares of the tail's scale: the smallest step,
and the numerator of the first steps (divided by the number of bars). Scores stay high for minutes.
With larger steps the threshold would follow them each time."""
UNUSUAL_PER_DAY = 1.0
"""A score that at most this number of episodes a day reach is not learned, whatever the budget. A
day has on the order of a hundred episodes, so this hardly shortens the fitted tail."""
YOUNG_BARS = 3_600
"""The scores of the first hour come from baselines with few observations. They are forgotten after
the same number of later scores has been learned."""
MIN_P_VALUE = 1e-12


class Verdict(NamedTuple):
    """The result for a score.

    ``p_value`` is the probability that one bar starts an episode as extreme as the score.
    """

    p_value: float
    expected_per_day: float
    alarm: bool


class Tail(NamedTuple):
    """A generalised Pareto tail of episodes above ``threshold``."""

    threshold: float
    episodes_per_bar: float
    shape: float
    scale: float

    @property
    def mean_excess(self) -> float:
        """The mean excess of episodes over the threshold."""
        return self.scale / (1.0 - self.shape)

    def episodes_beyond(self, score: float) -> float:
        """Return the expected number of episodes per bar that reach a score above the threshold."""
        excess = (score - self.threshold) / self.scale
        if abs(self.shape) < 1e-6:
            beyond = math.exp(-excess)
        else:
            beyond = max(0.0, 1.0 + self.shape * excess) ** (-1.0 / self.shape)
        return max(MIN_P_VALUE, self.episodes_per_bar * beyond)


class CalibrationState(Struct):
    """The learned state of a calibration; part of a snapshot.

    ``waiting`` holds the scores that have not settled. ``peaks`` holds the first bar and the
    highest score of each remembered episode. ``unusual_bars`` counts the bars for which scores
    have been far out. ``prior`` is the tail learned from peer symbols.
    """

    bars: int = 0
    waiting: list[float] = []
    threshold: float = 0.0
    peaks: list[tuple[int, float]] = []
    last_exceedance: int = 0
    unusual_bars: int = 0
    tail: Tail = Tail(0.0, 1.0, PRIOR_SHAPE, 1.0)
    prior: Tail | None = None


class TailCalibration:
    """Peaks over threshold. The peaks are the highest scores of episodes.

    Parameters
    ----------
    budget_per_day
        The number of false alarms a day that this stream of scores may raise.
    bar_seconds
        The length of a bar.
    warmup_bars
        The number of bars that are learned before the first score is judged.
    level
        The quantile of the scores above which the tail begins.
    run_bars
        The number of bars below the threshold that ends an episode (runs declustering).
    max_peaks
        The number of episodes to remember; older ones are dropped.
    settle_bars
        The number of bars without a far-out score before a score is learned. The scores before
        an alarm belong to the alarm and are dropped with it.
    relearn_bars
        Scores that have been far out for this number of bars are learned like any other.
    prior
        The tail learned from peer symbols; None without peers.

    Examples
    --------
    >>> import random
    >>> scores = random.Random(1)
    >>> calibration = TailCalibration(budget_per_day=1.0, warmup_bars=600)
    >>> for _ in range(5000):
    ...     calibration.learn(abs(scores.gauss(0, 1)))
    >>> calibration.judge(2.5).alarm, calibration.judge(50.0).alarm
    (False, True)

    References
    ----------
    [^1]: [Siffer, A., Fouque, P.-A., Termier, A. and Largouet, C., 2017. Anomaly Detection in
    Streams with Extreme Value Theory. KDD '17, pp.1067-1075.]
    (https://doi.org/10.1145/3097983.3098144)
    [^2]: [Leadbetter, M. R., 1991. On a basis for 'Peaks over Threshold' modeling. Statistics &
    Probability Letters, 12(4), pp.357-362.](https://doi.org/10.1016/0167-7152(91)90107-3)
    [^3]: [Hosking, J. R. M. and Wallis, J. R., 1987. Parameter and Quantile Estimation for the
    Generalized Pareto Distribution. Technometrics, 29(3), pp.339-349.]
    (https://doi.org/10.2307/1269343)
    """

    def __init__(
        self,
        budget_per_day: float,
        bar_seconds: float = 1.0,
        warmup_bars: int = 150,
        *,
        level: float = 0.97,
        run_bars: int = 30,
        max_peaks: int = 200,
        settle_bars: int = 600,
        relearn_bars: int = 900,
        prior: Tail | None = None,
    ) -> None:
        self.budget_per_day = budget_per_day
        self.bar_seconds = bar_seconds
        self.warmup_bars = warmup_bars
        self.level = level
        self.run_bars = run_bars
        self.max_peaks = max_peaks
        self.settle_bars = settle_bars
        self.relearn_bars = relearn_bars
        self.state = CalibrationState(last_exceedance=-run_bars, prior=prior)

    @property
    def warming_up(self) -> bool:
        """Whether too few bars have been learned to judge a score."""
        return self.state.bars < self.warmup_bars

    @property
    def _mature(self) -> bool:
        """Whether the scores of the first hour have been forgotten."""
        return self.state.bars >= 2 * YOUNG_BARS

    def judge(self, score: float) -> Verdict:
        """Judge a score by the learned tail. Do not call this while warming up."""
        assert not self.warming_up
        bars_per_day = DAY_SECONDS / self.bar_seconds
        tail = self.state.tail
        if score > tail.threshold:
            beyond = tail.episodes_beyond(score)
            expected_per_day = beyond * bars_per_day
            return Verdict(beyond, expected_per_day, expected_per_day <= self.budget_per_day)
        # Below the tail only the order matters: the p-value falls geometrically from 1 to the
        # start of the tail.
        p_value = tail.episodes_per_bar ** (score / tail.threshold) if tail.threshold > 0.0 else 1.0
        return Verdict(p_value, p_value * bars_per_day, alarm=False)

    def stress_ratio(self, p_value: float) -> float:
        """Return the place of a p-value between no surprise (0) and an alarm (1).

        The scale is log probability.
        """
        bars_per_day = DAY_SECONDS / self.bar_seconds
        at_alarm = min(0.5, self.budget_per_day / bars_per_day)
        return min(1.0, math.log(max(p_value, 1e-300)) / math.log(at_alarm))

    def learn(self, score: float) -> None:
        """Take the score of a bar. It is learned after it has settled.

        A far-out score, and the unsettled scores before it, are dropped until far-out scores have
        lasted for ``relearn_bars``.
        """
        state = self.state
        if self.warming_up:
            state.waiting.append(score)
            if len(state.waiting) == self.warmup_bars:
                self._begin()
            return
        if self.judge(score).expected_per_day <= UNUSUAL_PER_DAY:
            state.unusual_bars += 1
            if state.unusual_bars < self.relearn_bars:
                state.waiting.clear()
                return
        else:
            state.unusual_bars = max(0, state.unusual_bars - 1)
        state.waiting.append(score)
        if len(state.waiting) >= self.settle_bars + LEARN_BARS:
            for settled in state.waiting[:LEARN_BARS]:
                self._observe(settled)
            del state.waiting[:LEARN_BARS]
            self._fit()

    def _begin(self) -> None:
        """Set the threshold from the warm-up's scores and the peers' prior. Learn the scores."""
        state = self.state
        ordered = sorted(state.waiting)
        n = len(ordered)
        state.threshold = ordered[int(self.level * (n - 1))]
        if state.prior is not None:
            prior_sum = PEER_BARS * state.prior.threshold
            state.threshold = (n * state.threshold + prior_sum) / (n + PEER_BARS)
        for score in state.waiting:
            self._observe(score)
        state.waiting = []
        self._fit()

    def _observe(self, score: float) -> None:
        """Learn one settled score."""
        state = self.state
        state.bars += 1
        exceeds = score > state.threshold
        if exceeds:
            if state.bars - state.last_exceedance >= self.run_bars or not state.peaks:
                state.peaks.append((state.bars, score))
                del state.peaks[: -self.max_peaks]
            elif score > state.peaks[-1][1]:
                state.peaks[-1] = (state.peaks[-1][0], score)
            state.last_exceedance = state.bars
        if state.bars == 2 * YOUNG_BARS:
            state.peaks = [peak for peak in state.peaks if peak[0] > YOUNG_BARS]
        # Stochastic approximation of the quantile (Robbins and Monro, 1951).
        step = max(QUANTILE_STEP, FIRST_STEPS / state.bars) * state.tail.scale
        state.threshold += step * (exceeds - (1.0 - self.level))

    def _fit(self) -> None:
        """Fit the tail by probability-weighted moments (Hosking and Wallis, 1987, section 3.2).

        The estimate is shrunk towards a prior, because a few episodes are little evidence. The
        prior is the peers' tail, or a mild tail without peers.
        """
        state = self.state
        threshold, prior = state.threshold, state.prior
        excesses = sorted(score - threshold for _, score in state.peaks if score > threshold)
        n = len(excesses)
        if prior is None:
            weight = PRIOR_EPISODES
            shape = PRIOR_SHAPE if self._mature else YOUNG_SHAPE
            mean = PRIOR_EXCESS_RATIO * max(threshold, 1.0)
        else:
            weight = PEER_EPISODES
            shape, mean = prior.shape, prior.mean_excess
        if n >= 10 and (moments := _shape_by_moments(excesses)) is not None:
            shape_weight = max(weight, SHAPE_EPISODES)
            shape = (n * moments + shape_weight * shape) / (n + shape_weight)
        shape = min(max(shape, SHAPES[0]), SHAPES[1])
        mean = (sum(excesses) + weight * mean) / (n + weight)
        state.tail = Tail(threshold, self._episodes_per_bar(n), shape, mean * (1.0 - shape))

    def _episodes_per_bar(self, episodes: int) -> float:
        state = self.state
        first = YOUNG_BARS if self._mature else 0
        if len(state.peaks) == self.max_peaks:
            first = state.peaks[0][0]
        bars = state.bars - first
        if state.prior is None:
            return min(1.0, (episodes + 1) / (bars + self.run_bars))
        prior_bars = PEER_EPISODES / state.prior.episodes_per_bar
        return min(1.0, (episodes + PEER_EPISODES) / (bars + prior_bars))


def _shape_by_moments(excesses: list[float]) -> float | None:
    """Return the shape of a generalised Pareto distribution from sorted excesses.

    Returns None if the shape is undefined.
    """
    n = len(excesses)
    first = sum(excesses) / n
    second = sum(x * (n - 1 - i) for i, x in enumerate(excesses)) / (n * (n - 1))
    if first <= 2.0 * second:
        return None
    return 2.0 - first / (first - 2.0 * second)
