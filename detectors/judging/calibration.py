"""From a score of any scale to an alarm, under a budget of false alarms.

Peaks over threshold on the stream itself: the score's high quantile is tracked, exceedances of it
that stand close together are one episode, and a generalised Pareto tail is fitted to the episodes'
highest scores. From the tail follows how many episodes a day reach a score by chance alone, and
an alarm is a score that fewer reach than the budget allows. What is far out in the tail teaches
nothing, unless it lasts: then it is the new normal. What is learned does not depend on the budget.
"""

import math
from typing import NamedTuple

from msgspec import Struct

DAY_SECONDS = 86_400.0
YOUNG_SHAPE = 0.1
PRIOR_SHAPE = 0.0
PRIOR_EXCESS_RATIO = 0.35
"""Of the tail where no peers have taught another: its shape, at first and later on, and its mean
excess as a share of the threshold. All were chosen on the scorecard's tuning seeds."""
PRIOR_EPISODES = 10
PEER_EPISODES = 60
"""A tail is drawn towards its prior as if it had been seen in so many episodes: towards what the
peers have taught, more."""
SHAPE_EPISODES = 50
"""The shape is drawn towards its prior by at least so many: it is the hardest to know."""
PEER_BARS = 600
"""What peers have taught of the threshold weighs like so many bars of the warm-up."""
SHAPES = (-0.07, 0.5)
"""A very negative shape is a largest possible score, which nobody knows; far above, no mean."""
LEARN_BARS = 60
"""Settled scores are learned so many at a time."""
QUANTILE_STEP = 0.005
FIRST_STEPS = 5.0
"""Of the threshold's approximation, as shares of the tail's scale: the least step and, over the
bars seen, the first ones. Scores stay high for minutes: larger steps would follow each time."""
UNUSUAL_PER_DAY = 1.0
"""A score that fewer episodes a day reach is not learned, whatever the budget: of some hundred
episodes a day that is so little of the tail that its fit is hardly shorter for it."""
YOUNG_BARS = 3_600
"""The first hour's scores come from baselines that still know little. They are forgotten once as
many others have been learned."""
LEAST_P_VALUE = 1e-12


class Verdict(NamedTuple):
    """What a score means: ``p_value`` is the chance that one bar starts an episode as extreme."""

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
        """The mean of what episodes exceed the threshold by."""
        return self.scale / (1.0 - self.shape)

    def episodes_beyond(self, score: float) -> float:
        """Expected episodes a bar that reach a score above the threshold."""
        excess = (score - self.threshold) / self.scale
        if abs(self.shape) < 1e-6:
            beyond = math.exp(-excess)
        else:
            beyond = max(0.0, 1.0 + self.shape * excess) ** (-1.0 / self.shape)
        return max(LEAST_P_VALUE, self.episodes_per_bar * beyond)


