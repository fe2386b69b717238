"""Positions: an account's holding in one contract, and the collateral that backs it.

Isolated margin: each position has its own collateral. A liquidation affects no other position.
Cross margin: a pool of collateral backs all positions of an account.
"""

from typing import Protocol

from service.exchange.venue.margins import MarginSchedule

_LEAST_EXCESS_SHARE = 0.05  # a smaller excess, as a share of the margin, is not withdrawn


class Priced(Protocol):
    """What the worth of a position depends on; a market has it."""

    mark: float
    lot_size: float
    schedule: MarginSchedule


class Pool:
    """The collateral of a cross-margin account, and the positions that it backs.

    Attributes
    ----------
    account
        The account's published name.
    collateral
        In the quote currency, without open profit; negative if losses exceed it.
    positions
        The account's holdings and their markets.
    """

    __slots__ = ("account", "collateral", "positions")

    def __init__(self, account: str, collateral: float) -> None:
        self.account = account
        self.collateral = collateral
        self.positions: list[tuple[Priced, Holding]] = []

    def equity(self) -> float:
        """Collateral plus the unrealised profit of all positions at their mark prices."""
        profits = (its.profit(market.mark, market.lot_size) for market, its in self.positions)
        return self.collateral + sum(profits)

    def maintenance(self) -> float:
        """The margin below which the venue reduces the account."""
        return sum(_maintenance(market, its) for market, its in self.positions)

    def gross(self) -> float:
        """The notional of all positions at their mark prices."""
        return sum(abs(its.lots) * market.lot_size * market.mark for market, its in self.positions)

    def backing(self, holding: "Holding") -> float:
        """What backs one position beside its own profit, while the other marks stand still."""
        rest = (
            its.profit(market.mark, market.lot_size) - _maintenance(market, its)
            for market, its in self.positions
            if its is not holding
        )
        return self.collateral + sum(rest)


def _maintenance(market: Priced, holding: "Holding") -> float:
    return market.schedule.maintenance(abs(holding.lots) * market.lot_size * market.mark)


