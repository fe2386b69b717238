"""How much of a position that is below maintenance a venue closes."""

from typing import Literal, NamedTuple

import numpy as np

from detectors.risk.tiers import Tiers, maintenance
from detectors.table import Floats


class Reduction(NamedTuple):
    """A venue's rule for closing positions.

    Attributes
    ----------
    kind
        ``full``: the whole position. ``sufficient``: the least that restores the position.
        ``steps``: fixed steps of ``step_ratio`` of the first size, while it is still below.
    restored_ratio
        A reduction restores equity to this multiple of the maintenance margin, at least 1.
    fee_ratio
        Fee of a forced sale, as a ratio to notional.
    slippage_ratio
        Adverse difference of the price of a forced sale to the mark price, as a ratio.
    step_ratio
        The size of a step, in (0, 1].
    whole_below
        Positions of a smaller notional, in the quote currency, are closed whole.
    """

    kind: Literal["full", "sufficient", "steps"] = "full"
    restored_ratio: float = 1.0
    fee_ratio: float = 0.0
    slippage_ratio: float = 0.0
    step_ratio: float = 0.2
    whole_below: float = 0.0


def checked(rule: Reduction) -> Reduction:
    """Return the rule.

    Raises
    ------
    ValueError
        If one of its numbers is out of range; the message names it.
    """
    if not rule.restored_ratio >= 1.0:
        raise ValueError(f"restored_ratio is {rule.restored_ratio}: it must be at least 1")
    for name in ("fee_ratio", "slippage_ratio"):
        value = getattr(rule, name)
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{name} is {value}: it must be at least 0 and below 1")
    if not 0.0 < rule.step_ratio <= 1.0:
        raise ValueError(f"step_ratio is {rule.step_ratio}: it must be above 0 and at most 1")
    if not rule.whole_below >= 0.0:
        raise ValueError(f"whole_below is {rule.whole_below}: it must be at least 0")
    return rule


def lowest_helpful_tier(tiers: Tiers, rule: Reduction) -> int:
    """Return the lowest tier in which closing frees more margin than it costs.

    Closing a notional of 1 in tier i frees restored_ratio m_i and costs the fee and the slippage.
    The result is the number of tiers if it helps in none.

    Binance asks 0.4 % in its lowest tier and takes 1.25 % for a liquidation:

    >>> from detectors.risk.tiers import tiers_of
    >>> tiers = tiers_of([0.004, 0.005, 0.02], [0.0, 50_000.0, 250_000.0])
    >>> lowest_helpful_tier(tiers, Reduction("sufficient", fee_ratio=0.0125))
    2
    """
    cost = rule.fee_ratio + rule.slippage_ratio
    for tier, rate in enumerate(tiers.rates):
        if rule.restored_ratio * rate > cost:
            return tier
    return len(tiers.rates)


def sufficient_reductions(
    tiers: Tiers, rule: Reduction, quantity: Floats, price: Floats, equity: Floats
) -> Floats:
    """Return the least quantity whose closing restores each position, unsigned.

    After a quantity d is closed, equity is E - d (slip + f P) and must be at least
    kappa (m_i P (|q| - d) - D_i) in every tier i:

        d = max over i of (kappa (m_i P |q| - D_i) - E) / (kappa m_i P - slip - f P)

    A position without equity, or one that no partial closing restores, is closed whole. A position
    that needs nothing gives 0. The quantities and prices of an inverse contract are its settlement
    quantities and prices.

    Parameters
    ----------
    tiers, rule
        The tiers and the rule; of the rule its ``restored_ratio``, ``fee_ratio`` and
        ``slippage_ratio``.
    quantity, price, equity
        Quantity (its sign does not matter), settlement price and equity of each position.

    Examples
    --------
    A position that is 10 short of a maintenance margin of 10 % at a price of 100, closed at a fee
    of 1 %, has to close 10 / (100 (0.10 - 0.01)) = 1.11. Equity is 30 of a required 40:

    >>> from detectors.risk.tiers import tiers_of
    >>> rule = Reduction("sufficient", fee_ratio=0.01)
    >>> sufficient_reductions(
    ...     tiers_of([0.1]), rule, np.array([4.0]), np.array([100.0]), np.array([30.0])
    ... ).round(6).tolist()
    [1.111111]

    References
    ----------
    [^1]: [Drift Labs, 2022. protocol-v2, programs/drift/src/math/liquidation.rs,
    calculate_base_asset_amount_to_cover_margin_shortage.]
    (https://github.com/drift-labs/protocol-v2) The example is that of its tests.
    [^2]: [Chitra, T., 2025. Autodeleveraging: Impossibilities and Optimization. arXiv:2512.01112.]
    (https://arxiv.org/abs/2512.01112) The liquidation strategy.
    """
    size = np.abs(quantity)
    notional = size * price
    cost = rule.fee_ratio + rule.slippage_ratio
    helpful = lowest_helpful_tier(tiers, rule)
    needed = np.zeros_like(size)
    for rate, deduction in zip(tiers.rates[helpful:], tiers.deductions[helpful:], strict=True):
        short = rule.restored_ratio * (rate * notional - deduction) - equity
        np.maximum(needed, short / ((rule.restored_ratio * rate - cost) * price), out=needed)
    healthy = equity >= rule.restored_ratio * maintenance(tiers, notional)
    # Below this notional a further closing costs more than it frees.
    least_kept = tiers.floors[helpful] if helpful < len(tiers.floors) else np.inf
    hopeless = (equity <= 0.0) | (notional - needed * price < least_kept)
    reduced: Floats = np.where(healthy, 0.0, np.where(hopeless, size, np.minimum(needed, size)))
    return reduced
