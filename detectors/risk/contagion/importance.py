"""Who infects, who is infected, which edges matter, and what a seed forces in all."""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.radius import Radius
from detectors.table import Floats


class Importance(NamedTuple):
    """What each node is worth to the spread; arrays of shape (nodes,) with sums of 1.

    Attributes
    ----------
    infects
        How much a unit liquidated in the node forces in the long run. 0 for a node that does not
        reach those that keep each other going.
    infected
        The node's share in what is forced in the long run. 0 for a node that is not reached.
    """

    infects: Floats
    infected: Floats


def importance(matrix: Floats, found: Radius) -> Importance:
    """Return the right and the left vector of the whole matrix.

    On the nodes that keep each other going they are those of `Radius`. A node outside that leads
    there has what it sends: (rho - K_UU) r_U = K_UC r_C. A node of another component with the same
    radius has none: 0.

    Examples
    --------
    Node 2 sends 0.5 into the pair of 0 and 1, which keeps itself going with a radius of 1:

    >>> from detectors.risk.contagion.radius import spectral_radius
    >>> matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    >>> worth = importance(matrix, spectral_radius(matrix))
    >>> worth.infects.round(6).tolist(), worth.infected.round(6).tolist()
    ([0.4, 0.4, 0.2], [0.5, 0.5, 0.0])
    """
    return Importance(_extended(matrix, found, found.right), _extended(matrix.T, found, found.left))


def _extended(matrix: Floats, found: Radius, vector: Floats) -> Floats:
    whole = np.zeros(len(matrix))
    if not len(found.nodes):
        return whole
    whole[found.nodes] = vector
    sends = matrix @ whole
    outside = np.ones(len(matrix), np.bool_)
    outside[found.nodes] = False
    # Nodes outside, by how many steps they are away; those that never get there stay 0.
    reaching, front = np.zeros(len(matrix), np.bool_), outside & (sends > 0.0)
    while np.any(front):
        reaching |= front
        front = (matrix[:, front] > 0.0).any(axis=1) & outside & ~reaching
    away = np.flatnonzero(reaching)
    if len(away):
        inner = found.value * np.eye(len(away)) - matrix[np.ix_(away, away)]
        try:
            solved = np.linalg.solve(inner, sends[away])
        except np.linalg.LinAlgError:
            solved = np.zeros(len(away))
        # Of another component with the same radius the equations have no solution above 0.
        if np.all(np.isfinite(solved)) and np.all(solved >= 0.0):
            whole[away] = solved
    scaled: Floats = whole / whole.sum()
    return scaled


class Edge(NamedTuple):
    """An edge of the spread.

    Attributes
    ----------
    source, target
        Nodes.
    gain
        K[source, target].
    share
        What the spectral radius would lose, as a share, if the edge were gone and the vectors
        stayed: K_ab l_a r_b / (rho l.r). The shares of all edges add up to 1.
    """

    source: int
    target: int
    gain: float
    share: float


def dangerous_edges(matrix: Floats, found: Radius, most: int = 5) -> list[Edge]:
    """Return the edges that the radius depends on most, the most dangerous first.

    The derivative of the radius by an entry is l_a r_b / (l.r). The share is its elasticity.

    Examples
    --------
    >>> from detectors.risk.contagion.radius import spectral_radius
    >>> matrix = np.array([[0.2, 0.5], [2.0, 0.0]])
    >>> for edge in dangerous_edges(matrix, spectral_radius(matrix)):
    ...     print(edge.source, edge.target, edge.gain, round(edge.share, 3))
    0 1 0.5 0.45
    1 0 2.0 0.45
    0 0 0.2 0.1

    References
    ----------
    [^1]: [Caswell, H., 2001. Matrix Population Models. 2nd ed., chapter 9.] Sensitivity and
    elasticity of an eigenvalue.
    """
    if not len(found.nodes):
        return []
    block = matrix[np.ix_(found.nodes, found.nodes)]
    share = block * np.outer(found.left, found.right)
    share /= share.sum()
    # All edges of a circle have the same share but for a rounding: the first of them comes first.
    largest = np.argsort(-share.round(6), axis=None, kind="stable")[:most]
    edges = []
    for source, target in zip(*np.unravel_index(largest, share.shape), strict=True):
        if share[source, target] > 0.0:
            a, b = int(found.nodes[source]), int(found.nodes[target])
            edges.append(Edge(a, b, float(matrix[a, b]), float(share[source, target])))
    return edges


def total_forced(matrix: Floats, found: Radius, seed: Floats) -> Floats:
    """Return what a seed forces in each node in all rounds, itself included: (I - K')^-1 v.

    Parameters
    ----------
    matrix, found
        The matrix and its radius.
    seed
        The notional liquidated in each node at first, in the quote currency.

    Returns
    -------
    Infinity everywhere if the radius is 1 or more: the matrix does not say where it ends then. The
    runs do, because positions run out.

    Examples
    --------
    0.5 for 1, round by round: 1 + 0.5 + 0.25 + ... = 2.

    >>> from detectors.risk.contagion.radius import spectral_radius
    >>> matrix = np.array([[0.5, 0.1], [0.0, 0.0]])
    >>> total_forced(matrix, spectral_radius(matrix), np.array([100.0, 0.0])).round(9).tolist()
    [200.0, 20.0]
    """
    if found.high >= 1.0:
        return np.full(len(matrix), math.inf)
    total: Floats = np.linalg.solve(np.eye(len(matrix)) - matrix.T, seed).astype(np.float64)
    return total
