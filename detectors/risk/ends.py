"""The two ends of a liquidation price where the input does not determine it."""

from typing import NamedTuple

import numpy as np

from detectors.risk.contract import Contract, settlement_price
from detectors.risk.liquidation import liquidation_prices
from detectors.table import Flags, Floats


class MarginEnds(NamedTuple):
    """The lowest and the highest margin that the known columns of each position allow.

    Attributes
    ----------
    least, most
        In the settlement currency. Infinity in ``most``: nothing bounds it.
    assumed
        Where the two are not from the venue's own figure for the margin.
    """

    least: Floats
    most: Floats
    assumed: Flags


def margin_ends(
    contract: Contract,
    quantity: Floats,
    entry_price: Floats,
    margin: Floats,
    leverage: Floats,
    initial_rate: float,
) -> MarginEnds:
    """Return the range of each position's margin.

    A known margin is both ends. A known leverage gives the initial margin, notional / leverage, as
    both ends. Without either, the venue asked at least ``initial_rate`` of the entry notional, and
    nothing says how much more the account put in.

    Raises
    ------
    ValueError
        If ``initial_rate`` is not in (0, 1].

    Examples
    --------
    >>> from detectors.risk.tiers import tiers_of
    >>> contract, unknown = Contract(tiers_of([0.01])), float("nan")
    >>> ends = margin_ends(
    ...     contract, np.full(3, 2.0), np.full(3, 100.0), np.array([7.0, unknown, unknown]),
    ...     np.array([unknown, 10.0, unknown]), initial_rate=0.02,
    ... )
    >>> ends.least.tolist(), ends.most.tolist(), ends.assumed.tolist()
    ([7.0, 20.0, 4.0], [7.0, 20.0, inf], [False, True, True])
    """
    if not 0.0 < initial_rate <= 1.0:
        raise ValueError(f"initial_rate is {initial_rate}: it must be above 0 and at most 1")
    entry_notional = np.abs(quantity) * settlement_price(contract, entry_price)
    by_leverage = entry_notional / leverage
    known, has_leverage = ~np.isnan(margin), ~np.isnan(leverage)
    least = np.where(has_leverage, by_leverage, initial_rate * entry_notional)
    most = np.where(has_leverage, by_leverage, np.inf)
    return MarginEnds(np.where(known, margin, least), np.where(known, margin, most), ~known)


class PriceEnds(NamedTuple):
    """Liquidation prices at both ends of what is unknown; for a long optimistic is the lower.

    Attributes
    ----------
    optimistic
        With the most margin, no fee and no slippage.
    conservative
        With the least margin, and a forced sale that pays its fee and slippage.
    """

    optimistic: Floats
    conservative: Floats


def price_ends(
    contract: Contract,
    quantity: Floats,
    entry_price: Floats,
    margin: MarginEnds,
    *,
    fee_ratio: float = 0.0,
    slippage_ratio: float = 0.0,
) -> PriceEnds:
    """Return the optimistic and the conservative liquidation price of each position.

    The distance between the two is the position's uncertainty.

    Parameters
    ----------
    contract, quantity, entry_price
        As for `liquidation_prices`.
    margin
        The range of the margins, from `margin_ends`, or `backing` at both ends.
    fee_ratio, slippage_ratio
        Fee of a forced sale and its 90 % slippage against the mark price, as ratios to notional.

    Examples
    --------
    2 bought at 100, margin 20, m = 1 %, fee 0.5 %, slippage 0.5 %: 180 / (2 - 0.02) and
    180 / (2 - 0.04).

    >>> ends = MarginEnds(np.array([20.0]), np.array([20.0]), np.array([False]))
    >>> from detectors.risk.tiers import tiers_of
    >>> contract = Contract(tiers_of([0.01]))
    >>> prices = price_ends(contract, np.array([2.0]), np.array([100.0]), ends,
    ...     fee_ratio=0.005, slippage_ratio=0.005)
    >>> prices.optimistic.round(3).tolist(), prices.conservative.round(3).tolist()
    ([90.909], [91.837])
    """
    return PriceEnds(
        liquidation_prices(contract, quantity, entry_price, margin.most),
        liquidation_prices(
            contract, quantity, entry_price, margin.least, fee_ratio + slippage_ratio
        ),
    )
