"""How fast depth comes back after it was taken or withdrawn."""

import math
from typing import NamedTuple

import numpy as np

from detectors.table import Floats

_ALMOST_BACK = 0.05
"""The least missing share of depth that the fit uses."""


class Refill(NamedTuple):
    """How depth comes back: D(t) = usual - (usual - D(0)) exp(-t / seconds).

    Attributes
    ----------
    seconds
        The time constant.
    samples
        From how many depths it is estimated.
    """

    seconds: float
    samples: int


def fitted_refill(seconds: Floats, depth: Floats, usual_depth: float) -> Refill | None:
    """Return the refill after a depletion, or None if depth does not come back.

    The slope of log((usual - D(t)) / (usual - D(0))) on t through the origin, by least squares.
    Depths that are almost the usual one are left out: their logarithm is mostly noise.

    Parameters
    ----------
    seconds
        Times after the depletion; the first is 0.
    depth
        Depth at each time.
    usual_depth
        Depth before the depletion, in the same unit.

    Raises
    ------
    ValueError
        If the lengths differ, the first time is not 0, or the first depth is not depleted.

    Examples
    --------
    Half of what is missing comes back in 10 s: 10 / ln 2.

    >>> times, depths = np.array([0.0, 10.0, 20.0]), np.array([20.0, 60.0, 80.0])
    >>> round(fitted_refill(times, depths, 100.0).seconds, 3)
    14.427
    """
    if len(seconds) != len(depth) or not len(seconds):
        raise ValueError(f"{len(seconds)} times, {len(depth)} depths: each time needs a depth")
    if seconds[0] != 0.0:
        raise ValueError(f"the first time is {seconds[0]}: it must be 0")
    if not depth[0] < usual_depth:
        raise ValueError(
            f"the first depth is {depth[0]}, usual is {usual_depth}: it is not depleted"
        )
    missing = (usual_depth - depth) / (usual_depth - depth[0])
    useful = (missing > _ALMOST_BACK) & (seconds > 0.0)
    time, rest = seconds[useful], np.log(missing[useful])
    slope = -float(time @ rest) / float(time @ time) if len(time) else 0.0
    if slope <= 0.0:
        return None
    return Refill(1.0 / slope, len(time))


def refilled(refill: Refill, depth: float, usual_depth: float, after_seconds: float) -> float:
    """Return the depth some time after it was ``depth``.

    >>> round(refilled(Refill(14.427, 2), 20.0, 100.0, 10.0), 2)
    60.0
    """
    return usual_depth - (usual_depth - depth) * math.exp(-after_seconds / refill.seconds)
