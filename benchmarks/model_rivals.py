"""The models that are compared, and what each makes of a recorded market, online.

All but the robust z begin with the deviations that the code's own model finds (in standard
deviations from its baseline): none is at a disadvantage because of how its inputs are scaled.
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
"""Standard deviations that are 1 to a model whose inputs lie in [0, 1]; what fell is 0."""


class Model(Protocol):
    """What river asks of an anomaly detector."""

    def score_one(self, x: Features) -> float:
        """How anomalous a bar's features are."""
        ...

    def learn_one(self, x: Features) -> None:
        """Learn a bar's features."""
        ...


class Mahalanobis:
    """One-sided exponentially weighted Mahalanobis distance.

    The length of the deviations' risen part under the inverse of their correlations, which begin
    as none, weighing like ``PRIOR_BARS``, and are kept from being singular by ``RIDGE``.
    """

    PRIOR_BARS = 300
    RIDGE = 0.05

    def __init__(self, detector: Detector) -> None:
        self.baseline: Surprise = detector.model()
        self.bars = self.PRIOR_BARS
        self.correlations: NDArray[np.float64] | None = None

    def score_one(self, x: Features) -> float:
        """The distance; 0 while nothing has been learned."""
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
    """The largest rise over a running median, in running median absolute deviations.

    Both follow by stochastic approximation: a step up or down at each bar, as long as a share of
    the deviation (Robbins and Monro, 1951).
    """

    def __init__(self, detector: Detector) -> None:
        model = detector.model()
        self.step = 10.0 / model.memory
        self.floor = model.min_deviation
        self.habits: dict[str, tuple[float, float, int]] = {}

    def score_one(self, x: Features) -> float:
        """The largest deviation of a feature."""
        return max((self._z(name, value) for name, value in x.items()), default=0.0)

    def learn_one(self, x: Features) -> None:
        """Take a step towards the values."""
        for name, value in x.items():
            median, spread, bars = self.habits.get(name, (value, self.floor, 0))
            step = max(self.step, 1.0 / (1.0 + bars)) * spread
            spread += math.copysign(step, abs(value - median) - spread)
            median += math.copysign(step, value - median) if value != median else 0.0
            self.habits[name] = median, max(spread, self.floor), bars + 1

    def _z(self, name: str, value: float) -> float:
        habit = self.habits.get(name)
        return max(0.0, (value - habit[0]) / (1.4826 * habit[1])) if habit else 0.0


class Standardised:
    """One of river's models on the deviations; where it needs inputs in [0, 1], on what rose."""

    def __init__(self, detector: Detector, model: Model, *, risen: bool) -> None:
        self.baseline: Surprise = detector.model()
        self.model = model
        self.risen = risen

    def score_one(self, x: Features) -> float:
        """The model's score of the deviations; 0 while there are none."""
        z = self._inputs(x)
        return self.model.score_one(z) if len(z) == len(x) else 0.0

    def learn_one(self, x: Features) -> None:
        """Teach the model the deviations, then the baseline the features."""
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
    """River's LODA: twenty projections instead of a hundred, which cost five times as much."""
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
    """What every model makes of a market's bars, by symbol and `key`; kept beside the market.

    NaN where nothing is judged: the bar lacks its inputs, or the symbol settles after a lull.
    """
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = path.with_suffix(f".{code}.npz")
    if not kept.exists():
        arrays = {}
        for symbol in market.symbols:
            arrays |= {f"{symbol.symbol} {at}": a for at, a in _scored(symbol).items()}
        unfinished = kept.with_suffix(".unfinished.npz")
        np.savez(unfinished, **arrays)
        unfinished.rename(kept)
    with np.load(kept) as arrays:
        return dict(arrays)


def key(detector: str, model: str) -> str:
    """A model's scores; with "seconds" after it the processor time that they took."""
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
            at = key(detector.name, name)
            began = time.process_time()
            scores = _online(make(detector), xs)
            arrays[f"{at} seconds"] = np.array(time.process_time() - began)
            scores[settling] = np.nan
            arrays[at] = scores
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
    """Each feature's square in the code's score: they add up, and no feature minds the others."""
    parts = np.full((len(xs), features), np.nan)
    for bar, x in enumerate(xs):
        if x is not None:
            z = model.deviations_one(x)
            parts[bar] = [max(0.0, z.get(name, 0.0)) ** 2 for name in x]
            model.learn_one(x)
    return parts


def _settling(times: list[int]) -> NDArray[np.bool_]:
    """The bars after a lull in which nothing is judged."""
    settling = np.zeros(len(times), dtype=bool)
    after = 0
    for bar, at in enumerate(times):
        after = 1 if bar == 0 or at - times[bar - 1] > LULL_NS else after + 1
        settling[bar] = after <= SETTLING_BARS
    return settling
