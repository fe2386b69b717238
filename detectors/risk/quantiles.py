"""Quantiles and probabilities of drawn numbers, which may be infinite."""

import math
from typing import NamedTuple

import numpy as np

from detectors.table import Floats


class Quantiles(NamedTuple):
    """The 10, 50 and 90 % quantiles of a drawn number."""

    p10: float
    p50: float
    p90: float


def quantiles(drawn: Floats) -> Quantiles:
    """Return the 10, 50 and 90 % quantiles: the least value that so many draws do not exceed.

    Nothing is interpolated, so a value may be infinite.

    Raises
    ------
    ValueError
        If there are no draws.

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0, math.inf]))
    Quantiles(p10=1.0, p50=2.0, p90=inf)
    """
    if not len(drawn):
        raise ValueError("there are no draws: at least one is needed")
    ordered = np.sort(drawn)
    at = [math.ceil(share * len(ordered)) - 1 for share in (0.1, 0.5, 0.9)]
    return Quantiles(*(float(ordered[place]) for place in at))


def probability(drawn: Floats, *, at_most: float = math.inf, at_least: float = -math.inf) -> float:
    """Return the share of draws within the two bounds; NaN draws are outside.

    Raises
    ------
    ValueError
        If there are no draws.

    Examples
    --------
    >>> probability(np.array([0.5, 1.0, 2.0, math.inf]), at_least=1.0)
    0.75
    """
    if not len(drawn):
        raise ValueError("there are no draws: at least one is needed")
    return float(np.mean((drawn >= at_least) & (drawn <= at_most)))
