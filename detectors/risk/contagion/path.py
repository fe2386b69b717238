"""The way that a seed takes from node to node."""

from typing import NamedTuple

import numpy as np

from detectors.table import Floats


class Step(NamedTuple):
    """The way into one more node.

    Attributes
    ----------
    source, target
        The node that forces most of it, and the node that it gets to.
    ratio
        Notional forced in the target over that of the seed, by all nodes on the way before it.
    seconds
        From the seed to here.
    """

    source: int
    target: int
    ratio: float
    seconds: float


def path_of(
    matrix: Floats, delays: Floats, seed: int, *, least_ratio: float = 0.01, most: int = 10
) -> list[Step]:
    """Return the nodes that a seed gets to, the ones that it forces most in first.

    In each step the node is added in which the nodes so far force most. What it forces there is
    that of their first round; `importance.total_forced` has all rounds.

    Parameters
    ----------
    matrix, delays
        The reproduction matrix, and the delay of each edge in seconds.
    seed
        The node where a notional of 1 is liquidated.
    least_ratio
        The way ends where less than this share of the seed is forced.
    most
        The longest way.

    Examples
    --------
    0 forces 0.5 in 1, that 0.8 in 2, and 0 itself 0.1 in 2: 0.5 and 0.1 + 0.5 x 0.8.

    >>> matrix = np.array([[0.3, 0.5, 0.1], [0.0, 0.0, 0.8], [0.0, 0.0, 0.0]])
    >>> for step in path_of(matrix, np.full((3, 3), 2.0), seed=0):
    ...     print(step.source, step.target, round(step.ratio, 3), step.seconds)
    0 1 0.5 2.0
    1 2 0.5 4.0
    """
    forced = np.zeros(len(matrix))
    seconds = np.zeros(len(matrix))
    forced[seed] = 1.0
    visited = np.zeros(len(matrix), np.bool_)
    visited[seed] = True
    steps: list[Step] = []
    while len(steps) < most:
        newly = np.where(visited, -1.0, forced @ matrix)
        target = int(np.argmax(newly))
        if not newly[target] >= least_ratio:
            break
        source = int(np.argmax(forced * matrix[:, target]))
        forced[target] = newly[target]
        seconds[target] = seconds[source] + delays[source, target]
        visited[target] = True
        steps.append(Step(source, target, float(newly[target]), float(seconds[target])))
    return steps
