"""Positions with isolated margin: an account's holding in one contract, and its liquidation price.

Isolated margin: each position has its own collateral. A liquidation affects no other position.
"""

_LEAST_EXCESS_SHARE = 0.05  # a smaller excess, as a share of the margin, is not withdrawn


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
        Collateral of the position in the quote currency.
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
    """

    __slots__ = (
        "account", "cash", "entry", "leverage", "liquidating", "lots", "margin", "margined",
        "version",
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

    def trade(self, lots: int, price: float, lot_size: float) -> None:
        """Book a fill of signed ``lots``.

        Opening adds notional / leverage to the margin. Closing releases its share of the margin. In
        a liquidation nothing is released: the remaining collateral backs the rest of the position.
        """
        self.cash -= lots * lot_size * price
        self.version += 1
        held = self.lots
        if held * lots >= 0:
            total = held + lots
            self.entry = (self.entry * held + price * lots) / total
            self.margin += abs(lots) * lot_size * price / self.leverage
            self.lots = total
            return
        closed = lots if abs(lots) <= abs(held) else -held
        if self.liquidating:
            self.margin -= closed * lot_size * (price - self.entry)
        else:
            self.margin *= 1 + closed / held
        self.lots = held + closed
        if self.lots == 0:
            self.margin = 0.0
            self.entry = 0.0
            if closed != lots:
                self.trade_flip(lots - closed, price, lot_size)

    def trade_flip(self, lots: int, price: float, lot_size: float) -> None:
        """Open the opposite position with the remainder of a closing fill; its cash is booked."""
        self.lots = lots
        self.entry = price
        self.margin = abs(lots) * lot_size * price / self.leverage

    def change_leverage(self, leverage: float, mark: float, lot_size: float) -> None:
        """Set the leverage, and withdraw the collateral in excess of the new initial margin.

        The position then has exactly the initial margin at the mark price, profit included: as when
        a trader raises the leverage on a venue and withdraws the excess collateral. Lower leverage
        affects later orders only.
        """
        if self.lots and leverage >= self.leverage and not self.liquidating:
            profit = self.lots * lot_size * (mark - self.entry)
            needed = abs(self.lots) * lot_size * mark / leverage
            if self.margin + profit > needed * (1 + _LEAST_EXCESS_SHARE):
                self.margin = needed - profit
                self.version += 1
        self.leverage = leverage

    def equity(self, mark: float, lot_size: float) -> float:
        """Margin plus unrealised profit at the mark price."""
        return self.margin + self.lots * lot_size * (mark - self.entry)

    def liquidation_price(self, maintenance: float, lot_size: float) -> float:
        """The mark price at which equity equals the maintenance margin; 0 if there is none.

        Solves margin + q (p - entry) = maintenance |q| p for p.
        """
        if not self.lots:
            return 0.0
        quantity = self.lots * lot_size
        price = (quantity * self.entry - self.margin) / (quantity - maintenance * abs(quantity))
        return max(price, 0.0)
