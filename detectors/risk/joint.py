"""How far markets must move together to liquidate a cross-margin account."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.contract import Contract, profit, settlement_price
from detectors.risk.names import Numbers
from detectors.risk.tiers import maintenance
from detectors.table import Floats

_MOST_STEPS = 100

_ASIDE = 4e-13


class CrossPositions(NamedTuple):
    """The cross positions of some accounts; a row a position, the rows in the order of ``symbol``.

    Attributes
    ----------
    account
        Account numbers, each below the length of ``collateral``.
    symbol
        The place of the position's contract in a list of contracts.
    quantity, entry_price
        Signed quantity and mean entry price in the quote currency.
    collateral
        Collateral of each account number, without unrealised profit.
    """

    account: Numbers
    symbol: Numbers
    quantity: Floats
    entry_price: Floats
    collateral: Floats


def slack(cross: CrossPositions, contracts: Sequence[Contract], price: Floats) -> Floats:
    """Return equity less maintenance margin of each account number, in the settlement currency.

    An account is liquidated when this is 0 or less.

    Parameters
    ----------
    cross
        The positions.
    contracts
        The contract of each symbol; all settle in one currency.
    price
        Mark price of each position, in the quote currency.

    Raises
    ------
    ValueError
        If the rows are not in the order of ``symbol``.

    Examples
    --------
    A collateral of 30, a long of 2 at 100 marked at 95 and a short of 1 at 50 marked at 48:
    30 - 10 + 2 - 0.01 x (190 + 48) = 19.62.

    >>> from detectors.risk.tiers import tiers_of
    >>> cross = CrossPositions(np.array([0, 0]), np.array([0, 1]), np.array([2.0, -1.0]),
    ...     np.array([100.0, 50.0]), np.array([30.0]))
    >>> contract = Contract(tiers_of([0.01]))
    >>> slack(cross, [contract, contract], np.array([95.0, 48.0])).round(6).tolist()
    [19.62]
    """
    if np.any(cross.symbol[1:] < cross.symbol[:-1]):
        raise ValueError("the rows are not in the order of symbol: sort them by it")
    first = np.searchsorted(cross.symbol, np.arange(len(contracts) + 1))
    kept = np.zeros(len(cross.quantity))
    for contract, begin, end in zip(contracts, first[:-1], first[1:], strict=True):
        rows = slice(begin, end)
        held = cross.quantity[rows]
        notional = np.abs(held) * settlement_price(contract, price[rows])
        kept[rows] = profit(contract, held, cross.entry_price[rows], price[rows])
        kept[rows] -= maintenance(contract.tiers, notional)
    summed: Floats = cross.collateral + np.bincount(cross.account, kept, len(cross.collateral))
    return summed


def joint_distances(
    cross: CrossPositions,
    contracts: Sequence[Contract],
    marks: Floats,
    betas: Floats,
    furthest: float = 0.5,
) -> Floats:
    """Return the least common move x at which each account is liquidated; infinity if none is.

    Symbol j moves to P_j (1 - beta_j x). With linear contracts the slack of an account is concave
    in x, so it crosses 0 at most once on the way down. The crossing is bracketed and found by
    bisection and secants, to a relative precision of 1e-12. With inverse shorts, which gain from a
    fall, the slack may not be concave: an account that would recover before ``furthest`` is missed.

    Parameters
    ----------
    cross, contracts, marks
        As for `slack`; ``marks`` has the mark price of each symbol.
    betas
        How far each symbol moves for a common move of 1; of shape (symbols,). Negative betas rise.
    furthest
        The largest move that is looked at, as a ratio.

    Raises
    ------
    ValueError
        If a price would not stay above 0 within ``furthest``.

    Examples
    --------
    One long of 2 at 100, collateral 20, m = 1 %: 20 - 200 x = 2 (1 - x), x = 18 / 198.

    >>> from detectors.risk.tiers import tiers_of
    >>> cross = CrossPositions(np.array([0]), np.array([0]), np.array([2.0]), np.array([100.0]),
    ...     np.array([20.0]))
    >>> contract = Contract(tiers_of([0.01]))
    >>> joint_distances(cross, [contract], np.array([100.0]), np.array([1.0])).round(6).tolist()
    [0.090909]
    """
    if np.any(betas * furthest >= 1.0):
        raise ValueError(
            f"furthest is {furthest}: with a beta of {betas.max()} a price would fall to 0 or below"
        )

    mark, beta = marks[cross.symbol], betas[cross.symbol]

    def at(x: Floats) -> Floats:
        return slack(cross, contracts, mark * (1.0 - beta * x[cross.account]))

    accounts = len(cross.collateral)
    low, high = np.zeros(accounts), np.full(accounts, furthest)
    above, below = at(low), at(high)
    crosses = (above > 0.0) & (below <= 0.0)
    for step in range(_MOST_STEPS):
        if not np.any(crosses & (high - low > 1e-12 * high)):
            break
        middle = 0.5 * (low + high)
        if step % 3:
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = low + (high - low) * (above / (above - below))
            # A little past the crossing and a little before it, so that both ends move there.
            secant *= 1.0 + (_ASIDE if step % 3 == 1 else -_ASIDE)
            middle = np.where((secant > low) & (secant < high), secant, middle)
        value = at(middle)
        reached = value <= 0.0
        high, below = np.where(reached, middle, high), np.where(reached, value, below)
        low, above = np.where(reached, low, middle), np.where(reached, above, value)
    return np.where(above <= 0.0, 0.0, np.where(crosses, high, np.inf))
