"""The compared models, and their online scores on a recorded market.

All models except the robust z start from the deviations of the service's model (in standard
deviations from the baseline), so that no model is at a disadvantage because of input scaling.
"""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from model_markets import Market, Recorded
from numpy.typing import NDArray
from river import anomaly

from detectors.catalogue import CATALOGUE
from detectors.detector import Detector
from detectors.judging.surprise import Surprise
from detectors.symbol import LULL_NS, SETTLING_BARS

Features = dict[str, float]
Scores = NDArray[np.float64]

SEED = 1

MOST_DEVIATION = 10.0
"""The deviation, in standard deviations, that maps to 1 for models with inputs in [0, 1]; falls map
to 0."""


class Model(Protocol):
    """River's interface of an anomaly detector."""

    def score_one(self, x: Features) -> float:
        """How anomalous a bar's features are."""
        ...

    def learn_one(self, x: Features) -> None:
        """Learn a bar's features."""
        ...


class Mahalanobis:
    """One-sided exponentially weighted Mahalanobis distance.

    The length of the positive part of the deviations under the inverse of their correlations. The
    correlations start at the identity with a weight of ``PRIOR_BARS`` bars. ``RIDGE`` keeps them
    from being singular.
    """

    PRIOR_BARS = 300
    RIDGE = 0.05

    def __init__(self, detector: Detector) -> None:
        self.baseline: Surprise = detector.model()
        self.bars = self.PRIOR_BARS
        self.correlations: NDArray[np.float64] | None = None

    def score_one(self, x: Features) -> float:
        """The distance; 0 before anything has been learned."""
        z = self._deviations(x)
        if self.correlations is None or len(z) != len(x):
            return 0.0
        risen = np.maximum(z, 0.0)
        ridge = self.correlations + self.RIDGE * np.eye(len(z))
        return math.sqrt(float(risen @ np.linalg.solve(ridge, risen)))

    def learn_one(self, x: Features) -> None:
        """Learn the correlations, then the baseline."""
        clip = self.baseline.clip
        z = self._deviations(x)
        if len(z) == len(x):
            z = np.clip(z, -clip, clip)
            if self.correlations is None:
                self.correlations = np.eye(len(z))
            self.bars += 1
            weight = max(1.0 / self.bars, 1.0 / self.baseline.memory)
            self.correlations += weight * (np.outer(z, z) - self.correlations)
        self.baseline.learn_one(x)

    def _deviations(self, x: Features) -> NDArray[np.float64]:
        return np.array(list(self.baseline.deviations_one(x).values()))


class RobustZ:
    """The largest rise above a running median, in running median absolute deviations.

    Both use stochastic approximation: a step up or down at each bar, proportional to the deviation
    (Robbins and Monro, 1951).
    """

    def __init__(self, detector: Detector) -> None:
        model = detector.model()
        self.step = 10.0 / model.memory
        self.floor = model.min_deviation
        self.baselines: dict[str, tuple[float, float, int]] = {}

    def score_one(self, x: Features) -> float:
        """The largest deviation of a feature."""
        return max((self._z(name, value) for name, value in x.items()), default=0.0)

    def learn_one(self, x: Features) -> None:
        """Take a step towards the values."""
        for name, value in x.items():
            median, spread, bars = self.baselines.get(name, (value, self.floor, 0))
            step = max(self.step, 1.0 / (1.0 + bars)) * spread
            spread += math.copysign(step, abs(value - median) - spread)
            median += math.copysign(step, value - median) if value != median else 0.0
            self.baselines[name] = median, max(spread, self.floor), bars + 1

    def _z(self, name: str, value: float) -> float:
        baseline = self.baselines.get(name)
        return max(0.0, (value - baseline[0]) / (1.4826 * baseline[1])) if baseline else 0.0


class Standardised:
    """One of river's models on the deviations, or on their positive part in [0, 1]."""

    def __init__(self, detector: Detector, model: Model, *, risen: bool) -> None:
        self.baseline: Surprise = detector.model()
        self.model = model
        self.risen = risen

    def score_one(self, x: Features) -> float:
        """The model's score of the deviations; 0 while there are none."""
        z = self._inputs(x)
        return self.model.score_one(z) if len(z) == len(x) else 0.0

    def learn_one(self, x: Features) -> None:
        """Learn the deviations in the model, then the features in the baseline."""
        z = self._inputs(x)
        if len(z) == len(x):
            self.model.learn_one(z)
        self.baseline.learn_one(x)

    def _inputs(self, x: Features) -> Features:
        z = self.baseline.deviations_one(x)
        if not self.risen:
            return z
        return {name: min(1.0, max(0.0, value / MOST_DEVIATION)) for name, value in z.items()}


def half_space_trees(detector: Detector) -> Model:
    """River's half-space trees: ten of height eight, over 240 bars."""
    trees = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=240, seed=SEED)
    return Standardised(detector, trees, risen=True)


def loda(detector: Detector) -> Model:
    """River's LODA with twenty projections; a hundred cost five times as much."""
    return Standardised(detector, anomaly.LODA(n_random_cuts=20, seed=SEED), risen=False)


MODELS: dict[str, Callable[[Detector], Model]] = {
    "one-sided distance (`Surprise`, in the code)": lambda detector: detector.model(),
    "one-sided Mahalanobis distance": Mahalanobis,
    "largest robust z": RobustZ,
    "HalfSpaceTrees": half_space_trees,
    "LODA": loda,
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
    for detector in CATALOGUE:
        track = symbol.tracks.get(detector.name)
        if track is None:
            continue
        xs = [
            dict(zip(track.features, bar, strict=True)) if bar is not None else None
            for bar in track.bars
        ]
        for name, make in MODELS.items():
            array_key = key(detector.name, name)
            began = time.process_time()
            scores = _online(make(detector), xs)
            arrays[f"{array_key} seconds"] = np.array(time.process_time() - began)
            scores[settling] = np.nan
            arrays[array_key] = scores
        parts = _parts(detector.model(), xs, len(track.features))
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


def _parts(model: Surprise, xs: list[Features | None], features: int) -> Scores:
    """Each feature's square in the service's score. The squares add up and are independent."""
    parts = np.full((len(xs), features), np.nan)
    for bar, x in enumerate(xs):
        if x is not None:
            z = model.deviations_one(x)
            parts[bar] = [max(0.0, z.get(name, 0.0)) ** 2 for name in x]
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
