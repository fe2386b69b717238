"""How fast liquidations grow once each forces more than one."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.components import components
from detectors.risk.contagion.radius import perron
from detectors.table import Floats

_MOST_STEPS = 50
_CLOSE = 1e-7


class Growth(NamedTuple):
    """The growth in the long run.

    Attributes
    ----------
    rate
        Per second; below 0 if it dies out, and -infinity if nothing forces anything again.
    doubling_seconds
        ln 2 / rate: the time that is left to act. Infinity if it does not grow.
    """

    rate: float
    doubling_seconds: float


def growth(matrix: Floats, delays: Floats) -> Growth:
    """Return the rate r at which K_ab exp(-r tau_ab) has a spectral radius of 1 (Euler-Lotka).

    The logarithm of that radius falls and is convex in r. Newton's steps therefore end at the root
    from any rate below it, and never pass it. For a radius above 1 they start at 0; below 1 at
    ln(rho) / the shortest delay, which is below the root. Each strongly connected component has a
    rate of its own; the venue has the highest.

    Parameters
    ----------
    matrix
        The reproduction matrix.
    delays
        The time from a liquidation in the source to those that it forces in the target, in seconds,
        above 0; of the shape of the matrix.

    Raises
    ------
    ValueError
        If a delay of an edge is not finite and above 0.

    Examples
    --------
    Twice as much after 10 s each: doubling in 10 s.

    >>> found = growth(np.array([[2.0]]), np.array([[10.0]]))
    >>> round(found.rate, 6), round(found.doubling_seconds, 6)
    (0.069315, 10.0)

    Four times as much on a way there and back of 30 s in all: doubling in 15 s.

    >>> found = growth(np.array([[0.0, 1.0], [4.0, 0.0]]), np.array([[1.0, 10.0], [20.0, 1.0]]))
    >>> round(found.doubling_seconds, 6)
    15.0

    References
    ----------
    [^1]: [Wallinga, J. and Lipsitch, M., 2007. How generation intervals shape the relationship
    between growth rates and reproductive numbers. Proceedings of the Royal Society B, 274,
    pp.599-604.](https://doi.org/10.1098/rspb.2006.3754) Here with a fixed interval for each edge.
    [^2]: [Kingman, J. F. C., 1961. A convexity property of positive matrices. The Quarterly Journal
    of Mathematics, 12, pp.283-284.](https://doi.org/10.1093/qmath/12.1.283)
    """
    times = delays[matrix > 0.0]
    if not np.all(np.isfinite(times) & (times > 0.0)):
        raise ValueError("an edge has a delay that is not finite and above 0")
    rate = max((_rate(*block) for block in _blocks(matrix, delays)), default=-math.inf)
    grows = math.isfinite(rate) and rate > _CLOSE / float(times.max())
    return Growth(rate, math.log(2.0) / rate if grows else math.inf)


def _blocks(matrix: Floats, delays: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield the components that have a rate, with their delays; 1 where there is no edge."""
    for nodes in components(matrix):
        part = np.ix_(nodes, nodes)
        block = matrix[part]
        if np.any(block > 0.0):
            yield block, np.where(block > 0.0, delays[part], 1.0)


def _rate(block: Floats, delays: Floats) -> float:
    if len(block) == 1:
        return math.log(float(block[0, 0])) / float(delays[0, 0])
    right = left = np.ones(len(block))
    radius = perron(block, right, _CLOSE)[0]
    rate = 0.0 if radius >= 1.0 else math.log(radius) / float(delays[block > 0.0].min())
    for _ in range(_MOST_STEPS):
        weighed = block * np.exp(-rate * delays)
        low, high, right = perron(weighed, right, _CLOSE)
        left = perron(np.ascontiguousarray(weighed.T), left, _CLOSE)[2]
        share = weighed * np.outer(left, right)
        mean_delay = float((share * delays).sum() / share.sum())
        step = 0.5 * (math.log(low) + math.log(high)) / mean_delay
        rate += step
        if abs(step) <= _CLOSE * (abs(rate) + 1.0 / mean_delay):
            break
    return rate
