"""What a venue and its participants have beyond isolated margin with one tier; a scenario sets it.

With the defaults the market is the one in which no scenario asks for more: the same seeds give the
same orders, cancels and trades.
"""

from dataclasses import dataclass
from typing import Literal

from service.exchange.rules import KEPT, Rules

Allocation = Literal["largest", "pro_rata"]
"""Which positions of a cross-margin account the venue reduces: the largest, or all in proportion.
"""


@dataclass(frozen=True, slots=True)
class CrossAccounts:
    """Accounts whose collateral is shared by positions in several symbols.

    Attributes
    ----------
    accounts
        The number of accounts that are long in each of the symbols. As many well-funded accounts
        hold the other side.
    symbols
        Positions in the list of symbols.
    weights
        Each symbol's share of an account's notional.
    open_interest_ratio
        What the long accounts hold in the first symbol, as a ratio to the open interest that the
        other accounts have there.
    leverage
        Notional over collateral at the start. A scenario can raise it with ``cross_leverage``.
    allocation
        The venue's rule for what it reduces.
    """

    accounts: int
    symbols: tuple[int, ...]
    weights: tuple[float, ...]
    open_interest_ratio: float
    leverage: float = 8.0
    allocation: Allocation = "largest"


@dataclass(frozen=True, slots=True)
class Structure:
    """The venue's rules and its participants' means.

    Attributes
    ----------
    fund_ratio
        The insurance fund at the start, as a ratio to the venue's open interest.
    takeover
        Whether the fund takes over bankrupt positions and deleverages what it cannot bear. Without
        it, they are closed through the book; what the fund cannot bear vanishes.
    liquidation_fee
        What the fund earns from each liquidation step, as a ratio to its notional.
    tiered
        Whether large positions need more margin, in tiers.
    open_interest
        Multiplies the positions of the accounts.
    depth
        Multiplies the makers' sizes; the accounts' positions grow with them.
    leverage_range
        Least and largest leverage of accounts that are not eager, as shares of the contract's
        maximum.
    spare_margin
        Multiplies the collateral that accounts put up for a position.
    stop_share
        Share of the accounts that have a stop order below or above their position.
    shared_makers
        Whether a maker is funded across symbols: losses in one make it withdraw from all, and it
        hedges in the others what it holds in one.
    cross
        Cross-margin accounts, if there are any.
    house_share
        Share of the accounts with isolated margin that belong to the house.
    funding_index
        Whether positions are published with their funding index.
    audited
        Whether the venue also publishes what only an audit reads: the acknowledgements of a gateway
        with a rate limit, fees, the sources of the index, and what liquidations leave on accounts.
        Machines of clients send orders as well, and new exposure is backed at the mark price.
    rules
        What the venue does; other than `KEPT`, it breaks rules.
    """

    fund_ratio: float = 0.01
    takeover: bool = False
    liquidation_fee: float = 0.0
    tiered: bool = False
    open_interest: float = 1.0
    depth: float = 1.0
    leverage_range: tuple[float, float] = (0.0, 0.6)
    spare_margin: float = 1.0
    stop_share: float = 0.0
    shared_makers: bool = False
    cross: CrossAccounts | None = None
    house_share: float = 0.0
    funding_index: bool = False
    audited: bool = False
    rules: Rules = KEPT


USUAL = Structure()
"""Isolated margin, one tier, and a fund that only pays."""
