"""The mark price that a rule gives along a path of book and index: one step, or a whole column."""

import math

import numpy as np

from detectors.table import Floats

FROZEN_SECONDS = 60.0
FROZEN_DEVIATIONS = 5.0
"""An index that stands still for longer, while the mid price moves by more, is frozen."""


def averaged(average: float, value: float, elapsed: float, window: float) -> float:
    """Return an exponential mean after a value held for some time.

    Parameters
    ----------
    average
        The mean before; NaN if there is none, the value then begins it.
    value
        What held; NaN if it is unknown, the mean then stays.
    elapsed, window
        The time that it held, and the time constant above 0, in the same unit.

    Examples
    --------
    >>> round(averaged(0.0, 1.0, 30.0, 30.0), 4)
    0.6321
    >>> averaged(0.5, math.nan, 1.0, 30.0), averaged(math.nan, 2.0, 1.0, 30.0)
    (0.5, 2.0)
    """
    if not math.isfinite(value):
        return average
    if math.isnan(average):
        return value
    return average - math.expm1(-elapsed / window) * (value - average)


def price_of(index: float, premium: float, clamp: float) -> float:
    """Return the mark price of an index and a mean premium, at most ``clamp`` from the index.

    >>> price_of(100.0, 0.02, 0.05), price_of(100.0, -0.2, 0.05)
    (102.0, 95.0)
    """
    return index * (1.0 + min(max(premium, -clamp), clamp))


def exponential(times: Floats, values: Floats, seconds: float, start: float) -> Floats:
    """Return the exponential mean at each time of values that hold since the time before."""
    elapsed = np.diff(times, prepend=times[0])
    average = start
    found = []
    for span, value in zip(elapsed.tolist(), values.tolist(), strict=True):
        average = averaged(average, value, span, seconds)
        found.append(average)
    return np.array(found)


def window_mean(times: Floats, values: Floats, seconds: float) -> Floats:
    """Return the time-weighted mean of a moving window at each time; NaN before it is whole."""
    spans = np.diff(times, prepend=times[0])
    known = np.isfinite(values)
    area = np.cumsum(np.where(known, values, 0.0) * spans)
    length = np.cumsum(np.where(known, spans, 0.0))
    first = np.searchsorted(times, times - seconds, side="right") - 1
    whole = first >= 0
    first = np.maximum(first, 0)
    span = length - length[first]
    mean = (area - area[first]) / np.where(span > 0.0, span, math.nan)
    return np.where(whole, mean, math.nan)


def excursion(difference: float, variance: float, probability: float) -> float:
    """Return how far beyond both ends a Brownian bridge goes with a given probability.

    Between ends that differ by d the bridge with variance v exceeds the higher end by x with
    probability exp(-2 x (x + d) / v), so x = (sqrt(d^2 + 2 v ln(1 / p)) - d) / 2.

    Examples
    --------
    Equal ends, variance 2, p = e^-1: x (x + 0) = 1.

    >>> round(excursion(0.0, 2.0, math.exp(-1.0)), 9)
    1.0

    References
    ----------
    [^1]: [Karatzas, I. & Shreve, S., 1991. Brownian Motion and Stochastic Calculus, 4.3.40.]
    (https://doi.org/10.1007/978-1-4612-0949-2)
    """
    d = abs(difference)
    return (math.sqrt(d * d + 2.0 * variance * math.log(1.0 / probability)) - d) / 2.0


def is_frozen(moved: float, deviation: float, seconds: float) -> bool:
    """Whether an index that stood still is at odds with the book.

    Parameters
    ----------
    moved
        The log return of the mid price in that time.
    deviation
        The usual standard deviation of its log return in a second.
    seconds
        For how long the index stood still.

    Examples
    --------
    With 1 bp a second, 100 s usually bring 10 bps:

    >>> is_frozen(0.006, 1e-4, 100.0), is_frozen(0.004, 1e-4, 100.0), is_frozen(0.006, 1e-4, 50.0)
    (True, False, False)
    """
    usual = deviation * math.sqrt(seconds)
    return seconds > FROZEN_SECONDS and 0.0 < FROZEN_DEVIATIONS * usual < abs(moved)
