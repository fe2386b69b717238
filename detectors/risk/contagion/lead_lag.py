"""Which of two symbols moves first, from prices that are not observed at the same times."""

import math
from typing import NamedTuple

import numpy as np

from detectors.table import Floats, Ints

GRID_SECONDS = tuple(
    sign * seconds for sign in (-1.0, 1.0) for seconds in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
)
"""The lags that are looked at, in seconds."""


class LeadLag(NamedTuple):
    """How one symbol follows another.

    Attributes
    ----------
    lag_seconds
        By how much the second follows the first; below 0 if it leads. The lag of the largest
        contrast, of equal ones the shortest.
    correlation
        The correlation at that lag.
    ratio
        The squared correlations of all lags above 0 over those below 0: above 1, the first leads.
        Infinity if there are none below.
    """

    lag_seconds: float
    correlation: float
    ratio: float


def contrast(
    first_ns: Ints, first: Floats, second_ns: Ints, second: Floats, lag_seconds: float
) -> float:
    """Return the covariation of two prices if the second is read so much later.

    The sum of dX(I) dY(J) over all pairs of intervals I and J in which I meets J, J shifted back by
    the lag. For each I the matching J follow each other, so their sum is one difference of Y.

    Parameters
    ----------
    first_ns, second_ns
        Times of the observations in nanoseconds, strictly rising.
    first, second
        Logarithms of the prices at those times.
    lag_seconds
        The lag; above 0 if the second follows.

    Examples
    --------
    The second repeats each step of the first half a second later:

    >>> seconds = 10**9
    >>> x_ns, x = np.array([0, 1, 2, 3]) * seconds, np.array([0.0, 1.0, -1.0, 0.0])
    >>> y_ns = x_ns + seconds // 2
    >>> contrast(x_ns, x, y_ns, x, 0.5), contrast(x_ns, x, y_ns, x, 0.0)
    (6.0, 2.0)

    References
    ----------
    [^1]: [Hayashi, T. and Yoshida, N., 2005. On covariance estimation of non-synchronously observed
    diffusion processes. Bernoulli, 11(2), pp.359-379.](https://doi.org/10.3150/bj/1116340299)
    [^2]: [Hoffmann, M., Rosenbaum, M. and Yoshida, N., 2013. Estimation of the lead-lag parameter
    from non-synchronous data. Bernoulli, 19(2), pp.426-461.](https://doi.org/10.3150/11-BEJ407)
    """
    if len(first) < 2 or len(second) < 2:
        return 0.0
    shifted = second_ns - round(lag_seconds * 1e9)
    # (s, t] meets (u, v] if u < t and v > s.
    begin = np.searchsorted(shifted[1:], first_ns[:-1], side="right")
    end = np.searchsorted(shifted[:-1], first_ns[1:], side="left")
    moved = np.where(end > begin, second[np.maximum(end, begin)] - second[begin], 0.0)
    return float(np.diff(first) @ moved)


def lead_lag(
    first_ns: Ints,
    first: Floats,
    second_ns: Ints,
    second: Floats,
    grid_seconds: tuple[float, ...] = GRID_SECONDS,
) -> LeadLag:
    """Return by how much the second price follows the first.

    Parameters
    ----------
    first_ns, first, second_ns, second
        As for `contrast`.
    grid_seconds
        The lags that are looked at.

    Returns
    -------
    A lag and a correlation of 0 and a ratio of NaN if one of the prices does not move.

    Raises
    ------
    ValueError
        If the lengths of times and prices differ, times do not rise, or there are no lags.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> times = np.cumsum(generator.integers(1, 300, 5000)) * 1_000_000
    >>> price = np.cumsum(generator.standard_normal(5000))
    >>> found = lead_lag(times, price, times + 500_000_000, price)
    >>> found.lag_seconds, found.correlation, found.ratio > 1.0
    (0.5, 1.0, True)

    References
    ----------
    [^1]: [Huth, N. and Abergel, F., 2014. High frequency lead/lag relationships: Empirical facts.
    Journal of Empirical Finance, 26, pp.41-58.](https://doi.org/10.1016/j.jempfin.2014.01.003) The
    ratio.
    """
    for name, times, prices in (("first", first_ns, first), ("second", second_ns, second)):
        if len(times) != len(prices):
            raise ValueError(f"{name} has {len(times)} times and {len(prices)} prices")
        if np.any(np.diff(times) <= 0):
            raise ValueError(f"the times of {name} do not rise")
    if not grid_seconds:
        raise ValueError("grid_seconds is empty: at least one lag is needed")
    size = math.sqrt(float(np.square(np.diff(first)).sum() * np.square(np.diff(second)).sum()))
    if size == 0.0:
        return LeadLag(0.0, 0.0, math.nan)
    found = {lag: contrast(first_ns, first, second_ns, second, lag) / size for lag in grid_seconds}
    best = min(found, key=lambda lag: (-abs(found[lag]), abs(lag)))
    ahead = sum(value**2 for lag, value in found.items() if lag > 0.0)
    behind = sum(value**2 for lag, value in found.items() if lag < 0.0)
    ratio = ahead / behind if behind > 0.0 else math.inf if ahead > 0.0 else math.nan
    return LeadLag(best, found[best], ratio)


def edge_delays(
    lag_seconds: Floats, mark_lag_seconds: Floats, pulse_seconds: float, slice_seconds: float
) -> Floats:
    """Return the time from a liquidation in one node to those that it forces in another.

    The lag between the symbols, either way, the lag of the target's mark price, the venue's
    interval between two margin checks, and the pause between two slices of a liquidation.

    Parameters
    ----------
    lag_seconds
        Between each two symbols; of shape (symbols, symbols).
    mark_lag_seconds
        Of each symbol.
    pulse_seconds, slice_seconds
        Of the venue.

    Returns
    -------
    Of shape (nodes, nodes).

    Examples
    --------
    >>> lags, mark_lags = np.array([[0.0, -0.5], [0.5, 0.0]]), np.array([30.0, 10.0])
    >>> edge_delays(lags, mark_lags, pulse_seconds=1.0, slice_seconds=0.4)[0].tolist()
    [31.4, 31.4, 11.9, 11.9]
    """
    delays = np.abs(lag_seconds) + mark_lag_seconds + (pulse_seconds + slice_seconds)
    return np.repeat(np.repeat(delays, 2, axis=0), 2, axis=1)
