"""Linear and inverse contracts, as one.

A linear contract settles in the quote currency: profit is q (P - e). An inverse contract has a face
value in the quote currency and settles in the base currency: profit is q (1/e - 1/P). With
y = 1/P that is -q (y - 1/e): an inverse position is a linear one of the opposite sign in the
*settlement price* y. Every formula of this package is written for linear contracts and applies to
inverse ones through the settlement price.
"""

from typing import NamedTuple

import numpy as np

from detectors.risk.tiers import Tiers
from detectors.table import Floats


class Contract(NamedTuple):
    """What the risk of a position depends on besides the position.

    Attributes
    ----------
    tiers
        The maintenance tiers, in the settlement currency.
    inverse
        Whether the contract settles in the base currency. A quantity then is a face value in the
        quote currency; margin and tiers are in the base currency.
    """

    tiers: Tiers
    inverse: bool = False


def settlement_price(contract: Contract, price: Floats) -> Floats:
    """Return the price of a unit of quantity in the settlement currency.

    >>> from detectors.risk.tiers import tiers_of
    >>> settlement_price(Contract(tiers_of([0.01]), inverse=True), np.array([50_000.0])).tolist()
    [2e-05]
    """
    return 1.0 / price if contract.inverse else price


def settlement_quantity(contract: Contract, quantity: Floats) -> Floats:
    """Return the quantities with the sign of their profit in a rising settlement price."""
    return -quantity if contract.inverse else quantity


def quote_price(contract: Contract, settlement: Floats) -> Floats:
    """Return the prices, in the quote currency, of these settlement prices.

    A settlement price that is negative has no price: it becomes the end of the range on its side, 0
    for a linear contract and infinity for an inverse one.
    """
    bounded = np.maximum(settlement, 0.0)
    if not contract.inverse:
        return bounded
    with np.errstate(divide="ignore"):
        return 1.0 / bounded


def quote_notional(contract: Contract, quantity: Floats, price: float) -> Floats:
    """Return the notional of each quantity at ``price``, in the quote currency.

    >>> from detectors.risk.tiers import tiers_of
    >>> tiers = tiers_of([0.01])
    >>> quote_notional(Contract(tiers), np.array([-2.0]), 100.0).tolist()
    [200.0]
    >>> quote_notional(Contract(tiers, inverse=True), np.array([-2.0]), 100.0).tolist()
    [2.0]
    """
    return np.abs(quantity) if contract.inverse else np.abs(quantity) * price


def profit(contract: Contract, quantity: Floats, entry_price: Floats, price: Floats) -> Floats:
    """Return the unrealised profit of each position, in the settlement currency.

    A face value of 10,000 bought at 50,000 and marked at 40,000 loses 0.05 of the base currency:

    >>> from detectors.risk.tiers import tiers_of
    >>> inverse = Contract(tiers_of([0.01]), inverse=True)
    >>> loss = profit(inverse, np.array([10_000.0]), np.array([50_000.0]), np.array([40_000.0]))
    >>> loss.round(9).tolist()
    [-0.05]
    """
    moved = settlement_price(contract, price) - settlement_price(contract, entry_price)
    return settlement_quantity(contract, quantity) * moved
