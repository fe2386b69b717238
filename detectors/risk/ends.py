"""The two ends of a liquidation price where the input does not determine it."""

from typing import NamedTuple

import numpy as np

from detectors.risk.contract import Contract, settlement_price
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
