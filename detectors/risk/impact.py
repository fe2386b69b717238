"""What a forced sale does to the price: the relative move by the notional that is sold.

Three estimates make such a curve. The one from flow is the primary one. Walking the quoted book is
the pessimistic end, because books refill; the square-root law is the optimistic end, because it is
that of patient sellers.
"""

import math
from typing import NamedTuple

import numpy as np

from detectors.table import Floats


class Impact(NamedTuple):
    """The move that a forced notional makes: a polygon through these points, from (0, 0).

    Attributes
    ----------
    notional
        In the quote currency, strictly rising; the first is 0.
    move
        As ratios, never falling; the first is 0.
    beyond
        Move per unit of notional after the last point; infinity if the book ends there.
    """

    notional: Floats
    move: Floats
    beyond: float


def moved_by(impact: Impact, notional: Floats) -> Floats:
    """Return the move that each notional makes.

    >>> moved_by(Impact(np.array([0.0, 10.0]), np.array([0.0, 0.01]), math.inf),
    ...     np.array([5.0, 10.0, 11.0])).tolist()
    [0.005, 0.01, inf]
    """
    over = notional - impact.notional[-1]
    inside = np.interp(notional, impact.notional, impact.move)
    # Not 0 x infinity, which is not a number.
    past = np.full_like(over, impact.beyond) if math.isinf(impact.beyond) else impact.beyond * over
    return np.where(over > 0.0, inside + past, inside)


def notional_for(impact: Impact, move: float) -> float:
    """Return the least notional that makes a move; infinity if none does.

    >>> notional_for(Impact(np.array([0.0, 10.0]), np.array([0.0, 0.01]), 0.001), 0.011)
    11.0
    """
    if move <= 0.0:
        return 0.0
    point = int(np.searchsorted(impact.move, move))
    if point < len(impact.move):
        low, high = impact.move[point - 1], impact.move[point]
        share = (move - low) / (high - low)
        start = impact.notional[point - 1]
        return float(start + share * (impact.notional[point] - start))
    if math.isinf(impact.beyond):
        return float(impact.notional[-1])
    rest = move - float(impact.move[-1])
    return float(impact.notional[-1]) + rest / impact.beyond if impact.beyond > 0.0 else math.inf
