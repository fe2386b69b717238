"""From the positions of a venue to the ladders of a symbol, isolated and cross margin together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.contract import Contract, profit, quote_notional, settlement_price
from detectors.risk.ends import MarginEnds, margin_ends, price_ends
from detectors.risk.ladder import Ladder, Side, against, ladder_of
from detectors.risk.liquidation import backing, bankruptcy_prices
from detectors.risk.positions import Positions
from detectors.risk.tiers import maintenance
from detectors.table import Flags, Floats, Ints


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


class Backed(NamedTuple):
    """What backs each position of a venue; a row a position, ordered by symbol number.

    Attributes
    ----------
    rows
        Rows of the positions.
    first
        Where each symbol number begins in ``rows``; one more at the end.
    margin
        The range of what backs the position, in the settlement currency.
    """

    rows: Ints
    first: Ints
    margin: MarginEnds


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
    >>> backed.margin.least.round(6).tolist(), backed.margin.assumed.tolist()
    ([49.6, 49.0], [False, False])
    """
    rows = positions.rows()
    rows = rows[np.argsort(positions.symbol[rows], kind="stable")]
    symbol = positions.symbol[rows]
    if len(symbol) and symbol[-1] >= len(markets):
        raise ValueError(
            f"symbol number {symbol[-1]} has a position, but there are only {len(markets)} markets"
        )
    first = np.searchsorted(symbol, np.arange(len(markets) + 1))
    gained, required = np.empty(len(rows)), np.empty(len(rows))
    least, most = np.empty(len(rows)), np.empty(len(rows))
    assumed: Flags = np.empty(len(rows), np.bool_)
    for market, begin, end in zip(markets, first[:-1], first[1:], strict=True):
        part, of = slice(begin, end), rows[begin:end]
        quantity, entry = positions.quantity[of], positions.entry_price[of]
        mark = np.full(len(of), market.mark)
        gained[part] = profit(market.contract, quantity, entry, mark)
        notional = np.abs(quantity) * settlement_price(market.contract, mark)
        required[part] = maintenance(market.contract.tiers, notional)
        least[part], most[part], assumed[part] = margin_ends(
            market.contract, quantity, entry, positions.margin[of], positions.leverage[of],
            market.initial_rate,
        )  # fmt: skip
    cross = np.flatnonzero(positions.cross[rows])
    account = positions.account[rows[cross]]
    behind = backing(account, positions.collateral, gained[cross], required[cross])
    known = ~np.isnan(behind)
    least[cross[known]] = most[cross[known]] = behind[known]
    assumed[cross] = ~known
    return Backed(rows, first, MarginEnds(least, most, assumed))


class LadderEnds(NamedTuple):
    """Both ends of a ladder, and how much of the market it knows.

    Attributes
    ----------
    optimistic, conservative
        With the most margin and a free sale; with the least margin and a sale at a cost.
    coverage_ratio
        Known quantity of the side over the open interest. Of a complete feed it is 1.
    assumed_ratio
        The share of the known notional whose margin is assumed.
    """

    optimistic: Ladder
    conservative: Ladder
    coverage_ratio: float
    assumed_ratio: float


def symbol_ladders(
    positions: Positions,
    backed: Backed,
    symbol: str,
    market: Market,
    side: Side,
    open_interest: float,
    *,
    fee_ratio: float = 0.0,
    slippage_ratio: float = 0.0,
) -> LadderEnds:
    """Return the ladders of one side of a symbol.

    Parameters
    ----------
    positions, backed
        The venue's positions, and `backed_positions` of them.
    symbol, market, side
        The symbol, what is known of it, and the side.
    open_interest
        Of the symbol, in the unit of its quantities.
    fee_ratio, slippage_ratio
        As for `price_ends`.

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
    >>> ends = symbol_ladders(positions, backed, "X", markets[0], "long", open_interest=2.0)
    >>> ends.optimistic.move.round(4).tolist(), ends.coverage_ratio, ends.assumed_ratio
    ([0.4909], 0.5, 0.0)
    """
    if not open_interest > 0.0:
        raise ValueError(f"open_interest is {open_interest}: it must be above 0")
    number = positions.symbols.find(symbol)
    begin, end = (0, 0) if number is None else backed.first[number : number + 2].tolist()
    rows = backed.rows[begin:end]
    its_side = against(side) * positions.quantity[rows] > 0.0
    rows = rows[its_side]
    quantity, entry = positions.quantity[rows], positions.entry_price[rows]
    margin = MarginEnds(
        backed.margin.least[begin:end][its_side],
        backed.margin.most[begin:end][its_side],
        backed.margin.assumed[begin:end][its_side],
    )
    prices = price_ends(
        market.contract, quantity, entry, margin,
        fee_ratio=fee_ratio, slippage_ratio=slippage_ratio,
    )  # fmt: skip

    def ladder(price: Floats, backing_margin: Floats) -> Ladder:
        bankrupt = bankruptcy_prices(market.contract, quantity, entry, backing_margin)
        account = positions.account[rows]
        return ladder_of(
            market.contract, side, market.mark, account, quantity, price, bankrupt
        )  # fmt: skip

    notional = quote_notional(market.contract, quantity, market.mark)
    known = float(notional.sum())
    return LadderEnds(
        ladder(prices.optimistic, margin.most),
        ladder(prices.conservative, margin.least),
        float(np.abs(quantity).sum()) / open_interest,
        float(notional[margin.assumed].sum()) / known if known > 0.0 else 0.0,
    )
