"""From the positions of a venue to the ladders of a symbol, isolated and cross margin together."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from detectors.risk.contract import Contract, profit, quote_notional, settlement_price
from detectors.risk.ends import margin_ends
from detectors.risk.ladder import Ladder, Side, against, ladder_of
from detectors.risk.liquidation import backing, bankruptcy_prices, liquidation_prices
from detectors.risk.positions import Positions
from detectors.risk.tiers import maintenance
from detectors.table import Floats, Ints


class Market(NamedTuple):
    """What is known of a symbol.

    Attributes
    ----------
    contract
        The contract.
    mark
        The mark price in the quote currency, above 0.
    initial_rate
        The venue's least initial margin, as a ratio to notional.
    """

    contract: Contract
    mark: float
    initial_rate: float


def with_markets(positions: Positions, markets: Sequence[Market]) -> tuple[Ints, Ints]:
    """Return `Positions.by_symbol`, for each symbol number that has a market.

    Raises
    ------
    ValueError
        If there is a position in a symbol without a market.
    """
    rows, first = positions.by_symbol()
    count = len(markets)
    if len(first) - 1 > count and first[-1] > first[count]:
        number = positions.symbol[rows[-1]]
        raise ValueError(
            f"symbol number {number} has a position, but there are only {count} markets"
        )
    # A market may have no number yet.
    return rows, np.concatenate((first[: count + 1], np.full(count + 1, first[-1])))[: count + 1]


class Backed(NamedTuple):
    """What backs each position of a venue; a row a position, ordered by symbol number.

    Attributes
    ----------
    rows, first
        See `Positions.by_symbol`.
    behind
        What the rest of the account puts behind a cross position, in the settlement currency. NaN
        for an isolated one, and where the collateral is unknown.
    """

    rows: Ints
    first: Ints
    behind: Floats


def backed_positions(positions: Positions, markets: Sequence[Market]) -> Backed:
    """Return what backs each position: its own margin, or the rest of its account.

    A cross position of an account with unknown collateral is taken as isolated and marked as
    assumed. All cross positions of an account must settle in one currency: name an account once for
    each currency.

    Parameters
    ----------
    positions
        All positions of the venue.
    markets
        For each symbol number.

    Raises
    ------
    ValueError
        If there is a position in a symbol without a market.

    Examples
    --------
    Account a has a collateral of 50 behind a long of 1 at 100 in X and a short of 1 at 40 in Y;
    both are at their entry prices and need 1 %. In X, 50 - 0.4 back it; in Y, 50 - 1.

    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, cross=True)
    >>> positions.put("a", "Y", quantity=-1.0, entry_price=40.0, cross=True)
    >>> positions.set_collateral("a", 50.0)
    >>> contract = Contract(tiers_of([0.01]))
    >>> backed = backed_positions(positions, [Market(contract, 100.0, 0.1),
    ...     Market(contract, 40.0, 0.1)])
    >>> backed.behind.round(6).tolist()
    [49.6, 49.0]
    """
    rows, first = with_markets(positions, markets)
    behind = np.full(len(rows), np.nan)
    cross = np.flatnonzero(positions.cross[rows])
    if not len(cross):
        return Backed(rows, first, behind)
    held = rows[cross]
    gained, required = np.empty(len(cross)), np.empty(len(cross))
    begins = np.searchsorted(cross, first)
    for market, begin, end in zip(markets, begins[:-1], begins[1:], strict=True):
        if begin == end:
            continue
        part, of = slice(begin, end), held[begin:end]
        quantity, mark = positions.quantity[of], np.full(len(of), market.mark)
        gained[part] = profit(market.contract, quantity, positions.entry_price[of], mark)
        notional = np.abs(quantity) * settlement_price(market.contract, mark)
        required[part] = maintenance(market.contract.tiers, notional)
    behind[cross] = backing(positions.account[held], positions.collateral, gained, required)
    return Backed(rows, first, behind)


class SideLadder(NamedTuple):
    """The ladder of one side of a symbol at one end, and how much of the market it knows.

    Attributes
    ----------
    ladder
        The ladder.
    coverage_ratio
        Known quantity of the side over the open interest. Of a complete feed it is 1.
    assumed_ratio
        The share of the known notional whose margin is assumed.
    """

    ladder: Ladder
    coverage_ratio: float
    assumed_ratio: float


def symbol_ladder(
    positions: Positions,
    backed: Backed,
    symbol: str,
    market: Market,
    side: Side,
    open_interest: float,
    *,
    end: Literal["optimistic", "conservative"] = "conservative",
    fee_ratio: float = 0.0,
    slippage_ratio: float = 0.0,
) -> SideLadder:
    """Return the ladder of one side of a symbol.

    Parameters
    ----------
    positions, backed
        The venue's positions, and `backed_positions` of them.
    symbol, market, side
        The symbol, what is known of it, and the side.
    open_interest
        Of the symbol, in the unit of its quantities.
    end
        ``conservative`` takes the least margin and a forced sale that pays its fee and slippage,
        ``optimistic`` the most margin and a free sale. The distance between both is what is not
        known.
    fee_ratio, slippage_ratio
        Fee of a forced sale and its 90 % slippage against the mark price, as ratios to notional.

    Raises
    ------
    ValueError
        If ``open_interest`` is not above 0.

    Examples
    --------
    The positions of `backed_positions`: the long in X goes at (100 - 49.6) / 0.99 = 50.91. That is
    a fall of 49.09 %.

    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, cross=True)
    >>> positions.put("a", "Y", quantity=-1.0, entry_price=40.0, cross=True)
    >>> positions.set_collateral("a", 50.0)
    >>> contract = Contract(tiers_of([0.01]))
    >>> markets = [Market(contract, 100.0, 0.1), Market(contract, 40.0, 0.1)]
    >>> backed = backed_positions(positions, markets)
    >>> its = symbol_ladder(positions, backed, "X", markets[0], "long", open_interest=2.0)
    >>> its.ladder.move.round(4).tolist(), its.coverage_ratio, its.assumed_ratio
    ([0.4909], 0.5, 0.0)
    """
    if not open_interest > 0.0:
        raise ValueError(f"open_interest is {open_interest}: it must be above 0")
    number = positions.symbols.find(symbol)
    begin, stop = (0, 0) if number is None else backed.first[number : number + 2].tolist()
    rows = backed.rows[begin:stop]
    its_side = against(side) * positions.quantity[rows] > 0.0
    rows, behind = rows[its_side], backed.behind[begin:stop][its_side]
    quantity, entry = positions.quantity[rows], positions.entry_price[rows]
    ends = margin_ends(
        market.contract, quantity, entry, positions.margin[rows], positions.leverage[rows],
        market.initial_rate,
    )  # fmt: skip
    conservative = end == "conservative"
    pooled = ~np.isnan(behind)
    margin = np.where(pooled, behind, ends.least if conservative else ends.most)
    assumed = np.where(positions.cross[rows], ~pooled, ends.assumed)
    extra_rate = fee_ratio + slippage_ratio if conservative else 0.0
    price = liquidation_prices(market.contract, quantity, entry, margin, extra_rate)
    bankrupt = bankruptcy_prices(market.contract, quantity, entry, margin)
    notional = quote_notional(market.contract, quantity, market.mark)
    known = float(notional.sum())
    return SideLadder(
        ladder_of(
            market.contract, side, market.mark, positions.account[rows], quantity, price, bankrupt
        ),
        float(np.abs(quantity).sum()) / open_interest,
        float(notional[assumed].sum()) / known if known > 0.0 else 0.0,
    )