class CalibrationState(Struct):
    """All that a calibration has learned; a snapshot keeps it and puts it back.

    ``waiting`` are the scores that have not settled; ``peaks`` holds each remembered episode's
    first bar and highest score; ``unusual_bars`` says how long scores have been far out;
    ``prior`` is the tail that peers have taught.
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
    """Peaks over threshold, the peaks being the highest scores of episodes.

    Parameters
    ----------
    budget_per_day
        The false alarms a day that this stream of scores may raise.
    bar_seconds
        The length of a bar.
    warmup_bars
        Bars learned before anything is judged.
    level
        The quantile of the scores above which the tail begins.
    run_bars
        So many bars below the threshold end an episode (runs declustering).
    max_peaks
        Episodes remembered, the latest.
    settle_bars
        A score is learned only after so many bars in which none was far out: what leads up to an
        alarm belongs to it and is forgotten with it.
    relearn_bars
        What has been far out for this long is learned like anything else.
    prior
        The tail that peers have taught; None where there are none.

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
        """Whether too little has been learned to judge a score."""
        return self.state.bars < self.warmup_bars

    @property
    def _grown_up(self) -> bool:
        """Whether what was learned in the first hour has been forgotten."""
        return self.state.bars >= 2 * YOUNG_BARS

    def judge(self, score: float) -> Verdict:
        """What a score means by what was learned so far; not to be asked while warming up."""
        assert not self.warming_up
        bars_per_day = DAY_SECONDS / self.bar_seconds
        tail = self.state.tail
        if score > tail.threshold:
            beyond = tail.episodes_beyond(score)
            expected_per_day = beyond * bars_per_day
            return Verdict(beyond, expected_per_day, expected_per_day <= self.budget_per_day)
        # Below the tail only the order matters: geometric from 1 to the tail's start.
        p_value = tail.episodes_per_bar ** (score / tail.threshold) if tail.threshold > 0.0 else 1.0
        return Verdict(p_value, p_value * bars_per_day, alarm=False)

    def stress_ratio(self, p_value: float) -> float:
        """Where a p-value lies between no surprise (0) and an alarm (1), in log probability."""
        bars_per_day = DAY_SECONDS / self.bar_seconds
        at_alarm = min(0.5, self.budget_per_day / bars_per_day)
        return min(1.0, math.log(max(p_value, 1e-300)) / math.log(at_alarm))

    def learn(self, score: float) -> None:
        """Take a bar's score, to be learned once it has settled.

        What is far out is left out until it has lasted, and so is what led up to it.
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
        """Place the threshold by the warm-up's scores and the peers', and learn the scores."""
        state = self.state
        ordered = sorted(state.waiting)
        n = len(ordered)
        state.threshold = ordered[int(self.level * (n - 1))]
        if state.prior is not None:
            prior_squares = PEER_BARS * state.prior.threshold
            state.threshold = (n * state.threshold + prior_squares) / (n + PEER_BARS)
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

        A few episodes say little, so what they say is drawn towards a prior: the peers' tail, or a
        mild one where there are no peers.
        """
        state = self.state
        threshold, prior = state.threshold, state.prior
        excesses = sorted(score - threshold for _, score in state.peaks if score > threshold)
        n = len(excesses)
        if prior is None:
            weight = PRIOR_EPISODES
            shape = PRIOR_SHAPE if self._grown_up else YOUNG_SHAPE
            mean = PRIOR_EXCESS_RATIO * max(threshold, 1.0)
        else:
            weight = PEER_EPISODES
            shape, mean = prior.shape, prior.mean_excess
        if n >= 10 and (moments := _shape_by_moments(excesses)) is not None:
            drawn = max(weight, SHAPE_EPISODES)
            shape = (n * moments + drawn * shape) / (n + drawn)
        shape = min(max(shape, SHAPES[0]), SHAPES[1])
        mean = (sum(excesses) + weight * mean) / (n + weight)
        state.tail = Tail(threshold, self._episodes_per_bar(n), shape, mean * (1.0 - shape))

    def _episodes_per_bar(self, episodes: int) -> float:
        state = self.state
        first = YOUNG_BARS if self._grown_up else 0
        if len(state.peaks) == self.max_peaks:
            first = state.peaks[0][0]
        bars = state.bars - first
        if state.prior is None:
            return min(1.0, (episodes + 1) / (bars + self.run_bars))
        prior_squares = PEER_EPISODES / state.prior.episodes_per_bar
        return min(1.0, (episodes + PEER_EPISODES) / (bars + prior_squares))


def _shape_by_moments(excesses: list[float]) -> float | None:
    """A generalised Pareto distribution's shape from sorted excesses; None if undefined."""
    n = len(excesses)
    first = sum(excesses) / n
    second = sum(x * (n - 1 - i) for i, x in enumerate(excesses)) / (n * (n - 1))
    if first <= 2.0 * second:
        return None
    return 2.0 - first / (first - 2.0 * second)
