"""What a venue liquidates together: a cross account, or one isolated position.

A *margin unit* is a set of positions behind which one collateral stands. A cross account with known
collateral is one unit. Every isolated position is one. So is every cross position of an account
whose collateral is unknown: it is *assumed isolated*, with a margin from its leverage or from the
venue's initial rate.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from detectors.risk.contract import (
    Contract,
    profit,
    quote_notional,
    settlement_price,
    settlement_quantity,
)
from detectors.risk.ends import margin_ends
from detectors.risk.joint import CrossPositions
from detectors.risk.names import Numbers
from detectors.risk.positions import Positions
from detectors.risk.tiers import maintenance, marginal_rates
from detectors.risk.venue_margins import Market, with_markets
from detectors.table import Flags, Floats, Ints


class MarginUnits(NamedTuple):
    """The margin units of a venue.

    Attributes
    ----------
    first
        Where each symbol number begins in the rows of ``held``; one more at the end.
    held
        The positions, in the order of the symbol number. Its ``account`` is the number of the unit,
        its ``collateral`` has a value for each unit, in the settlement currency.
    account
        The account number of each unit.
    assumed
        Per unit: whether its collateral is not the venue's own figure.
    assumed_isolated
        Per unit: whether it is a cross position that is taken as isolated.
    """

    first: Ints
    held: CrossPositions
    account: Numbers
    assumed: Flags
    assumed_isolated: Flags


def margin_units(
    positions: Positions, markets: Sequence[Market], end: Literal["least", "most"] = "least"
) -> MarginUnits:
    """Return the margin units of a venue.

    Parameters
    ----------
    positions
        All positions of the venue.
    markets
        For each symbol number.
    end
        Which end of an unknown margin counts; see `ends.margin_ends`. With ``most`` an isolated
        position of unknown margin and leverage has an infinite one.

    Raises
    ------
    ValueError
        If there is a position in a symbol without a market.

    Examples
    --------
    Account a is a cross account over two symbols, b is isolated, and nothing is known of what backs
    c but that it had to put in 10 %:

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, cross=True)
    >>> positions.put("b", "X", quantity=2.0, entry_price=100.0, margin=8.0)
    >>> positions.put("a", "Y", quantity=-1.0, entry_price=40.0, cross=True)
    >>> positions.put("c", "Y", quantity=3.0, entry_price=40.0, cross=True)
    >>> positions.set_collateral("a", 50.0)
    >>> contract = Contract(tiers_of([0.01]))
    >>> units = margin_units(positions, [Market(contract, 100.0, 0.1), Market(contract, 40.0, 0.1)])
    >>> units.held.account.tolist(), units.held.collateral.tolist()
    ([0, 1, 0, 2], [50.0, 8.0, 12.0])
    >>> [positions.accounts.name(number) for number in units.account]
    ['a', 'b', 'c']
    >>> units.assumed_isolated.tolist()
    [False, False, True]
    """
    rows, first = with_markets(positions, markets)
    symbol, account = positions.symbol[rows], positions.account[rows]
    cross = positions.cross[rows]
    pooled = cross & ~np.isnan(positions.collateral[account])
    owners, of_owner = np.unique(account[pooled], return_inverse=True)
    alone = np.flatnonzero(~pooled)
    unit = np.empty(len(rows), np.int32)
    unit[pooled] = of_owner
    unit[alone] = len(owners) + np.arange(len(alone))
    margin, guessed = np.empty(len(alone)), np.empty(len(alone), np.bool_)
    begins = np.searchsorted(alone, first)
    for market, begin, stop in zip(markets, begins[:-1], begins[1:], strict=True):
        if begin == stop:
            continue
        of = rows[alone[begin:stop]]
        ends = margin_ends(
            market.contract, positions.quantity[of], positions.entry_price[of],
            positions.margin[of], positions.leverage[of], market.initial_rate,
        )  # fmt: skip
        margin[begin:stop] = ends.least if end == "least" else ends.most
        guessed[begin:stop] = ends.assumed | positions.cross[of]
    known = np.zeros(len(owners), np.bool_)
    return MarginUnits(
        first,
        CrossPositions(
            unit, symbol, positions.quantity[rows], positions.entry_price[rows],
            np.concatenate((positions.collateral[owners], margin)),
        ),
        np.concatenate((owners, account[alone])),
        np.concatenate((known, guessed)),
        np.concatenate((known, cross[alone])),
    )  # fmt: skip


class Marked(NamedTuple):
    """Positions at a mark price of each symbol; a row a position of `MarginUnits.held`.

    Attributes
    ----------
    gained, required
        Unrealised profit and maintenance margin, in the settlement currency.
    notional
        In the quote currency.
    exposure
        What the position takes from its unit's equity less maintenance margin when its symbol falls
        by a small ratio x, as a multiple of x; negative if it gives. A rise gives what a fall
        takes. In the settlement currency: q P - m |q| P for a linear contract, with the rate m of
        the position's tier.
    cost
        The notional in the settlement currency: what a fee is a ratio of.
    """

    gained: Floats
    required: Floats
    notional: Floats
    exposure: Floats
    cost: Floats


def marked(units: MarginUnits, markets: Sequence[Market], marks: Floats) -> Marked:
    """Return the positions at a mark price of each symbol.

    Parameters
    ----------
    units, markets
        The positions, and the contracts of their symbols; the markets' own mark prices are unused.
    marks
        The mark price of each symbol in the quote currency.

    Examples
    --------
    A long of 2 at 100 marked at 95, m = 1 %:

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=2.0, entry_price=100.0, margin=15.0)
    >>> markets = [Market(Contract(tiers_of([0.01])), 100.0, 0.1)]
    >>> at = marked(margin_units(positions, markets), markets, np.array([95.0]))
    >>> at.gained.tolist(), at.required.round(6).tolist(), at.notional.tolist()
    ([-10.0], [1.9], [190.0])
    >>> at.exposure.round(6).tolist()
    [188.1]
    """
    at = Marked(*(np.empty(len(units.held.quantity)) for _ in Marked._fields))
    for number, market in enumerate(markets):
        mark_symbol(at, units, number, market.contract, float(marks[number]))
    return at


def mark_symbol(
    at: Marked, units: MarginUnits, number: int, contract: Contract, mark: float
) -> None:
    """Write the positions of one symbol at a mark price into ``at``.

    Parameters
    ----------
    at
        What is written to.
    units, number, contract
        The positions, the number of the symbol, and its contract.
    mark
        The mark price in the quote currency.
    """
    part = slice(units.first[number], units.first[number + 1])
    held = units.held.quantity[part]
    if not len(held):
        return
    price = np.array([mark])
    settled = settlement_price(contract, price)
    cost = np.abs(held) * settled
    at.cost[part] = cost
    at.gained[part] = profit(contract, held, units.held.entry_price[part], price)
    at.required[part] = maintenance(contract.tiers, cost)
    at.notional[part] = quote_notional(contract, held, mark)
    taken = settlement_quantity(contract, held) * settled
    taken = taken - marginal_rates(contract.tiers, cost) * cost
    # A fall of the price is a rise of an inverse contract's settlement price.
    at.exposure[part] = -taken if contract.inverse else taken


def unit_sums(units: MarginUnits, values: Floats) -> Floats:
    """Return the sum of a column over the positions of each unit."""
    return np.bincount(units.held.account, values, len(units.held.collateral)).astype(np.float64)
