"""From a score of any scale to an alarm, under a budget of false alarms.

Peaks over threshold on the stream itself: the score's high quantile is tracked, exceedances of it
that stand close together are one episode, and a generalised Pareto tail is fitted to the episodes'
highest scores. From the tail follows how many episodes a day reach a score by chance alone, and
an alarm is a score that fewer reach than the budget allows. What raised an alarm teaches nothing,
unless it lasts: then it is the new normal.
"""

import math
from typing import NamedTuple

from msgspec import Struct

DAY_SECONDS = 86_400.0
PRIOR_SHAPE = 0.05
PRIOR_SCALE = 0.35
"""Of the tail, as a share of the threshold. Both were chosen on the scorecard's tuning seeds."""
PRIOR_EPISODES = 5
LEARN_BARS = 60
"""Settled scores are learned so many at a time."""
QUANTILE_STEP = 0.05
"""Of the threshold's approximation, as a share of the tail's scale."""


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

    def episodes_beyond(self, score: float) -> float:
        """Expected episodes a bar that reach a score above the threshold."""
        excess = (score - self.threshold) / self.scale
        if self.shape < 1e-6:
            return self.episodes_per_bar * math.exp(-excess)
        return float(self.episodes_per_bar * (1.0 + self.shape * excess) ** (-1.0 / self.shape))


class CalibrationState(Struct):
    """All that a calibration has learned; a snapshot keeps it and puts it back.

    ``waiting`` are the scores that have not settled; ``peaks`` holds each remembered episode's
    first bar and highest score.
    """

    bars: int = 0
    waiting: list[float] = []
    threshold: float = 0.0
    peaks: list[tuple[int, float]] = []
    last_exceedance: int = 0
    alarmed_bars: int = 0
    tail: Tail = Tail(0.0, 1.0, PRIOR_SHAPE, 1.0)


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
        A score is learned only after so many bars without an alarm: what leads up to an alarm
        belongs to it and is forgotten with it.
    relearn_bars
        An alarm that has lasted this long is learned like anything else.

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
        level: float = 0.97,
        run_bars: int = 30,
        max_peaks: int = 200,
        settle_bars: int = 600,
        relearn_bars: int = 900,
    ) -> None:
        self.budget_per_day = budget_per_day
        self.bar_seconds = bar_seconds
        self.warmup_bars = warmup_bars
        self.level = level
        self.run_bars = run_bars
        self.max_peaks = max_peaks
        self.settle_bars = settle_bars
        self.relearn_bars = relearn_bars
        self.state = CalibrationState(last_exceedance=-run_bars)

    @property
    def warming_up(self) -> bool:
        """Whether too little has been learned to judge a score."""
        return self.state.bars < self.warmup_bars

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

        What raises an alarm is left out until the alarm has lasted, and so is what led up to it.
        """
        state = self.state
        if self.warming_up:
            state.waiting.append(score)
            if len(state.waiting) == self.warmup_bars:
                self._begin()
            return
        if self.judge(score).alarm:
            state.alarmed_bars += 1
            if state.alarmed_bars < self.relearn_bars:
                state.waiting.clear()
                return
        else:
            state.alarmed_bars = max(0, state.alarmed_bars - 1)
        state.waiting.append(score)
        if len(state.waiting) >= self.settle_bars + LEARN_BARS:
            for settled in state.waiting[:LEARN_BARS]:
                self._observe(settled)
            del state.waiting[:LEARN_BARS]
            self._fit()

    def _begin(self) -> None:
        """Place the threshold by the warm-up's scores, and learn them."""
        state = self.state
        ordered = sorted(state.waiting)
        state.threshold = ordered[int(self.level * (len(ordered) - 1))]
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
        # Stochastic approximation of the quantile (Robbins and Monro, 1951).
        state.threshold += QUANTILE_STEP * state.tail.scale * (exceeds - (1.0 - self.level))

    def _fit(self) -> None:
        """Fit the tail by probability-weighted moments (Hosking and Wallis, 1987, section 3.2).

        A few episodes say little about a tail's shape, so shape and scale are drawn towards a
        mild prior as if it had been seen in PRIOR_EPISODES episodes.
        """
        state = self.state
        threshold = state.threshold
        excesses = sorted(score - threshold for _, score in state.peaks if score > threshold)
        n = len(excesses)
        shape = PRIOR_SHAPE
        if n >= 10:
            first = sum(excesses) / n
            second = sum(x * (n - 1 - i) for i, x in enumerate(excesses)) / (n * (n - 1))
            if first > 2.0 * second:
                moments = 2.0 - first / (first - 2.0 * second)
                shape = (n * moments + PRIOR_EPISODES * PRIOR_SHAPE) / (n + PRIOR_EPISODES)
        # A negative shape is a largest possible score, which nobody knows.
        shape = min(max(shape, 0.0), 0.5)
        prior = PRIOR_SCALE * max(threshold, 1.0)
        mean = (sum(excesses) + PRIOR_EPISODES * prior) / (n + PRIOR_EPISODES)
        full = len(state.peaks) == self.max_peaks
        seen_bars = state.bars - (state.peaks[0][0] if full else 0)
        state.tail = Tail(
            threshold,
            min(1.0, (n + 1) / (seen_bars + self.run_bars)),
            shape,
            mean * (1.0 - shape),
        )
