"""The spectral radius of a reproduction matrix, and the vectors that belong to it."""

from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.components import components
from detectors.table import Floats, Ints

TOLERANCE = 1e-8
"""The relative width of the bounds at which the iteration stops."""

_MOST_STEPS = 5000

_SHIFT_RATIO = 0.2
"""Of the radius; added to the diagonal, so that the iteration ends for a circle as well."""


class Radius(NamedTuple):
    """The spectral radius of a matrix without negative entries; made by `spectral_radius`.

    Attributes
    ----------
    low, high
        Bounds of the radius. They are equal but for the tolerance, unless two components or two
        eigenvalues are so near each other that the iteration was cut.
    nodes
        The nodes that keep each other going: the component with the radius. Empty if the radius is
        0.
    right, left
        The vectors of those nodes, above 0, with sums of 1: how much a unit liquidated in each node
        forces in the long run, and the share of each node in what is forced then.
    """

    low: float
    high: float
    nodes: Ints
    right: Floats
    left: Floats

    @property
    def value(self) -> float:
        """The middle of the bounds."""
        return 0.5 * (self.low + self.high)


def spectral_radius(matrix: Floats) -> Radius:
    """Return the spectral radius, by power iteration on each strongly connected component.

    On such a component, min (K x)_i / x_i <= rho <= max (K x)_i / x_i for every x above 0. The
    iteration stops when the two are equal. A part of the radius is added to the diagonal, so that
    it ends for circles as well: that shifts all eigenvalues by as much.

    Parameters
    ----------
    matrix
        Square, finite, without negative entries.

    Raises
    ------
    ValueError
        If an entry is negative or not finite.

    Examples
    --------
    Two nodes that force half and twice as much in each other: 1 for 1, round by round. The third
    only receives.

    >>> found = spectral_radius(
    ...     np.array([[0.0, 0.5, 0.3], [2.0, 0.0, 0.0], [0.0, 0.0, 0.9]])
    ... )
    >>> round(found.value, 9), found.nodes.tolist()
    (1.0, [0, 1])
    >>> found.right.round(4).tolist(), found.left.round(4).tolist()
    ([0.3333, 0.6667], [0.6667, 0.3333])

    References
    ----------
    [^1]: [Horn, R. A. and Johnson, C. R., 2013. Matrix Analysis. 2nd ed., sections 8.1 to 8.4.]
    (https://doi.org/10.1017/CBO9780511810817) Bounds by Collatz and Wielandt, Perron vectors.
    [^2]: [Diekmann, O., Heesterbeek, J. A. P. and Metz, J. A. J., 1990. On the definition and the
    computation of the basic reproduction ratio R0. Journal of Mathematical Biology, 28,
    pp.365-382.](https://doi.org/10.1007/BF00178324) The radius of the next-generation matrix.
    """
    if not np.all(np.isfinite(matrix)) or np.any(matrix < 0.0):
        raise ValueError("the matrix has an entry that is negative or not finite")
    best = Radius(0.0, 0.0, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    for nodes in components(matrix):
        block = matrix[np.ix_(nodes, nodes)]
        # The radius is at most the largest sum of a row.
        if block.sum(axis=1).max() <= best.low:
            continue
        low, high, right = perron(block, np.ones(len(nodes)))
        if high > best.high:
            best = Radius(low, high, nodes, right, right)
    if len(best.nodes) > 1:
        block = np.ascontiguousarray(matrix[np.ix_(best.nodes, best.nodes)].T)
        best = best._replace(left=perron(block, best.right)[2])
    return best


def perron(
    block: Floats, start: Floats, tolerance: float = TOLERANCE
) -> tuple[float, float, Floats]:
    """Return bounds of the radius of a strongly connected block, and its right vector.

    Parameters
    ----------
    block
        Square, without negative entries; each node reaches each other.
    start
        A guess of the vector, above 0.
    tolerance
        The relative width of the bounds at which the iteration stops.

    Examples
    --------
    >>> low, high, vector = perron(np.array([[0.0, 0.5], [2.0, 0.0]]), np.ones(2))
    >>> round(low, 6), round(high, 6), vector.round(4).tolist()
    (1.0, 1.0, [0.3333, 0.6667])
    """
    if len(block) == 1:
        value = float(block[0, 0])
        return value, value, np.ones(1)
    vector = start / start.sum()
    low, high = 0.0, np.inf
    for _ in range(_MOST_STEPS):
        mapped = block @ vector
        ratio = mapped / vector
        low, high = max(low, float(ratio.min())), min(high, float(ratio.max()))
        if high - low <= tolerance * high:
            break
        vector = mapped + _SHIFT_RATIO * high * vector
        vector /= vector.sum()
    return low, high, vector
