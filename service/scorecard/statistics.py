"""Intervals and quantiles for small samples. An undefined value is None."""

import math
from collections.abc import Sequence

from msgspec import Struct

from detectors.fairness.statistics import Z, wilson


class Interval(Struct, frozen=True):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def share(part: int, whole: int) -> Interval | None:
    """A share of trials, with Wilson's score interval (1927, eq. 4).

    >>> recall = share(9, 10)
    >>> round(recall.low, 3), recall.value, round(recall.high, 3)
    (0.596, 0.9, 0.982)
    >>> share(0, 0) is None
    True
    """
    if whole == 0:
        return None
    return Interval(*wilson(part, whole))


def rate(counts: Sequence[int], exposures: Sequence[float]) -> Interval | None:
    """Events over exposure, with an interval clustered by observation.

    Counts within one cluster need not be independent. The Poisson interval is therefore computed
    for the count divided by the clusters' dispersion (quasi-Poisson: McCullagh and Nelder, 1989,
    section 6.2; never below 1), with Wilson and Hilferty's approximation (1931) of the exact
    interval.

    >>> alarms = rate([1, 0, 2, 1], [1.0, 1.0, 1.0, 1.0])
    >>> round(alarms.low, 2), alarms.value, round(alarms.high, 2)
    (0.27, 1.0, 2.56)
    """
    total = sum(exposures)
    if total <= 0.0:
        return None
    count = sum(counts)
    dispersion = 1.0
    if count and len(counts) > 1:
        mean = count / total
        terms = [
            (n - mean * e) ** 2 / (mean * e) for n, e in zip(counts, exposures, strict=True) if e
        ]
        dispersion = max(1.0, sum(terms) / (len(terms) - 1))
    effective = count / dispersion
    low = _poisson(effective, -Z) * dispersion if count else 0.0
    high = _poisson(effective + 1.0, Z) * dispersion
    return Interval(count / total, low / total, high / total)


def poisson(count: int, exposure: float) -> Interval | None:
    """Events over exposure, with the exact interval (Garwood 1936); None without exposure.

    >>> alarms = poisson(2, 4.0)
    >>> round(alarms.low, 3), alarms.value, round(alarms.high, 3)
    (0.061, 0.5, 1.806)
    >>> round(poisson(0, 1.0).high, 3)
    3.689
    """
    if exposure <= 0.0:
        return None
    low = _mean_at(count - 1, 0.975) if count else 0.0
    return Interval(count / exposure, low / exposure, _mean_at(count, 0.025) / exposure)


def _mean_at(count: int, probability: float) -> float:
    """The mean of the Poisson distribution that is at most ``count`` with this probability."""
    low, high = 0.0, 10.0 + 2.0 * count
    while high - low > 1e-9 * high:
        mean = (low + high) / 2.0
        terms = (n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(count + 1))
        if math.fsum(map(math.exp, terms)) > probability:
            low = mean
        else:
            high = mean
    return low


def _poisson(n: float, z: float) -> float:
    return n * float(1.0 - 1.0 / (9.0 * n) + z / (3.0 * math.sqrt(n))) ** 3


def quantile(values: Sequence[float], level: float) -> float | None:
    """The quantile of the values, interpolated linearly; None without values.

    >>> quantile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    if not values:
        return None
    ordered = sorted(values)
    position = level * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
