"""How crowded a symbol is: basis, funding, volatility and open interest together.

Each is compared with its own week (median and median absolute deviation, so that a crowded day does
not hide itself). A basis and a funding rate that point the same way, with much open interest, mean
that many hold the same leveraged position. The joint score weighs them by their correlation.

References
----------
[^1]: Schmeling, M., Schrimpf, A. & Todorov, K., 2023. Crypto carry. BIS Working Papers 1087.
"""

import math
from collections import deque
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Reference
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement
from detectors.table import Floats

NAME = "crowding"

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

HOUR, DAY = 60, 1_440
"""In minutes."""

LEAST_RETURNS = 5
MINUTE_NS = 60_000_000_000

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


class _Followed:
    """What is known of one symbol between its minutes."""

    __slots__ = (
        "funding", "index", "last_mark", "mark", "minutes", "open_interest", "returns", "traded",
        "traded_mean", "variance", "week",
    )  # fmt: skip

    def __init__(self) -> None:
        self.mark = self.index = self.funding = self.open_interest = self.last_mark = math.nan
        self.traded = self.traded_mean = self.variance = 0.0
        self.minutes = 0
        self.returns: deque[float] = deque(maxlen=HOUR)
        self.week = Week()

    def take(self, reference: Reference) -> None:
        for name, value in (
            ("mark", reference.mark_price),
            ("index", reference.index_price),
            ("funding", reference.funding_rate),
            ("open_interest", reference.open_interest),
        ):
            if value is not None:
                setattr(self, name, value)

    def close_minute(self) -> Reading | None:
        """Return how the minute that ends compares with the week, and learn it."""
        if not math.isnan(self.last_mark):
            moved = math.log(self.mark / self.last_mark)
            self.returns.append(moved)
            self.minutes += 1
            self.variance += (moved * moved - self.variance) / min(self.minutes, 7 * DAY)
            self.traded_mean += (self.traded - self.traded_mean) / min(self.minutes, DAY)
        self.last_mark, self.traded = self.mark, 0.0
        sample = self._sample()
        if sample is None:
            return None
        reading = self.week.read(sample)
        self.week.add(sample)
        return reading

    def _sample(self) -> Sample | None:
        """Return the features; None while one of them is unknown."""
        if len(self.returns) < LEAST_RETURNS or not self.traded_mean * self.variance > 0.0:
            return None
        if not self.open_interest > 0.0:
            return None
        recent = sum(its * its for its in self.returns) / len(self.returns)
        sample = Sample(
            self.mark / self.index - 1.0,
            self.funding,
            0.5 * math.log(max(recent, 1e-12) / max(self.variance, 1e-12)),
            math.log(self.open_interest * self.mark / (self.traded_mean * DAY)),
        )
        return sample if all(map(math.isfinite, sample)) else None


class CrowdingState(Struct):
    """What is known of a symbol's week, for a successor; the rest is read again."""

    minutes: int
    variance: float
    traded_mean: float
    week: WeekState


class Crowding:
    """The crowding of each symbol, once a minute. It is context, and raises no alarm.

    On simulated markets the joint score says nothing of the liquidations of the next ten minutes
    that open interest alone does not say (``benchmarks/crowding.py``).

    Attributes
    ----------
    readings
        The reading of each symbol's last minute.
    """

    name = NAME
    version = 1
    quiet_ns = 0
    over = ""
    needs: tuple[str, ...] = ("references",)
    remembered = CrowdingState

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.readings: dict[str, Reading] = {}
        self._followed: dict[str, _Followed] = {}

    def take(self, event: RiskInput, _scene: Scene) -> None:
        """Take a reference; nothing else matters."""
        if isinstance(event, Reference):
            self._of(event.symbol).take(event)

    def summarise(self, symbol: str, _ends_at: int, summary: BookSummary) -> None:
        """Count what traded in a bar."""
        self._of(symbol).traded += summary.bought + summary.sold

    def judge(self, ts_event: int, _scene: Scene) -> dict[str, Verdict]:
        """Read all symbols at the end of a minute; nothing holds."""
        if ts_event % MINUTE_NS == 0:
            for symbol, its in self._followed.items():
                reading = its.close_minute()
                if reading is None:
                    self.readings.pop(symbol, None)
                else:
                    self.readings[symbol] = reading
        return {}

    def memory(self, symbol: str) -> CrowdingState | None:
        """Return what a successor cannot read again."""
        its = self._followed.get(symbol)
        if its is None:
            return None
        return CrowdingState(its.minutes, its.variance, its.traded_mean, its.week.state())

    def restore(self, symbol: str, state: CrowdingState) -> None:
        """Continue a symbol from a memory. Raises ValueError if its samples do not fit."""
        its = self._of(symbol)
        its.week.restore(state.week)
        its.minutes, its.variance = state.minutes, state.variance
        its.traded_mean = state.traded_mean

    def _of(self, symbol: str) -> _Followed:
        its = self._followed.get(symbol)
        if its is None:
            its = self._followed[symbol] = _Followed()
        return its
