"""Fewer points for the same answer, where a run is computed many times."""

import math

import numpy as np

from detectors.risk.forced import Forced, forced_at
from detectors.table import Floats

RESOLUTION_RATIO = 5e-5
"""Half a basis point."""


def coarsened(
    forced: Forced, resolution_ratio: float = RESOLUTION_RATIO, furthest: float = 0.5
) -> Forced:
    """Return forced notional on a grid of moves, at least as large and at most one cell early.

    Between a move x and x + resolution lies what the result says at x: N(x) <= result(x) <=
    N(x + resolution). Distances come out at most one cell too near, never too far.

    Parameters
    ----------
    forced
        The function.
    resolution_ratio
        The length of a cell of the grid, as a ratio.
    furthest
        The last move that is told apart: what is forced beyond counts as forced there.

    Raises
    ------
    ValueError
        If ``resolution_ratio`` is not above 0 and at most ``furthest``.

    Examples
    --------
    >>> forced = Forced(np.array([0.012, 0.025]), np.array([100.0, 200.0]), np.zeros(2))
    >>> coarse = coarsened(forced, resolution_ratio=0.01, furthest=0.1)
    >>> coarse.move.tolist(), coarse.notional.tolist()
    ([0.01, 0.02], [100.0, 200.0])
    """
    if not 0.0 < resolution_ratio <= furthest:
        raise ValueError(
            f"resolution_ratio is {resolution_ratio}: it must be above 0 and at most {furthest}"
        )
    if not len(forced.move):
        return forced
    cells = math.ceil(furthest / resolution_ratio)
    begin: Floats = np.arange(-1.0, cells + 1.0) * resolution_ratio
    notional = forced_at(forced, begin + resolution_ratio)
    notional[-1] = forced.notional[-1]
    rises = np.flatnonzero(np.diff(notional, prepend=0.0) > 0.0)
    return Forced(begin[rises], notional[rises], np.zeros(len(rises)))


def representatives(slopes: Floats, count: int = 25) -> Floats:
    """Return few slopes that stand for many draws: the middles of ``count`` equal parts, rising.

    A run depends on a draw only through its slope. Distances never rise with it, and reproduction
    numbers never fall. The quantiles of the runs of 25 representatives are therefore those of all
    200 draws, to a draw, at an eighth of the cost. Probabilities are multiples of 1 / count.

    Raises
    ------
    ValueError
        If there are fewer slopes than ``count``, or ``count`` is below 1.

    Examples
    --------
    >>> representatives(np.array([4.0, 1.0, 3.0, 2.0, 6.0, 5.0]), 2).tolist()
    [2.0, 5.0]
    """
    if not 1 <= count <= len(slopes):
        raise ValueError(f"count is {count}: it must be from 1 to the number of slopes")
    middles = (np.arange(count) + 0.5) / count * len(slopes)
    return np.sort(slopes)[np.ceil(middles).astype(np.int64) - 1]
