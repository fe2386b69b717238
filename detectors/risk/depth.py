"""How much of a book's depth survives stress, and how fast depth comes back."""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.arrays import Floats
from detectors.risk.log_normal import LogNormal, from_quantiles, learned

EDGES = (8.0, 12.0, 20.0)
"""Where one class of withdrawals ends and the next begins, in standard deviations of the move."""

PRIOR_EVENTS = 8.0
"""How many own withdrawals what was measured elsewhere is worth."""

_PRIOR = ((1.4, 2.9), (1.75, 5.2), (2.4, 8.0), (6.1, 34.0))
"""Median and 90 % quantile of the withdrawal factor for each class, from Binance's bookDepth."""


class Survival(NamedTuple):
    """The withdrawal factor of one side, for each class of moves.

    The withdrawal factor of an event is the usual depth before it over the least depth in it. The
    classes are those of `EDGES`.
    """

    factors: tuple[LogNormal, ...]


def survival_prior() -> Survival:
    """Return what is expected before a venue's own withdrawals are seen.

    >>> [round(factor.median, 2) for factor in survival_prior().factors]
    [1.4, 1.75, 2.4, 6.1]

    References
    ----------
    [^1]: [min66633, 2026. liquidation-cascade-research, DEPTH_FINDINGS: depth in Binance's public
    bookDepth files by the size of the move.](https://github.com/min66633/liquidation-cascade-research)
    """
    return Survival(tuple(from_quantiles(*quantiles, PRIOR_EVENTS) for quantiles in _PRIOR))


def withdrawal_learned(
    survival: Survival, sigmas: float, usual_depth: float, least_depth: float
) -> Survival:
    """Return what is known after one more withdrawal of depth.

    Parameters
    ----------
    survival
        What was known.
    sigmas
        Size of the move in its own standard deviations, unsigned.
    usual_depth, least_depth
        Median depth before the event, and least depth in it, in the same unit. A book that was
        empty counts as a thousandth of its usual depth: its factor has no logarithm.

    Raises
    ------
    ValueError
        If ``usual_depth`` is not above 0.
    """
    if not usual_depth > 0.0:
        raise ValueError(f"usual_depth is {usual_depth}: it must be above 0")
    at = _class_of(sigmas)
    factor = usual_depth / max(least_depth, 1e-3 * usual_depth)
    factors = list(survival.factors)
    factors[at] = learned(factors[at], factor)
    return Survival(tuple(factors))


def withdrawal(survival: Survival, sigmas: float) -> LogNormal:
    """Return the withdrawal factor of a move of so many standard deviations.

    The surviving share of depth is one over it: 1 / median in the usual case, 1 / p90 in the bad.

    >>> factor = withdrawal(survival_prior(), 10.0)
    >>> round(1.0 / factor.median, 3), round(1.0 / factor.p90, 3)
    (0.571, 0.192)
    """
    return survival.factors[_class_of(sigmas)]


def _class_of(sigmas: float) -> int:
    return sum(abs(sigmas) >= edge for edge in EDGES)


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
    Depths that have reached the usual one say nothing more and are left out.

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
    useful = (missing > 0.0) & (seconds > 0.0)
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
