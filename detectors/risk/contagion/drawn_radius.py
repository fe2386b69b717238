"""How certain the radius and the most important node are: the same for each drawn impact."""

from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.components import components
from detectors.risk.contagion.triggered import Triggered
from detectors.table import Floats, Ints

_TOLERANCE = 1e-4
_MOST_STEPS = 200
_LEAST = 1e-12


class DrawnRadius(NamedTuple):
    """Radii with drawn impacts; each array has a value for each draw.

    Attributes
    ----------
    radius
        The spectral radius.
    top
        The most important node: the one a unit of which forces most; -1 if nothing keeps going.
    """

    radius: Floats
    top: Ints


def drawn_radius(found: Triggered, slopes: Floats) -> DrawnRadius:
    """Return the radius for each draw of the impacts.

    What a move forces is the same in all draws; what it takes to make the move is not.

    Parameters
    ----------
    found
        From `triggered`.
    slopes
        Move per unit of notional forced in each node; of shape (draws, nodes). See
        `draws.impact_draws` and `coarse.representatives`.

    Examples
    --------
    A move of 1 % forces 100. Forcing 100 moves the price by 0.6 % in one draw, 1.2 % in the other:

    >>> nothing = np.zeros((2, 2))
    >>> found = Triggered(np.full(2, 0.01), np.array([100.0, 0.0]), nothing, nothing, nothing,
    ...     np.array([1, 0]))
    >>> drawn = drawn_radius(found, np.array([[6e-5, 6e-5], [1.2e-4, 1.2e-4]]))
    >>> drawn.radius.round(9).tolist(), drawn.top.tolist()
    ([0.6, 1.2], [0, 0])
    """
    total = found.total / found.moves[:, np.newaxis]
    radius, top = np.zeros(len(slopes)), np.full(len(slopes), -1)
    for nodes in components(total * slopes.max(axis=0, initial=0.0)[:, np.newaxis]):
        block, slope = total[np.ix_(nodes, nodes)], slopes[:, nodes]
        possible = np.flatnonzero((slope * block.sum(axis=1)).max(axis=1) > radius)
        if not len(possible):
            continue
        values, firsts = _perrons(block, slope[possible].T)
        better = values > radius[possible]
        radius[possible[better]] = values[better]
        top[possible[better]] = nodes[firsts[better]]
    return DrawnRadius(radius, top)


def _perrons(block: Floats, slopes: Floats) -> tuple[Floats, Ints]:
    """Return the radius and the most important node of a component for each column of slopes."""
    vector = np.full(slopes.shape, 1.0 / len(block))
    low, high = np.zeros(slopes.shape[1]), np.full(slopes.shape[1], np.inf)
    for _ in range(_MOST_STEPS):
        mapped = slopes * (block @ vector)
        ratio = mapped / vector
        value = mapped.sum(axis=0)
        # A node without impact in a draw forces nothing: it does not bound the radius from below.
        low = np.maximum(low, np.where(slopes > 0.0, ratio, np.inf).min(axis=0))
        high = np.minimum(high, ratio.max(axis=0))
        if np.all(high - low <= _TOLERANCE * high):
            break
        vector = np.maximum(mapped + 0.2 * high * vector, _LEAST)
        vector /= vector.sum(axis=0)
    return value, np.argmax(vector, axis=0)


def rank_stability(top: Ints) -> tuple[int, float]:
    """Return the node that is the most important in most draws, and the share of those draws.

    >>> rank_stability(np.array([3, 1, 3, -1]))
    (3, 0.5)
    >>> rank_stability(np.array([-1, -1]))
    (-1, 0.0)
    """
    some = top[top >= 0]
    if not len(some):
        return -1, 0.0
    counts = np.bincount(some)
    node = int(np.argmax(counts))
    return node, float(counts[node]) / len(top)
