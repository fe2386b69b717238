"""How much of each position a venue closes when a margin unit of several is below maintenance."""

from typing import Literal

import numpy as np

from detectors.risk.reduction import Reduction
from detectors.table import Floats, Ints

Allocation = Literal["pro_rata", "largest_first"]
"""Which positions of a unit are closed: the same share of each, or the largest first."""


def closing_shares(
    rule: Reduction,
    allocation: Allocation,
    unit: Ints,
    required: Floats,
    cost: Floats,
    notional: Floats,
    equity: Floats,
) -> Floats:
    """Return the share of each position that its unit must have closed.

    All units are below maintenance. Closing a position k whole frees kappa MM_k - c n_k of
    margin, with the cost c of a forced sale. A unit with equity E is short of
    kappa sum(MM) - E. With ``pro_rata`` each position is closed by the share

        (kappa sum(MM) - E) / (kappa sum(MM) - c sum(n))

    which for a unit of one position is that of `reduction.sufficient_reductions` within a tier. A
    unit without equity, or one that no closing restores, is closed whole.

    Parameters
    ----------
    rule
        How the venue closes. Steps are as many as suffice, at least one.
    allocation
        Which positions go first.
    unit
        The unit of each position, from 0 to ``len(equity) - 1``.
    required, cost
        Maintenance margin and notional of each position in the settlement currency.
    notional
        Of each position in the quote currency; a unit below ``rule.whole_below`` in all is closed
        whole.
    equity
        Of each unit, in the settlement currency.

    Examples
    --------
    Two positions of 100 and 300 that require 1 % each; the unit has 3 of the 4 that it needs.
    A quarter of both, or a third of the larger:

    >>> rule, unit = Reduction("sufficient"), np.array([0, 0])
    >>> required, notional = np.array([1.0, 3.0]), np.array([100.0, 300.0])
    >>> columns = (unit, required, notional, notional, np.array([3.0]))
    >>> closing_shares(rule, "pro_rata", *columns).tolist()
    [0.25, 0.25]
    >>> closing_shares(rule, "largest_first", *columns).round(6).tolist()
    [0.0, 0.333333]
    """
    if rule.kind == "full":
        return np.ones_like(required)
    units = len(equity)
    frees = rule.restored_ratio * required - (rule.fee_ratio + rule.slippage_ratio) * cost
    restorable = np.bincount(unit, frees, units)
    asked = np.bincount(unit, required, units) * rule.restored_ratio
    short = asked - equity
    size = np.bincount(unit, notional, units)
    whole = (equity <= 0.0) | (restorable <= short) | (size < rule.whole_below)
    if allocation == "pro_rata":
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (short / restorable)[unit]
    else:
        share = _largest_first(unit, cost, frees, short)
    share = np.where(whole[unit], 1.0, np.clip(share, 0.0, 1.0))
    if rule.kind == "steps":
        steps = np.ceil(share / rule.step_ratio - 1e-9)
        if allocation == "pro_rata":
            steps = np.maximum(steps, 1.0)
        share = np.where(whole[unit], 1.0, np.minimum(steps * rule.step_ratio, 1.0))
    return share


def _largest_first(unit: Ints, cost: Floats, frees: Floats, short: Floats) -> Floats:
    """Return the share of each position if the larger ones of its unit are used up before it."""
    order = np.lexsort((-cost, unit))
    gives = np.maximum(frees[order], 0.0)
    of = unit[order]
    before = np.cumsum(gives) - gives
    begins = np.flatnonzero(np.diff(of, prepend=-1))
    before -= np.repeat(before[begins], np.diff(begins, append=len(of)))
    share = np.empty_like(gives)
    with np.errstate(divide="ignore", invalid="ignore"):
        share[order] = np.where(gives > 0.0, (short[of] - before) / gives, 0.0)
    return share
