"""Liquidation and bankruptcy prices of positions."""

import numpy as np

from detectors.risk.contract import Contract, quote_price, settlement_price, settlement_quantity
from detectors.risk.names import Numbers
from detectors.risk.tiers import Tiers
from detectors.table import Floats


def liquidation_prices(
    contract: Contract,
    quantity: Floats,
    entry_price: Floats,
    margin: Floats,
    extra_rate: float = 0.0,
) -> Floats:
    """Return the mark price at which each position's equity equals its maintenance margin.

    A long is liquidated at this price and below, a short at this price and above. The ends of the
    range say never and always: 0 and infinity for longs, infinity and 0 for shorts.

    In tier i the price solves margin + q (p - e) = (m_i + extra) |q| p - D_i. The requirement is
    the largest of the tiers' lines, so the first tier that is violated decides: the highest of the
    tiers' prices for a long, the lowest for a short. Inverse contracts are solved in the settlement
    price.

    Parameters
    ----------
    contract
        Tiers, and whether the contract is inverse.
    quantity, entry_price
        Signed quantity, not 0, and mean entry price in the quote currency; one for each position.
    margin
        What backs the position besides its own unrealised profit, in the settlement currency: the
        isolated margin, or `backing` for a cross position.
    extra_rate
        Added to each maintenance rate, as a ratio: the fee and the slippage of a forced sale, for
        the conservative end.

    Raises
    ------
    ValueError
        If the highest maintenance rate and ``extra_rate`` together reach 1.

    Examples
    --------
    2 bought at 100 with a margin of 20 and 1 % maintenance: (200 - 20) / (2 - 0.02) = 90.909. The
    short: (-200 - 20) / (-2 - 0.02) = 108.911.

    >>> from detectors.risk.tiers import tiers_of
    >>> contract = Contract(tiers_of([0.01]))
    >>> quantity, entry_price = np.array([2.0, -2.0]), np.array([100.0, 100.0])
    >>> margin = np.array([20.0, 20.0])
    >>> liquidation_prices(contract, quantity, entry_price, margin).round(3).tolist()
    [90.909, 108.911]

    A long of 10,000 face value bought at 50,000 with 0.02 of the base currency as margin, inverse:
    10,000 (1 + 0.01) / (0.02 + 10,000 / 50,000) = 45,909.09.

    >>> inverse = Contract(tiers_of([0.01]), inverse=True)
    >>> face, entry = np.array([10_000.0]), np.array([50_000.0])
    >>> liquidation_prices(inverse, face, entry, np.array([0.02])).round(2).tolist()
    [45909.09]

    References
    ----------
    [^1]: [Binance, 2024. Leverage and Margin of USDⓈ-M Futures.]
    (https://www.binance.com/en/support/faq/360033162192) Tiers.
    [^2]: [Hyperliquid, 2024. Liquidations.]
    (https://hyperliquid.gitbook.io/hyperliquid-docs/trading/liquidations) The same price with
    D = 0, written p - side margin_available / size / (1 - l side).
    """
    tiers = contract.tiers
    if tiers.rates[-1] + extra_rate >= 1.0:
        raise ValueError(
            f"extra_rate is {extra_rate}: with the maintenance rate {tiers.rates[-1]} it must stay "
            "below 1"
        )
    signed = settlement_quantity(contract, quantity)
    size = np.abs(signed)
    rising = signed > 0.0  # profits from a rising settlement price
    cost = signed * settlement_price(contract, entry_price) - margin
    price = np.where(rising, -np.inf, np.inf)
    for rate, deduction in zip(tiers.rates, tiers.deductions, strict=True):
        violated = (cost - deduction) / (signed - (rate + extra_rate) * size)
        price = np.where(rising, np.maximum(price, violated), np.minimum(price, violated))
    return quote_price(contract, price)


def bankruptcy_prices(
    contract: Contract, quantity: Floats, entry_price: Floats, margin: Floats
) -> Floats:
    """Return the mark price at which each position has lost what backs it.

    This is the liquidation price without a maintenance margin: p = e - margin / q for a linear
    contract. The arguments are those of `liquidation_prices`.

    >>> from detectors.risk.tiers import tiers_of
    >>> contract = Contract(tiers_of([0.01]))
    >>> bankruptcy_prices(contract, np.array([2.0]), np.array([100.0]), np.array([20.0])).tolist()
    [90.0]
    """
    nothing = Contract(Tiers((0.0,), (0.0,), (0.0,)), contract.inverse)
    return liquidation_prices(nothing, quantity, entry_price, margin)


def backing(
    account: Numbers,
    collateral: Floats,
    profit: Floats,
    required: Floats,
) -> Floats:
    """Return what backs each cross position besides its own profit, in the settlement currency.

    While only one symbol's price moves, the rest of the account stands still: position k has
    C + sum over j != k of (profit_j - maintenance_j).

    Parameters
    ----------
    account
        Account number of each cross position. All cross positions of an account must be there.
    collateral
        Collateral of each account number, without unrealised profit; NaN if unknown.
    profit, required
        Unrealised profit and maintenance margin of each position, at the mark price.

    Examples
    --------
    Account 0 has a collateral of 50 and two positions; account 1 has one:

    >>> profit, required = np.array([-10.0, 5.0, 1.0]), np.array([4.0, 2.0, 1.0])
    >>> backing(np.array([0, 0, 1]), np.array([50.0, 30.0]), profit, required).tolist()
    [53.0, 36.0, 30.0]
    """
    slack = profit - required
    total = np.bincount(account, slack, len(collateral))
    alone = np.bincount(account, minlength=len(collateral)) == 1
    others = np.where(alone[account], 0.0, total[account] - slack)  # exactly 0, not a rounding
    backed: Floats = collateral[account] + others
    return backed
