"""How crowded the positions of a symbol are: basis, funding, volatility and open interest together.

Each is compared with its own week (median and median absolute deviation, so that a crowded day does
not hide itself). A basis and a funding rate that point the same way, with much open interest, mean
that many hold the same leveraged position. The joint score weighs them by their correlation.

References
----------
[^1]: Schmeling, M., Schrimpf, A. & Todorov, K., 2023. Crypto carry. BIS Working Papers 1087.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from detectors.table import Floats

MOST_SAMPLES = 168
LONGEST_MINUTES = 64
"""A symbol's week is 168 samples of an hour; a new symbol has one a minute, then of two, and so on:
the length doubles whenever the samples are full, so the memory is a few hundred floats."""

LEAST_SAMPLES = 30
HALF_LIFE_MINUTES = 3 * 1_440.0
SHRINKAGE = 0.2
"""Weights of the correlation: half after three days, and a fifth towards independence."""

LARGEST = 10.0
"""A larger deviation counts as this one."""

HIGH = 2.0
"""A deviation from which a state is told."""

FEATURES = ("basis", "funding", "volatility", "open_interest")
_UNITS = (1e-4, 1e-5, 0.1, 0.01)
"""The smallest scale of each feature: 1 bp, 0.1 bp, a tenth and a hundredth of a log ratio."""

State = Literal["crowded", "unwinding", "squeezed", "ordinary"]


class Sample(NamedTuple):
    """The features of a minute.

    Attributes
    ----------
    basis
        Mark price over index less 1.
    funding
        The funding rate as published.
    volatility
        Logarithm of the volatility of the last hour over that of the week.
    open_interest
        Logarithm of the open interest over what is traded in a day.
    """

    basis: float
    funding: float
    volatility: float
    open_interest: float


class Reading(NamedTuple):
    """How far each feature is from its week, in robust standard deviations, and all together.

    ``direction`` is 1 if basis and funding say that longs pay, -1 if shorts do. ``score`` is the
    squared length of the deviations that point to crowding, in units of their correlation.
    """

    direction: int
    deviations: Sample
    score: float
    state: State


class WeekState(Struct):
    """A `Week` as it is kept for a successor; rows of float32, byte for byte."""

    minutes: int
    open_count: int
    open_sum: tuple[float, float, float, float]
    samples: bytes


class Week:
    """The features of a symbol over up to a week, in bounded memory.

    Examples
    --------
    >>> week = Week()
    >>> for minute in range(60):
    ...     week.add(Sample(1e-4 * (minute % 3), 1e-5, 0.0, 0.01 * (minute % 2)))
    >>> its = week.read(Sample(2e-3, 9e-5, 0.0, 0.2))
    >>> its.direction, its.state, its.score > 50.0
    (1, 'crowded', True)
    """

    __slots__ = ("_minutes", "_open", "_open_count", "_samples")

    def __init__(self) -> None:
        self._samples: Floats = np.zeros((0, len(FEATURES)))
        self._minutes = 1
        self._open: Floats = np.zeros(len(FEATURES))
        self._open_count = 0

    def add(self, sample: Sample) -> None:
        """Learn the features of a minute."""
        self._open = self._open + np.array(sample)
        self._open_count += 1
        if self._open_count < self._minutes:
            return
        self._samples = np.vstack([self._samples, self._open / self._open_count])
        self._open, self._open_count = np.zeros(len(FEATURES)), 0
        if len(self._samples) <= MOST_SAMPLES:
            return
        if self._minutes < LONGEST_MINUTES:
            even = len(self._samples) // 2 * 2
            self._samples = self._samples[-even:].reshape(-1, 2, len(FEATURES)).mean(axis=1)
            self._minutes *= 2
        else:
            self._samples = self._samples[1:]

    def read(self, sample: Sample) -> Reading | None:
        """Compare a minute with the week; None while too little is known."""
        if len(self._samples) < LEAST_SAMPLES:
            return None
        middle = np.median(self._samples, axis=0)
        scale = 1.4826 * np.median(np.abs(self._samples - middle), axis=0)
        scale = np.maximum(scale, _UNITS)
        z = np.clip((np.array(sample) - middle) / scale, -LARGEST, LARGEST)
        direction = 1 if z[0] + z[1] >= 0.0 else -1
        against = np.array([direction, direction, 1.0, 1.0])
        towards = np.maximum(against * z, 0.0)
        past = np.clip((self._samples - middle) / scale, -LARGEST, LARGEST) * against
        score = float(towards @ np.linalg.solve(self._correlation(past), towards))
        basis, funding, volatility, interest = z.tolist()
        return Reading(
            direction,
            Sample(basis, funding, volatility, interest),
            max(score, 0.0),
            _state(direction, basis, funding, volatility, interest),
        )

    def _correlation(self, past: Floats) -> Floats:
        """Return the weighted correlation, shrunk towards independence."""
        age = np.arange(len(past))[::-1] * self._minutes
        weight = 0.5 ** (age / HALF_LIFE_MINUTES)
        centred = past - np.average(past, axis=0, weights=weight)
        covariance = (weight[:, None] * centred).T @ centred
        deviation = np.sqrt(np.maximum(np.diagonal(covariance), 1e-12))
        correlation: Floats = covariance / np.outer(deviation, deviation)
        correlation *= 1.0 - SHRINKAGE
        np.fill_diagonal(correlation, 1.0)
        return correlation

    def state(self) -> WeekState:
        """Return what is known, for a successor."""
        basis, funding, volatility, interest = self._open.tolist()
        return WeekState(
            self._minutes,
            self._open_count,
            (basis, funding, volatility, interest),
            self._samples.astype("<f4").tobytes(),
        )

    def restore(self, state: WeekState) -> None:
        """Continue from a state. Raises ValueError if its samples do not fit."""
        samples = np.frombuffer(state.samples, dtype="<f4").astype(np.float64)
        self._samples = samples.reshape(-1, len(FEATURES))
        self._minutes, self._open_count = state.minutes, state.open_count
        self._open = np.array(state.open_sum)


def _state(
    direction: int, basis: float, funding: float, volatility: float, interest: float
) -> State:
    pays = direction * (basis + funding) / 2.0
    if interest <= -HIGH and volatility >= HIGH:
        return "unwinding"
    if interest >= HIGH and pays >= HIGH and volatility < HIGH:
        return "crowded"
    if basis * funding < 0.0 and min(abs(basis), abs(funding)) >= HIGH:
        return "squeezed"
    return "ordinary"


def log_ratio(over: float, under: float) -> float:
    """Return the logarithm of a ratio; NaN unless both are above 0."""
    return math.log(over / under) if over > 0.0 and under > 0.0 else math.nan


def volatility(returns: Sequence[float]) -> float:
    """Return the root mean square of returns; 0 without any."""
    return math.sqrt(sum(its * its for its in returns) / len(returns)) if returns else 0.0
