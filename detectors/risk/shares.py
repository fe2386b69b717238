"""The share of each position that a venue has closed when the mark price has moved so far."""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.contract import settlement_price
from detectors.risk.ladder import Ladder, against
from detectors.risk.ramps import Ramps, ramps_of, share_at_excess
from detectors.risk.reduction import Reduction, checked, lowest_helpful_tier
from detectors.table import Flags, Floats


class Parts(NamedTuple):
    """Which positions of a ladder are closed in part, and how.

    Attributes
    ----------
    partly
        For each position of the ladder; the others are closed whole.
    ramps
        Of the positions that are closed in part, in their order; None if there are none.
    sign
        1 if a falling settlement price hurts the ladder's side, -1 if a rising one does.
    """

    partly: Flags
    ramps: Ramps | None
    sign: float


def parts_of(ladder: Ladder, rule: Reduction) -> Parts:
    """Return which positions are closed in part.

    Whole go: all under the rule ``full``; those below ``whole_below``; those whose notional is in a
    tier where closing a part does not help; and those that no price would save.

    Raises
    ------
    ValueError
        If a number of the rule is out of range.
    """
    checked(rule)
    contract, tiers = ladder.contract, ladder.contract.tiers
    sign = -against(ladder.side) if contract.inverse else against(ladder.side)
    if rule.kind == "full":
        return Parts(np.zeros(len(ladder.move), np.bool_), None, sign)
    with np.errstate(divide="ignore", invalid="ignore"):  # a price of 0, or an infinite one
        at_trigger = ladder.quantity * settlement_price(contract, ladder.price)
    helpful = lowest_helpful_tier(tiers, rule)
    least = tiers.floors[helpful] if helpful < len(tiers.floors) else math.inf
    partly = np.isfinite(at_trigger) & (at_trigger > least) & (ladder.notional >= rule.whole_below)
    if not np.any(partly):
        return Parts(partly, None, sign)
    return Parts(partly, ramps_of(tiers, rule, at_trigger[partly], sign, helpful), sign)


def closed_shares(
    ladder: Ladder, rule: Reduction, move: float, most_steps: int | None = None
) -> Floats:
    """Return the share of each position that is closed after a move of the mark price.

    The notional of these shares adds up to `forced_at`.

    Parameters
    ----------
    ladder, rule, most_steps
        As for `forced_of`.
    move
        As a ratio; may be infinite.

    Raises
    ------
    ValueError
        If a number of the rule is out of range.

    Examples
    --------
    Two longs, liquidated at 99 and 97; m = 1 %. At 98.5025 the first has to close half.

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.ladder import ladder_of
    >>> from detectors.risk.tiers import tiers_of
    >>> ladder = ladder_of(
    ...     Contract(tiers_of([0.01])), "long", 100.0, np.array([0, 1]), np.array([2.0, 1.0]),
    ...     np.array([99.0, 97.0]), np.array([98.0, 96.0])
    ... )
    >>> closed_shares(ladder, Reduction("sufficient"), 0.014975).round(3).tolist()
    [0.5, 0.0]
    >>> closed_shares(ladder, Reduction("steps", step_ratio=0.3), 0.014975).round(3).tolist()
    [0.6, 0.0]
    >>> closed_shares(ladder, Reduction(), 0.014975).tolist()
    [1.0, 0.0]
    """
    reached = ladder.move <= move
    shares = reached.astype(np.float64)
    parts = parts_of(ladder, rule)
    if parts.ramps is None:
        return shares
    factor = max(1.0 - against(ladder.side) * move, 0.0)
    price = ladder.price[parts.partly]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Liquidation price over price, in settlement prices.
        ratio = ladder.mark * factor / price
        ratio = ratio if ladder.contract.inverse else 1.0 / ratio
    excess = np.maximum(parts.sign * (ratio - 1.0), 0.0)
    share = share_at_excess(parts.ramps, np.minimum(excess, 1e9))
    if rule.kind == "steps":
        steps = np.maximum(np.ceil(share / rule.step_ratio - 1e-9), 1.0)
        most = math.inf if most_steps is None else most_steps
        share = np.minimum(np.minimum(steps, most) * rule.step_ratio, 1.0)
    shares[parts.partly] *= share
    return shares
