"""The share of a position that must be closed, by how far the price is past its liquidation price.

The excess z = |y* - y'| / y' is the distance of the settlement price y' from the liquidation price
y*, as a ratio to y'. The share is the largest of one line in z for each tier, at least 0 and at
most 1: it starts at the liquidation price and bends where what remains leaves a tier.
"""

from typing import NamedTuple

import numpy as np

from detectors.risk.reduction import Reduction
from detectors.risk.tiers import Tiers, maintenance
from detectors.table import Floats


class Ramps(NamedTuple):
    """The ramps of some positions: arrays of shape (tiers, positions).

    Only tiers in which closing helps are here, the lowest first.

    Attributes
    ----------
    start, rise
        Share = start + rise z. A tier that the position does not reach has a start of -infinity.
    floor
        The tier's floor as a ratio to the position's notional at its liquidation price.
    sign
        1 if a falling settlement price hurts the positions, -1 if a rising one does.
    """

    start: Floats
    rise: Floats
    floor: Floats
    sign: float


def ramps_of(tiers: Tiers, rule: Reduction, at_trigger: Floats, sign: float, helpful: int) -> Ramps:
    """Return the ramps of positions with these notionals at their liquidation prices.

    At the excess z, equity is r n* - z n' with r = MM(n*) / n*, n' = n* / (1 + s z), so tier i
    needs the share

        (kappa m_i - (r + kappa D_i / n*) (1 + s z) + z) / (kappa m_i - f - slip)

    which is that of `sufficient_reductions`.

    Parameters
    ----------
    tiers, rule
        As for `sufficient_reductions`.
    at_trigger
        Notional at the liquidation price in the settlement currency, above 0.
    sign
        See `Ramps`.
    helpful
        From `lowest_helpful_tier`, below the number of tiers.

    Examples
    --------
    m = 1 %, no cost: the share rises by (1 - 0.01) / 0.01 = 99 for each unit of z.

    >>> from detectors.risk.tiers import tiers_of
    >>> ramps = ramps_of(tiers_of([0.01]), Reduction("sufficient"), np.array([50.0]), 1.0, 0)
    >>> ramps.start.tolist(), ramps.rise.round(9).tolist()
    ([[0.0]], [[99.0]])
    """
    rates = np.array(tiers.rates[helpful:])[:, np.newaxis]
    floors = np.array(tiers.floors[helpful:])[:, np.newaxis] / at_trigger
    deducted = rule.restored_ratio * np.array(tiers.deductions[helpful:])[:, np.newaxis]
    kept = maintenance(tiers, at_trigger) / at_trigger + deducted / at_trigger
    frees = rule.restored_ratio * rates - (rule.fee_ratio + rule.slippage_ratio)
    start = (rule.restored_ratio * rates - kept) / frees
    rise = np.maximum((1.0 - sign * kept) / frees, np.finfo(float).tiny)
    return Ramps(np.where(floors < 1.0, start, -np.inf), rise, floors, sign)


def first_share(ramps: Ramps) -> Floats:
    """Return the share that must be closed at the liquidation price itself.

    It is above 0 if the venue restores more than the maintenance margin.
    """
    share: Floats = np.clip(ramps.start.max(axis=0), 0.0, 1.0)
    return share


def share_at_excess(ramps: Ramps, excess: Floats) -> Floats:
    """Return the share that each position must close at its excess, at least 0.

    All of it, if what remains would be below the lowest tier in which closing helps.
    """
    share = np.clip((ramps.start + ramps.rise * excess).max(axis=0), 0.0, 1.0)
    hopeless = 1.0 - share < ramps.floor[0] * (1.0 + ramps.sign * excess)
    return np.where(hopeless, 1.0, share)


def excess_at_share(ramps: Ramps, share: float) -> Floats:
    """Return the excess from which more than this share must be closed."""
    excess: Floats = np.maximum(((share - ramps.start) / ramps.rise).min(axis=0), 0.0)
    return excess


def excess_at_floor(ramps: Ramps, tier: int) -> Floats:
    """Return the excess at which what remains has the floor of a tier as its notional.

    What remains is the share 1 - floor (1 + s z) below the whole.
    """
    floor = ramps.floor[tier]
    crossing = (1.0 - floor - ramps.start) / (ramps.rise + ramps.sign * floor)
    excess: Floats = np.maximum(crossing.min(axis=0), 0.0)
    return excess