class Holding:
    """An account's position in one contract.

    Attributes
    ----------
    account
        The account's published name.
    lots
        Signed; positive is long.
    entry
        Mean entry price in the quote currency.
    margin
        Collateral of the position in the quote currency, without open profit. It is negative if a
        liquidation has lost more than it; 0 with cross margin.
    leverage
        The account's leverage setting for this contract. New exposure adds notional / leverage.
    margined
        Whether the position can be liquidated. Makers' positions cannot: makers are funded across
        contracts.
    cash
        Sum of all payments, in the quote currency. cash + lots * price is the profit.
    version
        Increases with every change, so a stored liquidation price can be recognised as outdated.
    liquidating
        Whether the venue is closing the position now.
    residue
        What was left of the margin when a liquidation closed the position; negative if nothing was.
    pool
        The account's collateral with cross margin; None with isolated margin.
    schedule
        Raises the collateral of new exposure to the initial margin of its tier; None: one tier.
    spare
        Multiplies the collateral of new exposure.
    """

    __slots__ = (
        "account", "cash", "entry", "leverage", "liquidating", "lots", "margin", "margined", "pool",
        "residue", "schedule", "spare", "version",
    )  # fmt: skip

    def __init__(self, account: str, leverage: float, *, margined: bool) -> None:
        self.account = account
        self.leverage = leverage
        self.margined = margined
        self.lots = 0
        self.entry = 0.0
        self.margin = 0.0
        self.cash = 0.0
        self.version = 0
        self.liquidating = False
        self.residue = 0.0
        self.pool: Pool | None = None
        self.schedule: MarginSchedule | None = None
        self.spare = 1.0

    def trade(self, lots: int, price: float, lot_size: float) -> None:
        """Book a fill of signed ``lots``.

        Opening adds notional / leverage to the margin. Closing releases its share of the margin. In
        a liquidation nothing is released: the remaining collateral backs the rest of the position.
        With cross margin, the pool takes the profit of what is closed.
        """
        self.cash -= lots * lot_size * price
        self.version += 1
        held = self.lots
        if held * lots >= 0:
            total = held + lots
            self.entry = (self.entry * held + price * lots) / total
            self.lots = total
            self._open(lots, price, lot_size)
            return
        closed = lots if abs(lots) <= abs(held) else -held
        profit = -closed * lot_size * (price - self.entry)
        if self.pool is not None:
            self.pool.collateral += profit
        elif self.liquidating:
            self.margin += profit
        else:
            self.margin *= 1 + closed / held
        self.lots = held + closed
        if self.lots == 0:
            self.residue = self.margin if self.liquidating else 0.0
            self.margin = 0.0
            self.entry = 0.0
            if closed != lots:
                self.trade_flip(lots - closed, price, lot_size)

    def trade_flip(self, lots: int, price: float, lot_size: float) -> None:
        """Open the opposite position with the remainder of a closing fill; its cash is booked."""
        self.lots = lots
        self.entry = price
        self.margin = 0.0
        self._open(lots, price, lot_size)

    def _open(self, lots: int, price: float, lot_size: float) -> None:
        """Put up the collateral of new exposure."""
        if self.pool is not None:
            return
        self.margin += self.spare * abs(lots) * lot_size * price / self.leverage
        if self.schedule is not None:
            needed = self.schedule.initial(abs(self.lots) * lot_size * price)
            self.margin = max(self.margin, needed)

    def top_up(self, mark: float, lot_size: float) -> None:
        """Put up what is lacking to the initial margin at the mark price."""
        if self.schedule is None or not self.lots or self.liquidating:
            return
        needed = self.schedule.initial(abs(self.lots) * lot_size * mark)
        self.margin = max(self.margin, needed - self.profit(mark, lot_size))

    def change_leverage(self, leverage: float, mark: float, lot_size: float) -> None:
        """Set the leverage, and withdraw the collateral in excess of the new initial margin.

        The position then has exactly the initial margin at the mark price, profit included: as when
        a trader raises the leverage on a venue and withdraws the excess collateral. Lower leverage
        affects later orders only.
        """
        if self.lots and leverage >= self.leverage and not self.liquidating and self.pool is None:
            profit = self.profit(mark, lot_size)
            notional = abs(self.lots) * lot_size * mark
            needed = notional / leverage
            if self.schedule is not None:
                needed = max(needed, self.schedule.initial(notional))
            if self.margin + profit > needed * (1 + _LEAST_EXCESS_SHARE):
                self.margin = needed - profit
                self.version += 1
        self.leverage = leverage

    def charge(self, amount: float) -> None:
        """Take an amount out of what backs the position."""
        if self.pool is not None:
            self.pool.collateral -= amount
        elif self.lots:
            self.margin -= amount
            self.version += 1
        else:
            self.residue -= amount

    def profit(self, mark: float, lot_size: float) -> float:
        """Unrealised profit at the mark price."""
        return self.lots * lot_size * (mark - self.entry)

    def equity(self, mark: float, lot_size: float) -> float:
        """Margin plus unrealised profit at the mark price, with isolated margin."""
        return self.margin + self.profit(mark, lot_size)

    def liquidation_price(
        self, schedule: MarginSchedule, lot_size: float, backing: float | None = None
    ) -> float:
        """The mark price at which equity equals the maintenance margin; 0 if there is none.

        ``backing`` is what backs the position beside its own profit; None: its margin.
        """
        if not self.lots:
            return 0.0
        margin = self.margin if backing is None else backing
        return schedule.liquidation_price(self.lots * lot_size, self.entry, margin)

    def bankruptcy_price(self, mark: float, lot_size: float, equity: float) -> float:
        """The mark price at which nothing is left; ``equity`` is that at the mark price."""
        return max(mark - equity / (self.lots * lot_size), 0.0) if self.lots else 0.0
