"""The compared models, and their online scores on a recorded market.

The service judges each statistic by its own tail. Every other model mixes the statistics of a
detector into one score, which is judged by a tail of the same kind. What the activity of a market
explains is never rare.
"""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from model_markets import ALARMING, Market, Recorded
from numpy.typing import NDArray
from river import anomaly

from detectors.detector import Detector
from detectors.judging.robust_tails import FIRST, RobustTails
from detectors.judging.surprise import Surprise
from detectors.judging.tail import LEAST_BLOCKS, Tails
from detectors.symbol import LULL_NS, SETTLING_BARS
from detectors.table import Writes

Features = dict[str, float]
Scores = NDArray[np.float64]

SEED = 1

WARMUP_BARS = 240
BASELINE_BARS = WARMUP_BARS // 2
"""The bars before the first judgement, and those of them that teach the baselines only."""

UNIT = 0.01
"""The smallest scale of the tail of a mixed score."""

MOST_DEVIATION = 10.0
"""The deviation, in standard deviations, that maps to 1 for models with inputs in [0, 1]; falls map
to 0."""


class Model(Protocol):
    """River's interface of an anomaly detector."""

    def score_one(self, x: Features) -> float:
        """How anomalous the statistics of a bar are."""
        ...

    def learn_one(self, x: Features) -> None:
        """Learn the statistics of a bar."""
        ...


class OwnTails:
    """The service's judgement: the rarity of the rarest statistic that matters."""

    def __init__(self, detector: Detector) -> None:
        self.model = RobustTails(detector.statistics, warmup_bars=WARMUP_BARS)

    def rarities(self, x: Features) -> Features:
        """Minus the decimal logarithm of how many times a day each statistic is as rare."""
        return {
            its.name: -math.log10(max(its.per_day, 1e-300))
            for its in self.model.judge_one(x)
            if its.matters
        }

    def score_one(self, x: Features) -> float:
        """The largest of the rarities."""
        return max(self.rarities(x).values(), default=NEVER)

    def learn_one(self, x: Features) -> None:
        """Learn each statistic."""
        self.model.learn_one(x)


NEVER = -10.0
"""The rarity of what does not matter, or cannot be judged yet."""


class OneTail:
    """A model that mixes the statistics into one score, and the tail of this score."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tail = Tails([UNIT], (WARMUP_BARS - BASELINE_BARS) // LEAST_BLOCKS)
        self.tail.resize(1)
        self.bars = 0

    def score_one(self, x: Features) -> float:
        """Minus the decimal logarithm of how many times a day the score is as high."""
        if self.tail.warming_up(0, slice(None)):
            return NEVER
        score = np.array([[self.model.score_one(x)]])
        return -math.log10(max(float(self.tail.per_day_many(FIRST, score)[0, 0]), 1e-300))

    def learn_one(self, x: Features) -> None:
        """Learn the score in the tail, then the statistics in the model."""
        self.bars += 1
        if self.bars > BASELINE_BARS:
            score = np.array([[self.model.score_one(x)]])
            with Writes() as writes:
                self.tail.learn_many(FIRST, score, np.array([[True]]), writes)
        self.model.learn_one(x)


class Mahalanobis:
    """One-sided exponentially weighted Mahalanobis distance.

    The length of the positive part of the deviations under the inverse of their correlations. The
    correlations start at the identity with a weight of ``PRIOR_BARS`` bars. ``RIDGE`` keeps them
    from being singular.
    """

    PRIOR_BARS = 300
    RIDGE = 0.05

    def __init__(self, statistics: int) -> None:
        self.baseline = Surprise()
        self.bars = self.PRIOR_BARS
        self.correlations = np.eye(statistics)

    def score_one(self, x: Features) -> float:
        """The distance; 0 for a bar without one of the statistics."""
        z = self._deviations(x)
        if len(z) != len(self.correlations):
            return 0.0
        risen = np.maximum(z, 0.0)
        ridge = self.correlations + self.RIDGE * np.eye(len(z))
        return math.sqrt(float(risen @ np.linalg.solve(ridge, risen)))

    def learn_one(self, x: Features) -> None:
        """Learn the correlations, then the baseline."""
        clip = self.baseline.clip
        z = self._deviations(x)
        if len(z) == len(self.correlations):
            z = np.clip(z, -clip, clip)
            self.bars += 1
            weight = max(1.0 / self.bars, 1.0 / self.baseline.memory)
            self.correlations += weight * (np.outer(z, z) - self.correlations)
        self.baseline.learn_one(x)

    def _deviations(self, x: Features) -> NDArray[np.float64]:
        return np.array(list(self.baseline.deviations_one(x).values()))


class Standardised:
    """One of river's models on the deviations; a missing statistic is as usual."""

    def __init__(self, detector: Detector, model: Model, *, risen: bool) -> None:
        self.baseline = Surprise()
        self.statistics = list(detector.statistics)
        self.model = model
        self.risen = risen

    def score_one(self, x: Features) -> float:
        """The model's score of the deviations."""
        return self.model.score_one(self._inputs(x))

    def learn_one(self, x: Features) -> None:
        """Learn the deviations in the model, then the statistics in the baseline."""
        self.model.learn_one(self._inputs(x))
        self.baseline.learn_one(x)

    def _inputs(self, x: Features) -> Features:
        """The deviations, or their positive part in [0, 1]."""
        deviations = self.baseline.deviations_one(x)
        z = {name: deviations.get(name, 0.0) for name in self.statistics}
        if not self.risen:
            return z
        return {name: min(1.0, max(0.0, value / MOST_DEVIATION)) for name, value in z.items()}


