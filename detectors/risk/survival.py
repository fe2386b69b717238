"""How much of a book's depth survives a move."""

from typing import NamedTuple

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
