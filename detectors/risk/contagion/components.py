"""The parts of a matrix whose nodes all reach each other."""

import numpy as np

from detectors.table import Flags, Floats, Ints


def components(matrix: Floats) -> list[Ints]:
    """Return the strongly connected components of the graph with an edge where an entry is above 0.

    The spectral radius of a matrix without negative entries is the largest of its components'.

    Parameters
    ----------
    matrix
        Square, without negative entries.

    Returns
    -------
    The nodes of each component in rising order; the components by their first node.

    Examples
    --------
    0 and 1 reach each other, and 2 from there:

    >>> matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.5]])
    >>> [nodes.tolist() for nodes in components(matrix)]
    [[0, 1], [2]]

    References
    ----------
    [^1]: [Fleischer, L. K., Hendrickson, B. and Pinar, A., 2000. On Identifying Strongly Connected
    Components in Parallel. IPDPS 2000 Workshops, pp.505-511.]
    (https://doi.org/10.1007/3-540-45591-4_68) What a node reaches, and
    what reaches it; before that, nodes without both are set aside.
    """
    edges = matrix > 0.0
    np.fill_diagonal(edges, val=False)
    backwards = np.ascontiguousarray(edges.T)
    found: list[Ints] = []
    waiting = [np.ones(len(edges), np.bool_)]
    while waiting:
        within = waiting.pop()
        _set_aside(edges, within, found)
        if not np.any(within):
            continue
        start = int(np.argmax(within))
        ahead = _reached(edges, start, within)
        behind = _reached(backwards, start, within)
        found.append(np.flatnonzero(ahead & behind))
        # No component has nodes in two of the three rests.
        waiting += [
            rest
            for rest in (ahead & ~behind, behind & ~ahead, within & ~ahead & ~behind)
            if np.any(rest)
        ]
    return sorted(found, key=lambda nodes: int(nodes[0]))


def _set_aside(edges: Flags, within: Flags, found: list[Ints]) -> None:
    """Take out nodes that nothing enters or nothing leaves: each is a component of its own."""
    inner = edges[np.ix_(within, within)]
    nodes = np.flatnonzero(within)
    while len(nodes):
        lonely = ~(inner.any(axis=0) & inner.any(axis=1))
        if not np.any(lonely):
            return
        found += [nodes[place : place + 1] for place in np.flatnonzero(lonely)]
        within[nodes[lonely]] = False
        nodes, inner = nodes[~lonely], inner[np.ix_(~lonely, ~lonely)]


def _reached(edges: Flags, start: int, within: Flags) -> Flags:
    reached = np.zeros(len(edges), np.bool_)
    reached[start] = True
    front = np.array([start])
    while len(front):
        new = edges[front].any(axis=0) & within & ~reached
        reached |= new
        front = np.flatnonzero(new)
    return reached