def half_space_trees(detector: Detector) -> Model:
    """River's half-space trees: ten of height eight, over 240 bars."""
    trees = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=240, seed=SEED)
    return OneTail(Standardised(detector, trees, risen=True))


def loda(detector: Detector) -> Model:
    """River's LODA with twenty projections; a hundred cost five times as much."""
    return OneTail(Standardised(detector, anomaly.LODA(n_random_cuts=20, seed=SEED), risen=False))


MODELS: dict[str, Callable[[Detector], Model]] = {
    "own tails (`RobustTails`, in the code)": OwnTails,
    "one-sided distance (`Surprise`), one tail": lambda _: OneTail(Surprise()),
    "one-sided Mahalanobis distance, one tail": lambda detector: OneTail(
        Mahalanobis(len(detector.statistics))
    ),
    "HalfSpaceTrees, one tail": half_space_trees,
    "LODA, one tail": loda,
}
PARTS = "parts"


def scored(path: Path, market: Market) -> dict[str, NDArray[np.float64]]:
    """Every model's scores of a market's bars, by symbol and `key`; stored next to the market.

    NaN where nothing is judged: the bar lacks inputs, or the symbol settles after a lull.
    """
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    cache = path.with_suffix(f".{code}.npz")
    if not cache.exists():
        arrays = {}
        for symbol in market.symbols:
            arrays |= {f"{symbol.symbol} {at}": a for at, a in _scored(symbol).items()}
        unfinished = cache.with_suffix(".unfinished.npz")
        np.savez(unfinished, **arrays)
        unfinished.rename(cache)
    with np.load(cache) as arrays:
        return dict(arrays)


def key(detector: str, model: str) -> str:
    """The key of a model's scores; with " seconds" appended, of their processor time."""
    return f"{detector} {model}"


def _scored(symbol: Recorded) -> dict[str, NDArray[np.float64]]:
    arrays = {}
    settling = _settling(symbol.times)
    for detector in ALARMING:
        track = symbol.tracks[detector.name]
        xs = [_given(track.features, bar) if bar is not None else None for bar in track.bars]
        for name, make in MODELS.items():
            array_key = key(detector.name, name)
            began = time.process_time()
            scores = _online(make(detector), xs)
            arrays[f"{array_key} seconds"] = np.array(time.process_time() - began)
            scores[track.explained] = NEVER
            scores[settling] = np.nan
            arrays[array_key] = scores
        parts = _parts(OwnTails(detector), xs, track.features)
        parts[track.explained] = NEVER
        parts[settling] = np.nan
        arrays[key(detector.name, PARTS)] = parts
    return arrays


def _online(model: Model, xs: list[Features | None]) -> Scores:
    scores = np.full(len(xs), np.nan)
    for bar, x in enumerate(xs):
        if x is not None:
            scores[bar] = model.score_one(x)
            model.learn_one(x)
    return scores


def _given(names: list[str], values: list[float | None]) -> Features:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _parts(model: OwnTails, xs: list[Features | None], names: list[str]) -> Scores:
    """The rarity of each statistic. The largest is the service's score."""
    parts = np.full((len(xs), len(names)), np.nan)
    for bar, x in enumerate(xs):
        if x is not None:
            rarities = model.rarities(x)
            parts[bar] = [rarities.get(name, NEVER) for name in names]
            model.learn_one(x)
    return parts


def _settling(times: list[int]) -> NDArray[np.bool_]:
    """The bars after a lull that are not judged."""
    settling = np.zeros(len(times), dtype=bool)
    after = 0
    for bar, at in enumerate(times):
        after = 1 if bar == 0 or at - times[bar - 1] > LULL_NS else after + 1
        settling[bar] = after <= SETTLING_BARS
    return settling
