"""Impact from a walk of the quoted book, the pessimistic end: books refill."""

import math

import numpy as np

from detectors.risk.impact import Impact
from detectors.table import Floats

_GAP = 1e-12


def book_impact(
    move: Floats, depth: Floats, surviving_ratio: float, refill: float, seconds: float
) -> Impact:
    """Return the impact of walking the quoted book: inf{u: s D(u) + rho T >= V}.

    Parameters
    ----------
    move
        Distances from the mid price as ratios, rising from 0 or above.
    depth
        Notional of all orders up to each distance on the side that is sold to, never falling.
    surviving_ratio
        The share s of the quoted depth that is still there.
    refill
        Net notional a second that arrives near the price, rho.
    seconds
        The time T that the sale takes.

    Returns
    -------
    A curve that ends with the book: what the book cannot take moves the price without bound.

    Raises
    ------
    ValueError
        If the lengths differ or are 0, a column does not rise as said, or a number is negative.

    Examples
    --------
    100 within 0.1 % and 300 within 0.5 %, half of it survives, 10 a second for 2 s: 20 are taken
    at once, 70 within 0.1 %, 170 within 0.5 %.

    >>> from detectors.risk.impact import moved_by
    >>> impact = book_impact(np.array([0.001, 0.005]), np.array([100.0, 300.0]), 0.5, 10.0, 2.0)
    >>> moved_by(impact, np.array([20.0, 70.0, 120.0, 171.0])).round(6).tolist()
    [0.0, 0.001, 0.003, inf]
    """
    if len(move) != len(depth) or not len(move):
        raise ValueError(f"{len(move)} distances, {len(depth)} depths: each distance needs a depth")
    if move[0] < 0.0 or np.any(np.diff(move) <= 0.0):
        raise ValueError("the distances must rise from 0 or above")
    if depth[0] < 0.0 or np.any(np.diff(depth) < 0.0):
        raise ValueError("the depths must be at least 0 and must not fall")
    for name, value in (("surviving_ratio", surviving_ratio), ("refill", refill),
                        ("seconds", seconds)):  # fmt: skip
        if not value >= 0.0:
            raise ValueError(f"{name} is {value}: it must be at least 0")
    notional = np.concatenate(([0.0, 0.0], surviving_ratio * depth))
    notional[1:] += refill * seconds
    # A gap in the book is a rise within next to nothing, so that the curve stays a function.
    notional += _GAP * notional[-1] * np.arange(len(notional))
    if notional[-1] == 0.0:
        return Impact(np.zeros(1), np.zeros(1), math.inf)
    return Impact(notional, np.concatenate(([0.0, 0.0], move)), math.inf)
